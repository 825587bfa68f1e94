//! Trusted or not: random chains, judged by us and by `openssl verify`.

use std::path::Path;
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints,
};
use rustls_pki_types::CertificateDer;
use tlsweep::cert::pem;

use crate::support::certs::{Entity, ca, problems, server, valid};

const CHAINS: usize = 500;

type Difference = (&'static str, fn(&Plan) -> bool);

/// Where the two may differ, and why.
const DIFFERENCES: [Difference; 4] = [
    ("OpenSSL takes a CA for a server; webpki does not", |plan| plan.leaf.is_ca),
    ("OpenSSL looks at a CA's key usage; webpki leaves that to the CA flag", |plan| {
        plan.cas.iter().any(|ca| ca.usage == Usage::DigitalSignature)
    }),
    ("OpenSSL wants a server's key usage to fit a key exchange; webpki does not look", |plan| {
        plan.leaf.usage == Usage::CrlSign
    }),
    ("only we mind a key that may sign certificates in a certificate that may not", |plan| {
        plan.leaf.usage == Usage::Both
    }),
];

#[test]
fn openssl_agrees() {
    if Command::new("openssl").arg("version").output().is_err() {
        let strict = std::env::var_os("TLSWEEP_REAL_SERVERS").is_some();
        assert!(!strict, "no openssl");
        eprintln!("skipped: no openssl");
        return;
    }
    let seed = match std::env::var("TLSWEEP_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => u64::from(std::process::id()) << 32 | u64::from(rand_nanos()),
    };
    eprintln!("TLSWEEP_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let roots = [Entity::root("root"), Entity::root("another")];
    let mut random = Random(seed);
    let mut trusted = 0;
    let mut explained = 0;
    for number in 0..CHAINS {
        let plan = Plan::new(&mut random);
        let chain = plan.carry_out(&roots, &mut random);
        let ours = problems(&chain.iter().collect::<Vec<_>>(), &[&roots[0].der]);
        let theirs = openssl(folder.path(), &chain, &roots[0].der);
        trusted += usize::from(ours.is_empty());
        if ours.is_empty() == theirs.is_ok() {
            continue;
        }
        let reason = DIFFERENCES.iter().find(|(_, applies)| applies(&plan));
        assert!(
            reason.is_some(),
            "seed {seed}, chain {number}: {plan:#?}\nwe say {ours:?}, OpenSSL says {theirs:?}"
        );
        explained += 1;
    }
    eprintln!("{CHAINS} chains, {trusted} trusted, {explained} differences explained");
    assert!(trusted > CHAINS / 20, "only {trusted} trusted");
    assert!(trusted < CHAINS * 3 / 4, "{trusted} trusted");
}

/// How a chain is made.
#[derive(Debug)]
struct Plan {
    /// Under the trusted root, or the other.
    root: usize,
    /// From the root down.
    cas: Vec<Member>,
    leaf: Member,
    /// The CAs that are sent, in this order.
    sent: Vec<usize>,
    /// Certificates that have nothing to do with it.
    strangers: usize,
    sends_root: bool,
}

#[derive(Debug)]
struct Member {
    validity: (i32, i32),
    is_ca: bool,
    path_length: Option<u8>,
    usage: Usage,
    purposes: Vec<ExtendedKeyUsagePurpose>,
    permitted: Option<&'static str>,
    names: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usage {
    Absent,
    CertSign,
    CrlSign,
    DigitalSignature,
    Both,
}

impl Plan {
    fn new(random: &mut Random) -> Self {
        let cas = (0..random.below(4)).map(|_| Member::ca(random)).collect::<Vec<_>>();
        let mut sent = (0..cas.len()).rev().collect::<Vec<_>>();
        match random.below(8) {
            0 => drop(sent.pop()),
            1 => drop(sent.drain(..sent.len().min(1))),
            2 | 3 => random.shuffle(&mut sent),
            4 => sent.extend(sent.clone()),
            _ => {}
        }
        Self {
            root: usize::from(random.below(12) == 0),
            leaf: Member::leaf(random),
            cas,
            sent,
            strangers: [0, 0, 0, 1, 3][random.below(5)],
            sends_root: random.below(4) == 0,
        }
    }

    fn carry_out(&self, roots: &[Entity; 2], random: &mut Random) -> Vec<CertificateDer<'static>> {
        let mut issued = Vec::<Entity>::new();
        for (number, member) in self.cas.iter().enumerate() {
            let issuer = issued.last().unwrap_or(&roots[self.root]);
            let params = member.params(ca(&format!("CA {number}")));
            let next = issuer.issue(params);
            issued.push(next);
        }
        let issuer = issued.last().unwrap_or(&roots[self.root]);
        let leaf = issuer.issue(self.leaf.params(server(self.leaf.names)));
        let mut others =
            self.sent.iter().map(|&number| issued[number].der.clone()).collect::<Vec<_>>();
        others.extend((0..self.strangers).map(|_| Entity::root("stranger").der));
        if self.sends_root {
            others.push(roots[self.root].der.clone());
        }
        if self.strangers > 1 {
            random.shuffle(&mut others);
        }
        std::iter::once(leaf.der).chain(others).collect()
    }
}

impl Member {
    fn ca(random: &mut Random) -> Self {
        Self {
            validity: Self::validity(random),
            is_ca: random.below(16) != 0,
            path_length: [None, None, None, None, Some(0), Some(1), Some(2)][random.below(7)],
            usage: match random.below(16) {
                0 => Usage::DigitalSignature,
                1..4 => Usage::Absent,
                _ => Usage::CertSign,
            },
            purposes: Self::purposes(random),
            permitted: match random.below(16) {
                0 => Some("example.org"),
                1 | 2 => Some("example.com"),
                _ => None,
            },
            names: &[],
        }
    }

    fn leaf(random: &mut Random) -> Self {
        let names: [&[&str]; 8] = [
            &["example.com"],
            &["example.com"],
            &["www.example.com", "example.com"],
            &["*.com", "example.com"],
            &["EXAMPLE.com"],
            &["example.com", "192.0.2.1"],
            &["*.example.com"],
            &["example.org"],
        ];
        Self {
            validity: Self::validity(random),
            is_ca: random.below(16) == 0,
            path_length: None,
            usage: match random.below(16) {
                0 => Usage::CrlSign,
                1 => Usage::Both,
                2..6 => Usage::Absent,
                _ => Usage::DigitalSignature,
            },
            purposes: Self::purposes(random),
            permitted: None,
            names: names[random.below(8)],
        }
    }

    fn validity(random: &mut Random) -> (i32, i32) {
        match random.below(16) {
            0 => (2020, 2024),
            1 => (2100, 2110),
            _ => (2020, 2090),
        }
    }

    fn purposes(random: &mut Random) -> Vec<ExtendedKeyUsagePurpose> {
        use ExtendedKeyUsagePurpose as Purpose;
        match random.below(16) {
            0 => vec![Purpose::ClientAuth],
            1 => vec![Purpose::Any],
            2 | 3 => vec![Purpose::ClientAuth, Purpose::ServerAuth],
            4 | 5 => vec![Purpose::ServerAuth],
            _ => vec![],
        }
    }

    fn params(&self, params: CertificateParams) -> CertificateParams {
        let mut params = valid(params, self.validity.0, self.validity.1);
        params.is_ca = match (self.is_ca, self.path_length) {
            (true, None) => IsCa::Ca(BasicConstraints::Unconstrained),
            (true, Some(length)) => IsCa::Ca(BasicConstraints::Constrained(length)),
            (false, _) => IsCa::ExplicitNoCa,
        };
        params.key_usages = match self.usage {
            Usage::Absent => vec![],
            Usage::CertSign => vec![KeyUsagePurpose::KeyCertSign],
            Usage::CrlSign => vec![KeyUsagePurpose::CrlSign],
            Usage::DigitalSignature => vec![KeyUsagePurpose::DigitalSignature],
            Usage::Both => vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign],
        };
        params.extended_key_usages = self.purposes.clone();
        params.name_constraints = self.permitted.map(|name| NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(name.to_owned())],
            excluded_subtrees: vec![],
        });
        params
    }
}

/// What OpenSSL says against it.
fn openssl(
    folder: &Path,
    chain: &[CertificateDer<'_>],
    root: &CertificateDer<'_>,
) -> Result<(), String> {
    let write = |name: &str, certificates: &[CertificateDer<'_>]| {
        let path = folder.join(name);
        let text = certificates.iter().map(|der| pem(der)).collect::<String>();
        std::fs::write(&path, text).unwrap();
        path
    };
    let verify = Command::new("openssl")
        .args(["verify", "-purpose", "sslserver", "-verify_hostname", "example.com"])
        .args(["-no-CApath", "-no-CAstore", "-CAfile"])
        .arg(write("root.pem", std::slice::from_ref(root)))
        .arg("-untrusted")
        .arg(write("untrusted.pem", chain))
        .arg(write("leaf.pem", &chain[..1]))
        .output()
        .unwrap();
    match verify.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&verify.stderr).into_owned()),
    }
}

/// SplitMix64: a seed gives the same chains again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = self.below(at + 1);
            items.swap(at, other);
        }
    }
}

fn rand_nanos() -> u32 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().subsec_nanos()
}
