//! Every case of `cert_cases`, served over real TLS and told by the binary's record.

use std::net::IpAddr;

use serde_json::{Value, json};
use tempfile::TempDir;
use tlsweep::cert::{Certificate, Presented, Problem, Wanted, pem};

use crate::cert_cases::{self, Case};
use crate::support::certs::{HELD, judge, now};
use crate::support::cmd::{Tlsweep, verdict};
use crate::support::openssl::OpenSsl;
use crate::support::peer::Peer;
use crate::support::programs::Server;
use crate::support::served::showing;

/// A running server.
enum Shop {
    InProcess(Peer),
    /// With keys that nobody else signs with.
    OpenSsl(Server),
}

impl Shop {
    /// None without OpenSSL where only that will do.
    fn open(case: &Case, openssl: Option<&OpenSsl>) -> Option<Self> {
        let Some(spec) = showing(&case.chain, &case.key) else {
            let server = openssl?.serve(&case.chain, &case.key, &[]);
            return Some(Self::OpenSsl(server));
        };
        Some(Self::InProcess(match case.host.contains(':') {
            true => spec.on_v6().start(),
            false => spec.start(),
        }))
    }

    /// The line of input: with a server name, unless it is an address that is asked for.
    fn target(&self, host: &str) -> String {
        let addr = match self {
            Self::InProcess(peer) => peer.addr,
            Self::OpenSsl(server) => server.addr,
        };
        match host.parse() == Ok(addr.ip()) {
            true => addr.to_string(),
            false => format!("{addr},{host}"),
        }
    }
}

#[test]
fn every_case_is_told_by_its_record() {
    let cases = cert_cases::all();
    let dir = TempDir::new().unwrap();
    let roots = dir.path().join("roots.pem");
    let pems = cases.iter().map(|case| pem(&case.root)).collect::<String>();
    std::fs::write(&roots, pems).unwrap();

    let openssl = OpenSsl::find();
    let open = |case| Some((Shop::open(case, openssl.as_ref())?, case));
    let shops = cases.iter().filter_map(open).collect::<Vec<_>>();
    for version in ["1.2", "1.3"] {
        let outcome = Tlsweep::json()
            .args(["--roots", roots.to_str().unwrap(), "--chain", "--tls", version])
            .sweep(shops.iter().map(|(shop, case)| shop.target(&case.host)));
        outcome.assert_complete();
        assert_eq!(outcome.records.len(), shops.len());
        for record in &outcome.records {
            let line = usize::try_from(record["line"].as_u64().unwrap()).unwrap();
            check(shops[line - 1].1, record, version);
        }
    }
}

fn check(case: &Case, record: &Value, version: &str) {
    let name = &case.name;
    assert_eq!(verdict(record), "ok close_notify", "{name}: {record:#}");
    assert_eq!(record["tls"]["version"], format!("TLSv{version}"), "{name}");
    if case.host.parse::<IpAddr>().is_err() {
        let sent = case.host.trim_end_matches('.').to_lowercase();
        assert_eq!(record["sni"], sent, "{name}: {record:#}");
    }

    let trust = &record["trust"];
    let mut problems = case.problems.clone();
    if !case.has_key {
        problems.push(Problem::Unproven);
        problems.sort();
    }
    assert_eq!(trust["problems"], json!(problems), "{name}: {trust:#}");
    let gravest = problems.first().map_or("trusted", |problem| problem.as_str());
    assert_eq!(trust["verdict"], gravest, "{name}: {trust:#}");
    assert_eq!(trust.get("name_ok"), case.name_ok.map(Value::from).as_ref(), "{name}: {trust:#}");
    assert_eq!(trust.get("anchor").is_some(), is_anchored(case), "{name}: {trust:#}");

    let tls = &record["tls"];
    let verified = case.has_key.then_some(&Value::Bool(true));
    assert_eq!(tls.get("signature_verified"), verified, "{name}: {tls:#}");
    assert_eq!(tls.get("signature_unchecked").is_none(), case.has_key, "{name}: {tls:#}");
    assert_eq!(tls["ocsp_stapled"], false, "{name}: {tls:#}");
    assert!(record.get("ocsp").is_none(), "{name}: nothing was stapled");

    let chain = &record["chain"];
    assert_eq!(chain["length"], case.chain.len(), "{name}: {chain:#}");
    let facts = case.chain.iter().map(|der| Certificate::new(der)).collect::<Vec<_>>();
    let hashes = facts.iter().take(64).map(|facts| facts.sha256.clone()).collect::<Vec<_>>();
    assert_eq!(chain["sha256"], json!(hashes), "{name}: {chain:#}");
    assert_eq!(timeless(&record["cert"]), json!(facts[0]), "{name}");
    let told = chain["certificates"].as_array().unwrap();
    // A line has room for a dozen ordinary ones.
    assert_eq!(told.len(), facts.len().min(told.len().max(12)), "{name}: {chain:#}");
    for (told, facts) in told.iter().zip(&facts) {
        let mut facts = json!(facts);
        if told.get("names_count").is_some() {
            // The names that are left out here stand in `cert`.
            facts["names_count"] = told["names_count"].clone();
            facts["names"] = told["names"].clone();
            assert!(told["names"].as_array().unwrap().len() > 50, "{name}: {told:#}");
        }
        assert_eq!(timeless(told), facts, "{name}");
    }
    if case.name_ok.is_some() {
        for fact in ["subject", "issuer", "not_after", "days_left", "spki_sha256", "key"] {
            assert!(record["cert"].get(fact).is_some(), "{name}: no {fact} in {record:#}");
        }
    }
}

/// Whether the path ends at the root of the case.
fn is_anchored(case: &Case) -> bool {
    let judge = judge(&[&case.root]);
    let presented = Presented { chain: &case.chain, name: None, ocsp: &[], proof: &HELD };
    let trust = judge.examine(presented, now(), Wanted::default()).trust;
    trust.unwrap().anchor.is_some()
}

/// The facts without what depends on the day.
fn timeless(facts: &Value) -> Value {
    let mut facts = facts.clone();
    facts.as_object_mut().unwrap().remove("days_left");
    facts
}
