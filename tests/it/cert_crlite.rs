//! Filters of CRLite: which certificates they cover, and what becomes of the verdict.

use std::fs::{self, File};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clubcard::builder::{ApproximateRibbon, ClubcardBuilder, ExactRibbon};
use clubcard_crlite::builder::CRLiteBuilderItem;
use clubcard_crlite::{CRLiteClubcard, CRLiteCoverage, CRLiteQuery, Encoding, IssuerSpkiHash};
use data_encoding::BASE64;
use rcgen::{CertificateParams, CustomExtension, PublicKeyData as _, SerialNumber};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tlsweep::cert::{Crlite, CrliteStatus, Judge, Presented, Problem, RevokedBy, Wanted, pem};
use tlsweep::limits::CRLITE_LIMIT;

use crate::support::certs::{Entity, HELD, Pki, ca, element, example, judge, now};
use crate::support::cmd::{Outcome, Tlsweep};
use crate::support::served::showing;

/// The OID 1.3.6.1.4.1.11129.2.4.2, the list of timestamps in a certificate.
const TIMESTAMPS: [u64; 10] = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];

/// Days since 1970 of the moments in these tests.
const BEFORE: u64 = 20_000;
const WITHIN: u64 = 20_050;
const AFTER: u64 = 20_100;

/// A log, by the byte that its id is full of.
type Log = u8;

/// Serial numbers as they stand in the certificates: the second would be negative without its zero.
const REVOKED: [&[u8]; 3] = [&[1], &[0, 0x80], &[0x12; 20]];
const GOOD: [&[u8]; 2] = [&[2], &[0, 0x81]];

fn milliseconds(days: u64) -> u64 {
    days * 24 * 60 * 60 * 1000
}

/// What `leaf` becomes with this number and these timestamps.
fn stamped(leaf: CertificateParams, serial: &[u8], stamps: &[(Log, u64)]) -> CertificateParams {
    let mut list = Vec::new();
    for (log, days) in stamps {
        // A version, the log, the time, no extensions, and a signature that nobody looks at.
        let stamp =
            [&[0][..], &[*log; 32], &milliseconds(*days).to_be_bytes(), &[0, 0], &[4, 3, 0, 1, 0]]
                .concat();
        list.extend(u16::try_from(stamp.len()).unwrap().to_be_bytes());
        list.extend(stamp);
    }
    let list = [&u16::try_from(list.len()).unwrap().to_be_bytes()[..], &list].concat();
    let mut leaf = leaf;
    leaf.serial_number = Some(SerialNumber::from_slice(serial));
    let content = element(0x04, &[list]);
    let extension = CustomExtension::from_oid_content(&TIMESTAMPS, content);
    if !stamps.is_empty() {
        leaf.custom_extensions.push(extension);
    }
    leaf
}

fn pki(serial: &[u8], stamps: &[(Log, u64)]) -> Pki {
    Pki::of(Entity::root("root"), ca("intermediate"), stamped(example(), serial, stamps))
}

/// The SHA-256 of the key of a CA, with its header.
fn key_hash(ca: &Entity) -> [u8; 32] {
    Sha256::digest(ca.key.subject_public_key_info()).into()
}

/// A filter of these logs and days that knows the numbers above of this CA.
fn filter(ca: &Entity, logs: &[(Log, u64, u64)], revoked: &[&[u8]], good: &[&[u8]]) -> Vec<u8> {
    encoded(ca, logs, (revoked, good), Encoding::V4)
}

