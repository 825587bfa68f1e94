//! x509-limbo: what the verdict says to other people's test vectors.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use tlsweep::cert::{Judge, Presented, Problem, Roots, Wanted};

use crate::support::certs::HELD;

/// Where we differ from what limbo expects, beyond what webpki does of itself.
const OURS: [(&str, &str); 4] = [
    ("crl::revoked-certificate-with-crl", "nothing is fetched, revocation lists neither"),
    ("crl::crlnumber-missing", "nothing is fetched, revocation lists neither"),
    (
        "pathlen::max-chain-depth-0-exhausted",
        "a client that sets a depth of its own; ours is webpki's",
    ),
    (
        "pathlen::max-chain-depth-1-exhausted",
        "a client that sets a depth of its own; ours is webpki's",
    ),
];

#[derive(Deserialize)]
struct Suite {
    testcases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    peer_certificate_key: Option<String>,
    validation_time: Option<String>,
    expected_result: Expected,
    expected_peer_name: Option<PeerName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Expected {
    Success,
    Failure,
}

#[derive(Deserialize)]
struct PeerName {
    kind: String,
    value: String,
}

#[derive(Deserialize)]
struct Exception {
    actual: Expected,
}

#[test]
fn limbo_agrees() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/limbo");
    let Some(suite) = unpack(&folder.join("limbo.json.xz")) else {
        // The data may not be copied into this repository, and no package has it. So this is no failure, not
        // even where every server is installed.
        eprintln!("skipped: no x509-limbo in {}", folder.display());
        return;
    };
    let suite: Suite = serde_json::from_slice(&suite).unwrap();
    let exceptions = std::fs::read(folder.join("exceptions.json")).unwrap();
    let exceptions: BTreeMap<String, Exception> = serde_json::from_slice(&exceptions).unwrap();

    let mut judged = 0;
    let mut wrong = Vec::new();
    for case in suite.testcases.iter().filter(|case| case.is_ours()) {
        judged += 1;
        let problems = case.judge();
        let actual = match problems.is_empty() {
            true => Expected::Success,
            false => Expected::Failure,
        };
        let known = exceptions.get(&case.id).is_some_and(|exception| exception.actual == actual);
        let ours = OURS.iter().any(|(id, _)| *id == case.id);
        let differs = actual != case.expected_result;
        assert!(differs || !ours, "{} agrees by now", case.id);
        if differs && !known && !ours {
            wrong.push(format!("{}: {problems:?}", case.id));
        }
    }
    assert!(wrong.is_empty(), "of {judged}: {wrong:#?}");
    assert!(judged > 150, "only {judged} cases");
}

/// Text of a file packed by xz, where there is one.
fn unpack(file: &Path) -> Option<Vec<u8>> {
    if !file.exists() {
        return None;
    }
    let unpacked = Command::new("xz").arg("-dc").arg(file).output();
    let unpacked = unpacked.expect("xz to be installed");
    assert!(unpacked.status.success());
    Some(unpacked.stdout)
}

impl Case {
    /// A chain that a server could show, and a name to show it for.
    fn is_ours(&self) -> bool {
        let has_name = self
            .expected_peer_name
            .as_ref()
            .is_some_and(|name| matches!(name.kind.as_str(), "DNS" | "IP"));
        has_name && self.peer_certificate_key.is_some()
    }

    fn judge(&self) -> Vec<Problem> {
        let mut roots = Roots::default();
        for root in &self.trusted_certs {
            // A root that cannot be read is not trusted.
            let _unusable = roots.add(&certificate(root));
        }
        let chain = std::iter::once(&self.peer_certificate)
            .chain(&self.untrusted_intermediates)
            .map(|pem| certificate(pem))
            .collect::<Vec<_>>();
        let name = self.expected_peer_name.as_ref().unwrap();
        // What cannot even be asked for is no certificate's name.
        let Ok(name) = ServerName::try_from(name.value.as_str()) else {
            return vec![Problem::NameMismatch];
        };
        let presented = Presented { chain: &chain, name: Some(&name), ocsp: &[], proof: &HELD };
        let now = match &self.validation_time {
            Some(time) => moment(time),
            None => SystemTime::now(),
        };
        let examined = Judge::new(roots).examine(presented, now, Wanted::default());
        examined.trust.unwrap().problems
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// RFC 3339, in UTC as all of limbo's are.
fn moment(time: &str) -> SystemTime {
    let utc = time.strip_suffix("+00:00").expect("UTC");
    humantime::parse_rfc3339(&format!("{utc}Z")).unwrap()
}
