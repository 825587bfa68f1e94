//! What happens once per target outside the handshake, on data that is always the same.

#[allow(dead_code, reason = "not every bench runs them")]
mod costly;
#[allow(unreachable_pub, dead_code, reason = "it belongs to the fuzz targets, too")]
#[path = "../../tests/fuzz/src/forge.rs"]
mod forge;

use std::hint::black_box;
use std::io;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use rustls_pki_types::{CertificateDer, ServerName};
use tlsweep::cert::{Certificate, Judge, Presented, Roots, Wanted};
use tlsweep::failure::{Failure, Stage};
use tlsweep::feed::input::Place;
use tlsweep::feed::target::Target;
use tlsweep::report::output::{FORMATS, Layout};
use tlsweep::report::record::{Record, Tls};
use tlsweep::report::schema::Fields;
use tlsweep::report::status::Status;
use tlsweep::report::summary::Tally;
use tlsweep::signature::{Proof, Unproven};

#[allow(unused_imports, reason = "not every bench runs them")]
pub(crate) use costly::{DENSE_ANSWERS, costly, dense, leaf_key};

const LEAF: &[u8] = include_bytes!("../../tests/fuzz/pki/leaf.der");
const RICH_LEAF: &[u8] = include_bytes!("../../tests/fuzz/pki/rich.der");
const INTERMEDIATE: &[u8] = include_bytes!("../../tests/fuzz/pki/intermediate.der");

/// 2026-06-01.
const NOW: Duration = Duration::from_secs(1_780_272_000);

/// The name of an operation, and a function that does it once.
pub(crate) type Operation = (&'static str, Box<dyn FnMut()>);

/// All operations.
pub(crate) fn operations() -> Vec<Operation> {
    let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
    let alert = io::Error::new(io::ErrorKind::InvalidData, alert);
    vec![
        ("parse address", parse("192.0.2.1:443")),
        ("parse name, SNI and tag", parse("www.example.com:8443,other.example.com,tag")),
        ("parse name that is not ASCII", parse("bücher.example")),
        ("classify refused", classify(Stage::Connect, refused)),
        ("classify alert", classify(Stage::Handshake, alert)),
        ("facts", facts(LEAF)),
        ("facts of a rich certificate", facts(RICH_LEAF)),
        ("verdict, chain seen before", verdict_seen_before()),
        ("verdict, new leaf", verdict_new_leaf()),
        ("encode text", encode("text", None)),
        ("encode json", encode("json", None)),
        ("encode json, some fields", encode("json", Some("target,ok,tls,trust,cert.not_after"))),
        ("encode csv", encode("csv", None)),
        ("count", count()),
    ]
}

fn parse(line: &'static str) -> Box<dyn FnMut()> {
    Box::new(move || drop(black_box(black_box(line).parse::<Target>().unwrap())))
}

fn classify(stage: Stage, error: io::Error) -> Box<dyn FnMut()> {
    Box::new(move || drop(black_box(Failure::from_io(stage, black_box(&error)))))
}

fn facts(der: &'static [u8]) -> Box<dyn FnMut()> {
    Box::new(move || drop(black_box(Certificate::new(black_box(der)))))
}

static NAME: LazyLock<ServerName<'static>> =
    LazyLock::new(|| ServerName::try_from("www.example.com").unwrap());

/// It costs no more and no less than a verdict on a proven chain.
static UNPROVEN: Proof = Proof::Unproven(Unproven::Unfinished);

fn presented<'a>(chain: &'a [CertificateDer<'a>]) -> Presented<'a> {
    Presented { chain, name: Some(&NAME), ocsp: &[], proof: &UNPROVEN }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + NOW
}

fn verdict_seen_before() -> Box<dyn FnMut()> {
    let judge = Judge::new(Roots::built_in());
    let chain = [LEAF, INTERMEDIATE].map(CertificateDer::from);
    Box::new(move || drop(black_box(judge.examine(presented(&chain), now(), Wanted::default()))))
}

/// Of an issuer without a root: one signature is checked, the leaf's, and it does not hold.
fn verdict_new_leaf() -> Box<dyn FnMut()> {
    let judge = Judge::new(Roots::built_in());
    let mut leaf = LEAF.to_vec();
    let mut number = 0_u32;
    Box::new(move || {
        // The end of the signature: the certificate can be read as before.
        number += 1;
        let end = leaf.len() - 3;
        leaf[end..].copy_from_slice(&number.to_be_bytes()[1..]);
        let chain = [CertificateDer::from(leaf.as_slice()), INTERMEDIATE.into()];
        drop(black_box(judge.examine(presented(&chain), now(), Wanted::default())));
    })
}

fn encode(format: &str, fields: Option<&str>) -> Box<dyn FnMut()> {
    let record = full_record();
    let (_, make) = FORMATS.into_iter().find(|(name, _)| *name == format).unwrap();
    let fields = fields.map(|fields| Fields::parse(fields).unwrap());
    let format = make(&Layout { fields, ..Layout::default() });
    let mut line = Vec::new();
    Box::new(move || {
        line.clear();
        format.append(black_box(&record), &mut line).unwrap();
        black_box(&line);
    })
}

fn count() -> Box<dyn FnMut()> {
    let records = [full_record()];
    let status = Status::default();
    Box::new(move || status.count(&Tally::of(black_box(&records))))
}

/// What a good server leaves behind.
pub(crate) fn full_record() -> Record {
    let text = |text: &str| Some(text.to_owned());
    let target = "www.example.com,,tag".parse().unwrap();
    let chain = [RICH_LEAF, INTERMEDIATE].map(CertificateDer::from);
    let judge = Judge::new(Roots::built_in());
    let mut record = Record::of_target(Place { line: 1, number: 1 }, &target, 443, now());
    record.set_examined(judge.examine(presented(&chain), now(), Wanted::default()));
    record.sni = text("www.example.com");
    record.addr = Some([192, 0, 2, 1].into());
    record.ok = true;
    let mut tls = Tls::default();
    tls.version = Some("TLSv1.3".into());
    tls.cipher = Some("TLS_AES_128_GCM_SHA256".into());
    tls.group = Some("X25519MLKEM768".into());
    tls.alpn = text("h2");
    tls.signature = Some("ecdsa_secp256r1_sha256".into());
    tls.signature_verified = Some(true);
    tls.hello_retry = Some(false);
    tls.client_cert_requested = Some(false);
    tls.ocsp_stapled = Some(false);
    record.tls = Some(Box::new(tls));
    let read = serde_json::json!({ "bytes": 0, "end": "close_notify" });
    record.read = Some(serde_json::from_value(read).unwrap());
    record.sent = Some(1621);
    record.received = Some(2986);
    record.ms.connect = Some(10.482);
    record.ms.handshake = Some(12.217);
    record.ms.read = Some(10.338);
    record.ms.total = 33.4;
    record.attempts = Some(1);
    record
}