fn encoded(
    ca: &Entity,
    logs: &[(Log, u64, u64)],
    (revoked, good): (&[&[u8]], &[&[u8]]),
    encoding: Encoding,
) -> Vec<u8> {
    let issuer = key_hash(ca);
    let item = |make: fn(IssuerSpkiHash, Vec<u8>) -> CRLiteBuilderItem, serial: &[u8]| {
        make(IssuerSpkiHash(issuer), serial.to_vec())
    };
    // A filter of a few is all exceptions, so others are added, as many as make it a filter.
    let others: Vec<Vec<u8>> =
        (0..2_000_u32).map(|number| [&[0x55][..], &number.to_be_bytes()].concat()).collect();
    let (more_revoked, more_good) = others.split_at(500);
    let revoked = revoked.iter().copied().chain(more_revoked.iter().map(Vec::as_slice));
    let good = good.iter().copied().chain(more_good.iter().map(Vec::as_slice));
    let mut builder = ClubcardBuilder::new();
    let mut approximate = builder.new_approx_builder(&issuer);
    revoked.clone().for_each(|serial| approximate.insert(item(CRLiteBuilderItem::revoked, serial)));
    approximate.set_universe_size(revoked.clone().count() + good.clone().count());
    builder.collect_approx_ribbons(vec![ApproximateRibbon::from(approximate)]);
    let mut exact = builder.new_exact_builder(&issuer);
    revoked.for_each(|serial| exact.insert(item(CRLiteBuilderItem::revoked, serial)));
    good.for_each(|serial| exact.insert(item(CRLiteBuilderItem::not_revoked, serial)));
    let exact = vec![ExactRibbon::from(exact)];
    builder.collect_exact_ribbons(exact);
    let coverage: Vec<_> = logs
        .iter()
        .map(|(log, from, to)| {
            json!({
                "LogID": BASE64.encode(&[*log; 32]),
                "MinTimestamp": milliseconds(*from),
                "MaxTimestamp": milliseconds(*to),
                "MMD": 0,
                "MinEntry": 0,
            })
        })
        .collect();
    let coverage = Value::from(coverage).to_string();
    let coverage = CRLiteCoverage::from_mozilla_ct_logs_json(coverage.as_bytes());
    let filter = CRLiteClubcard::from(builder.build::<CRLiteQuery<'_>>(coverage, ()));
    filter.to_bytes(encoding).unwrap()
}

fn with_filters(judge: Judge, filters: &[Vec<u8>]) -> Judge {
    let mut crlite = Crlite::default();
    filters.iter().for_each(|filter| crlite.add(filter).unwrap());
    judge.with_crlite(Arc::new(crlite))
}

/// What becomes of the chain with these filters.
fn verdict(pki: &Pki, filters: &[Vec<u8>]) -> (Option<CrliteStatus>, Vec<Problem>) {
    let judge = with_filters(judge(&[&pki.root.der]), filters);
    let chain = [pki.leaf.der.clone(), pki.ca.der.clone()];
    let name = ServerName::try_from("example.com").unwrap();
    let presented = Presented { chain: &chain, name: Some(&name), ocsp: &[], proof: &HELD };
    let examined = judge.examine(presented, now(), Wanted::default());
    let trust = examined.trust.unwrap();
    let is_revoked = trust.problems.contains(&Problem::Revoked);
    assert_eq!(trust.revoked_by, is_revoked.then_some(RevokedBy::Crlite));
    (examined.revocation.and_then(|revocation| revocation.crlite), trust.problems)
}

const WHOLE: [(Log, u64, u64); 1] = [(7, BEFORE, AFTER)];
const STAMPS: [(Log, u64); 1] = [(7, WITHIN)];

#[test]
fn a_filter_knows_which_of_its_certificates_are_revoked() {
    let revoked = (Some(CrliteStatus::Revoked), vec![Problem::Revoked]);
    let good = (Some(CrliteStatus::Good), vec![]);
    for (serials, expected) in [(&REVOKED[..], revoked), (&GOOD[..], good)] {
        for serial in serials {
            let pki = pki(serial, &STAMPS);
            for encoding in [Encoding::V3, Encoding::V4] {
                let filter = encoded(&pki.ca, &WHOLE, (&REVOKED, &GOOD), encoding);
                assert_eq!(verdict(&pki, &[filter]), expected, "{serial:?} {encoding:?}");
            }
            assert_eq!(verdict(&pki, &[]), (None, vec![]));
        }
    }
}

/// The timestamps say whether a filter covers a certificate, and the issuer whether it knows it.
#[test]
fn four_answers() {
    let not_covered = CrliteStatus::NotCovered;
    let stamps: [(&[(Log, u64)], CrliteStatus); 6] = [
        (&[], not_covered),
        (&[(7, BEFORE - 1)], not_covered),
        (&[(7, AFTER + 1)], not_covered),
        (&[(8, WITHIN)], not_covered),
        (&[(8, WITHIN), (7, AFTER)], CrliteStatus::Revoked),
        (&[(7, AFTER + 1), (7, BEFORE)], CrliteStatus::Revoked),
    ];
    for (stamps, expected) in stamps {
        let pki = pki(REVOKED[0], stamps);
        let filter = filter(&pki.ca, &WHOLE, &REVOKED, &GOOD);
        assert_eq!(verdict(&pki, &[filter]).0, Some(expected), "{stamps:?}");
    }
    let pki = pki(REVOKED[0], &STAMPS);
    let of_another = filter(&Entity::root("another"), &WHOLE, &REVOKED, &GOOD);
    assert_eq!(verdict(&pki, &[of_another]), (Some(CrliteStatus::NotEnrolled), vec![]));
}

/// The answer of one filter is not that of all (rustls/upki#183).
#[test]
fn every_filter_is_asked() {
    let pki = pki(REVOKED[0], &STAMPS);
    let no = |logs: &[(Log, u64, u64)]| filter(&pki.ca, logs, &[], &[REVOKED[0]]);
    let yes = |logs: &[(Log, u64, u64)]| filter(&pki.ca, logs, &REVOKED, &[]);
    let earlier = [(7, BEFORE - 100, BEFORE)];
    let of_another = filter(&Entity::root("another"), &WHOLE, &REVOKED, &GOOD);
    for (filters, expected) in [
        (vec![no(&WHOLE), yes(&WHOLE)], CrliteStatus::Revoked),
        (vec![yes(&WHOLE), no(&WHOLE)], CrliteStatus::Revoked),
        // The second does not cover it.
        (vec![no(&WHOLE), yes(&earlier)], CrliteStatus::Good),
        (vec![of_another.clone(), yes(&WHOLE)], CrliteStatus::Revoked),
        (vec![of_another.clone(), no(&WHOLE)], CrliteStatus::Good),
        (vec![of_another, yes(&earlier)], CrliteStatus::NotEnrolled),
    ] {
        assert_eq!(verdict(&pki, &filters).0, Some(expected));
    }
}

/// Whom nobody trusts may have any name and number.
#[test]
fn nothing_is_said_without_a_path() {
    let pki = pki(REVOKED[0], &STAMPS);
    let filters = [filter(&pki.ca, &WHOLE, &REVOKED, &GOOD)];
    let judge = with_filters(judge(&[&Entity::root("other").der]), &filters);
    let chain = [pki.leaf.der.clone(), pki.ca.der.clone()];
    let presented = Presented { chain: &chain, name: None, ocsp: &[], proof: &HELD };
    let examined = judge.examine(presented, now(), Wanted::default());
    assert_eq!(examined.revocation.unwrap().crlite, Some(CrliteStatus::NotCovered));
    assert!(!examined.trust.unwrap().problems.contains(&Problem::Revoked));
}

#[test]
fn files_that_are_no_filters_say_why() {
    let pki = pki(REVOKED[0], &STAMPS);
    for encoding in [Encoding::V3, Encoding::V4] {
        let whole = encoded(&pki.ca, &WHOLE, (&REVOKED, &GOOD), encoding);
        assert!(Crlite::default().add(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(Crlite::default().add(&whole[..length]).is_err(), "{encoding:?} {length}");
        }
    }
    let why = |file: &[u8]| Crlite::default().add(file).unwrap_err().to_string();
    let other = why(b"\x09\0");
    assert!(other.contains("unsupported clubcard version (9)"), "{other}");
    assert!(why(b"").contains("not enough bytes"), "{}", why(b""));
}

/// A folder of filters, and a server that shows a certificate.
struct Scene {
    pki: Pki,
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let pki = pki(REVOKED[0], &[(7, today())]);
        fs::write(dir.path().join("root.pem"), pem(&pki.root.der)).unwrap();
        Self { pki, dir }
    }

    fn filter(&self, until: u64) -> Vec<u8> {
        filter(&self.pki.ca, &[(7, BEFORE, until)], &REVOKED, &GOOD)
    }

    fn write(&self, name: &str, file: &[u8]) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }

    fn sweep(&self, folder: &str) -> Outcome {
        let chain: [CertificateDer<'static>; 2] =
            [self.pki.leaf.der.clone(), self.pki.ca.der.clone()];
        let peer = showing(&chain, &self.pki.leaf.key.serialize_der()).unwrap().start();
        let path = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        let args =
            ["--roots", &path("root.pem"), "--crlite", &path(folder), "--sni", "example.com"];
        Tlsweep::json().args(args).sweep([peer.target()])
    }

    /// What the detail says of a record.
    fn detail(&self, record: &str) -> String {
        self.write("record.jsonl", record.as_bytes());
        let path = self.dir.path().join("record.jsonl");
        let run = Tlsweep::new().args(["-q", "--format", "detail", "--from"]).args([path]);
        run.run("").text().to_owned()
    }
}

/// Days since 1970.
fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / (24 * 60 * 60)
}

