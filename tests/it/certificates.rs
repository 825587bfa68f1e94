//! Every certificate of a server: `--enumerate` and `--signature-schemes`.

use std::time::{Duration, SystemTime};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use tlsweep::cert::{Certificate, pem};

use crate::support::certs::{Entity, example};
use crate::support::cmd::{Outcome, Tlsweep};
use crate::support::keys::Key;
use crate::support::openssl::OpenSsl;
use crate::support::peer::Spec;
use crate::support::programs::{Program, Server, free_port};
use crate::support::script::Step::{Handshake, Hold, IfHello, ReadHello, SignAs};
use crate::support::script::{CLOSE_NOTIFY, warning};
use crate::support::servers::{Files, serve_nginx};
use crate::support::tls::{self, ECDHE_ECDSA, ECDHE_RSA, Signer};

const RSA: &[&str] = &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const EC: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// A root, and leaves for `example.com` in files.
struct Leaves {
    openssl: OpenSsl,
    root: Entity,
    roots: String,
}

/// A leaf and its key, by the names of their files.
struct Leaf {
    der: Vec<u8>,
    chain: String,
    key: String,
}

impl Leaves {
    fn new() -> Option<Self> {
        let openssl = OpenSsl::find()?;
        let root = Entity::root("root");
        let roots = openssl.write("root.pem", pem(&root.der));
        Some(Self { openssl, root, roots })
    }

    /// A leaf that ends after so many days, with a key that `openssl genpkey -algorithm` makes.
    fn leaf(&self, algorithm: &[&str], name: &str, days: i64) -> Leaf {
        let half_a_day = Duration::from_secs(43_200);
        let span = Duration::from_secs(days.unsigned_abs() * 86_400);
        let now = SystemTime::now() + half_a_day;
        let mut params = example();
        params.not_after = if days < 0 { now - span } else { now + span }.into();
        let key = self.openssl.run(&[&["genpkey", "-algorithm"], algorithm].concat());
        let key_pair = KeyPair::from_pem(std::str::from_utf8(&key).unwrap()).unwrap();
        let leaf = self.root.issue_for(params, key_pair);
        Leaf {
            chain: self.openssl.write(&format!("{name}.pem"), pem(&leaf.der)),
            key: self.openssl.write(&format!("{name}.key"), key),
            der: leaf.der.to_vec(),
        }
    }

    fn sweep(&self, server: &Server, args: &[&str]) -> Outcome {
        Tlsweep::json()
            .args(["--roots", &self.roots, "--timeout", "100s"])
            .args(args)
            .sweep([format!("127.0.0.1:{},example.com", server.addr.port())])
    }
}

/// Kind of key, verdict and days left of each certificate, in the order of the kinds.
fn listed(record: &Value) -> Vec<(String, String, i64)> {
    let enumeration = &record["enumeration"];
    assert_eq!(enumeration["certificates_complete"], true, "{record:#}");
    let certificates = enumeration["certificates"].as_array().unwrap();
    let mut listed: Vec<_> = certificates
        .iter()
        .map(|shown| {
            assert_eq!(shown["signature_verified"], true, "{record:#}");
            assert_eq!(shown["chain_length"], 1, "{record:#}");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let days = shown["trust"]["days_left"].as_i64().unwrap();
            (text(&shown["cert"]["key"]), text(&shown["trust"]["verdict"]), days)
        })
        .collect();
    listed.sort();
    listed
}

fn row(key: &str, verdict: &str, days: i64) -> (String, String, i64) {
    (key.to_owned(), verdict.to_owned(), days)
}