#[test]
fn a_sweep_says_who_says_it() {
    let scene = Scene::new();
    scene.write("cache/revocation/full.filter", &scene.filter(BEFORE + 1));
    scene.write("cache/revocation/new.delta", &scene.filter(today()));
    scene.write("cache/revocation/manifest.json", b"{}");
    for folder in ["cache", "cache/revocation"] {
        let outcome = scene.sweep(folder);
        let record = outcome.only_record();
        assert_eq!(record["trust"]["verdict"], "revoked", "{record:#}");
        assert_eq!(record["trust"]["revoked_by"], "crlite", "{record:#}");
        assert_eq!(record["revocation"], json!({"crlite": "revoked"}), "{record:#}");
        let detail = scene.detail(outcome.text());
        assert!(detail.contains("--crlite: revoked\n"), "{detail}");
        assert!(!outcome.stderr.contains("--crlite"), "{}", outcome.stderr);
    }
}

#[test]
fn old_filters_are_told_about() {
    let scene = Scene::new();
    scene.write("week/one.filter", &scene.filter(today() - 6));
    scene.write("old/one.filter", &scene.filter(today() - 10));
    let fresh = scene.sweep("week");
    assert_eq!(fresh.only_record()["revocation"]["crlite"], "not_covered");
    let detail = scene.detail(fresh.text());
    assert!(detail.contains("--crlite: not covered\n"), "{detail}");
    assert!(!fresh.stderr.contains("--crlite"), "{}", fresh.stderr);
    let old = scene.sweep("old");
    assert_eq!(old.only_record()["revocation"]["crlite"], "not_covered");
    assert!(
        old.stderr.contains("old: the filters know nothing of the last 10 days"),
        "{}",
        old.stderr
    );
}

#[test]
fn folders_that_cannot_be_used() {
    let scene = Scene::new();
    scene.write("empty/readme", b"");
    scene.write("text/one.filter", b"text");
    let whole = scene.filter(today());
    scene.write("cut/one.filter", &whole[..whole.len() - 1]);
    scene.write("large/one.filter", &whole);
    let large = File::create(scene.dir.path().join("large/two.delta")).unwrap();
    large.set_len(CRLITE_LIMIT - whole.len() as u64 + 1).unwrap();
    for (folder, why) in [
        ("missing", "cannot read --crlite "),
        ("root.pem", "cannot read --crlite "),
        ("empty", "no *.filter and no *.delta in it"),
        ("text", "cannot use --crlite "),
        ("cut", "cut/one.filter"),
        ("large", "with this file the filters have more than 10 MiB"),
    ] {
        let outcome = scene.sweep(folder);
        assert_eq!((outcome.code, outcome.records.len()), (Some(2), 0), "{folder}");
        assert!(outcome.stderr.contains(why), "{folder}: {}", outcome.stderr);
    }
}