/// The RSA certificate is the one that no client with ECDSA ever sees.
#[test]
fn an_expired_certificate_beside_a_good_one_is_found() {
    let Some(leaves) = Leaves::new() else {
        return;
    };
    let program = Program::find("openssl").unwrap();
    let rsa = leaves.leaf(RSA, "rsa", -1);
    let ec = leaves.leaf(EC, "ec", 90);
    for version in [&[][..], &["-tls1_2"], &["-tls1_3"]] {
        let port = free_port();
        let mut command = program.command();
        command.args(["s_server", "-www", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
        command.args(["-cert", &rsa.chain, "-key", &rsa.key]);
        command.args(["-dcert", &ec.chain, "-dkey", &ec.key]).args(version);
        let server = Server::start(command, port);

        let pin = format!("pin={}", Certificate::new(&ec.der).spki_sha256.unwrap());
        let conditions = format!("error,expires-in=30d,expired,untrusted,weak,{pin}");
        let fail_on = ["--fail-on", &conditions];
        let alone = leaves.sweep(&server, &fail_on);
        assert_eq!(alone.only_record()["cert"]["key"], "EC", "{version:?}");
        assert_eq!(alone.only_record()["failed_checks"], json!([]), "{version:?}");

        let all = leaves.sweep(&server, &[&["--enumerate"], &fail_on[..]].concat());
        let [record] = all.records.as_slice() else { panic!("{}", all.stderr) };
        assert_eq!(listed(record), [row("EC", "trusted", 90), row("RSA", "expired", -1)]);
        let met = json!(["expires-in=30d", "expired", "untrusted", "pin"]);
        assert_eq!(record["failed_checks"], met, "{version:?}: {record:#}");
        assert_eq!(all.code, Some(1));

        for (schemes, key) in
            [("rsa_pss_rsae_sha256,rsa_pkcs1_sha256", "RSA"), ("ECDSA_NISTP256_SHA256", "EC")]
        {
            let asked = leaves.sweep(&server, &["--signature-schemes", schemes]);
            let record = asked.only_record();
            assert_eq!(record["cert"]["key"], key, "{version:?} {schemes}: {record:#}");
            assert_eq!(record["tls"]["signature_verified"], true, "{record:#}");
        }
        let none = leaves.sweep(&server, &["--signature-schemes", "ed25519"]);
        assert_eq!(none.only_record()["error"]["kind"], "alert");
    }
}

#[test]
fn nginx_with_three_kinds_of_keys() {
    let (Some(leaves), Some(nginx)) = (Leaves::new(), Program::find("nginx")) else {
        return;
    };
    let rsa = leaves.leaf(RSA, "rsa", 5);
    let ed = leaves.leaf(&["ED25519"], "ed", 60);
    for protocols in ["TLSv1.2", "TLSv1.3", "TLSv1.2 TLSv1.3"] {
        let mut files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
        let ec = leaves.leaf(EC, "ec", 90);
        (files.chain, files.key) = (ec.chain, ec.key);
        let more = [&rsa, &ed].map(|leaf| {
            format!("ssl_certificate {}; ssl_certificate_key {};", leaf.chain, leaf.key)
        });
        let directives = format!("{} ssl_protocols {protocols};", more.concat());
        let server = serve_nginx(&nginx, &files, &directives);
        let outcome = leaves.sweep(&server, &["--enumerate", "--fail-on", "expires-in=30d"]);
        let [record] = outcome.records.as_slice() else { panic!("{}", outcome.stderr) };
        let expected =
            [row("EC", "trusted", 90), row("Ed25519", "trusted", 60), row("RSA", "trusted", 5)];
        assert_eq!(listed(record), expected, "{protocols}");
        assert_eq!(record["failed_checks"], json!(["expires-in=30d"]), "{protocols}");
        assert_eq!(outcome.code, Some(1));
    }
}

/// Whether a hello offers this scheme.
fn offers(hello: &[u8], scheme: u16) -> bool {
    const RECORD_HEADER: usize = 5;
    let message = hello.get(RECORD_HEADER..).unwrap_or_default();
    tls::ClientHello::parse(message).signature_schemes.contains(&scheme)
}

fn signer(key: &Key, root: &Entity, scheme: u16, suite: [u8; 2], sign: tls::Sign) -> Signer {
    Signer { certificate: key.certify(root).to_vec(), scheme, suite, sign }
}

/// A server that owns its ECDSA certificate, and shows somebody else's RSA certificate to those who
/// cannot do with ECDSA.
#[test]
fn a_certificate_under_a_false_signature_is_not_believed() {
    let Some(leaves) = Leaves::new() else {
        return;
    };
    let openssl: &'static OpenSsl = Box::leak(Box::new(OpenSsl::find().unwrap()));
    let ec: &'static Key = Box::leak(Box::new(Key::for_scheme(openssl, 0x0403)));
    let rsa = Key::for_scheme(openssl, 0x0804);
    let honest = Box::new(move |text: &[u8]| ec.sign(0x0403, text));
    let honest = signer(ec, &leaves.root, 0x0403, ECDHE_ECDSA, honest);
    let stolen = Box::new(|_text: &[u8]| vec![0x5a; 256]);
    let stolen = signer(&rsa, &leaves.root, 0x0804, ECDHE_RSA, stolen);
    let [honest, stolen]: [&'static Signer; 2] =
        [honest, stolen].map(|it| &*Box::leak(Box::new(it)));
    let goodbye = warning(CLOSE_NOTIFY);
    let falsely = vec![ReadHello, SignAs(stolen), Handshake, goodbye.clone(), Hold];
    let script = [
        IfHello(|hello| !offers(hello, 0x0403) && offers(hello, 0x0804), falsely),
        ReadHello,
        SignAs(honest),
        Handshake,
        goodbye,
        Hold,
    ];
    let peer = Spec::script(script).start();
    let pins = [ec, &rsa].map(|key| {
        let leaf = Certificate::new(&key.certify(&leaves.root));
        format!("pin={}", leaf.spki_sha256.unwrap())
    });
    let outcome = Tlsweep::json()
        .args(["--roots", &leaves.roots, "--enumerate", "--timeout", "100s"])
        .args(["--fail-on", &format!("error,untrusted,{}", pins.join(","))])
        .sweep([format!("{},example.com", peer.addr)]);
    let [record] = outcome.records.as_slice() else { panic!("{}", outcome.stderr) };
    assert_eq!(record["trust"]["verdict"], "trusted", "{record:#}");
    let shown = record["enumeration"]["certificates"].as_array().unwrap();
    let [first, second] = shown.as_slice() else { panic!("{record:#}") };
    assert_eq!(first["signature_verified"], true, "{record:#}");
    assert_eq!(first["trust"]["verdict"], "trusted", "{record:#}");
    assert_eq!(second["cert"]["key"], "RSA", "{record:#}");
    assert_eq!(second["signature_verified"], false, "{record:#}");
    assert!(second.get("trust").is_none(), "no verdict on a copy: {record:#}");
    assert_eq!(record["failed_checks"], json!(["untrusted", "pin"]), "{record:#}");
}

#[test]
fn silence_leaves_the_list_open() {
    let Some(leaves) = Leaves::new() else {
        return;
    };
    let openssl: &'static OpenSsl = Box::leak(Box::new(OpenSsl::find().unwrap()));
    let ec: &'static Key = Box::leak(Box::new(Key::for_scheme(openssl, 0x0403)));
    let honest = Box::new(move |text: &[u8]| ec.sign(0x0403, text));
    let honest = signer(ec, &leaves.root, 0x0403, ECDHE_ECDSA, honest);
    let honest: &'static Signer = Box::leak(Box::new(honest));
    let silent = IfHello(|hello| !offers(hello, 0x0403), vec![ReadHello, Hold]);
    let script = [silent, ReadHello, SignAs(honest), Handshake, warning(CLOSE_NOTIFY), Hold];
    let peer = Spec::script(script).start();
    let outcome = Tlsweep::json()
        .args(["--enumerate", "--handshake-timeout", "3s", "--timeout", "100s"])
        .sweep([peer.target()]);
    let enumeration = &outcome.only_record()["enumeration"];
    assert_eq!(enumeration["certificates"].as_array().unwrap().len(), 1, "{enumeration:#}");
    assert_eq!(enumeration["certificates_complete"], false, "{enumeration:#}");
}

#[test]
fn schemes_that_cannot_be_offered_are_refused() {
    for (args, reason) in [
        (&["--signature-schemes", "rsa"][..], "these can: ecdsa_secp384r1_sha384"),
        (&["--signature-schemes", "gostr34102012_256a"], "not a signature scheme that can be"),
        (&["--tls", "1.2", "--signature-schemes", "mldsa65"], "--tls rules all of these out"),
        (&["--tls", "1.3", "--signature-schemes", "rsa_pkcs1_sha256"], "--tls rules all"),
    ] {
        let outcome = Tlsweep::new().args(args).sweep(["127.0.0.1:1"]);
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(reason), "{args:?}: {}", outcome.stderr);
    }
}
