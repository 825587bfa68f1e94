use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;

use crate::cert::{Certificate, Problem, Trust, Verdict};
use crate::feed::input::Place;
use crate::names::{Group, Suite};
use crate::report::record::{Record, Tls};
use crate::tls::enumerate::Support;
use crate::tls::posture::Posture;

const PIN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A record that meets no condition but `no-staple`.
fn record() -> Record {
    let target = "192.0.2.1".parse().unwrap();
    let mut record =
        Record::of_target(Place { line: 1, number: 1 }, &target, 443, SystemTime::UNIX_EPOCH);
    record.ok = true;
    record.tls = Some(Box::new(Tls {
        version: Some("TLSv1.3".into()),
        group: Some("X25519MLKEM768".into()),
        signature_verified: Some(true),
        ocsp_stapled: Some(true),
        ..Tls::default()
    }));
    let mut leaf = Certificate::default();
    leaf.not_before = Some("1970-01-01T00:00:00Z".to_owned());
    leaf.not_after = Some("1970-02-01T00:00:00Z".to_owned());
    leaf.spki_sha256 = Some(PIN.to_owned());
    record.cert = Some(leaf.into());
    record.trust = Some(Box::new(trust(&[])));
    record
}

fn leaf(record: &mut Record) -> &mut Certificate {
    Arc::make_mut(record.cert.as_mut().unwrap())
}

fn trust(problems: &[Problem]) -> Trust {
    let verdict = match problems.first() {
        Some(gravest) => Verdict::Untrusted(*gravest),
        None => Verdict::Trusted(crate::cert::Trusted::Trusted),
    };
    Trust {
        verdict,
        problems: problems.to_vec(),
        name_ok: None,
        anchor: None,
        not_after: Some("1970-02-01T00:00:00Z".to_owned()),
        days_left: None,
        not_evaluated: Vec::new(),
        revoked_by: None,
    }
}

fn met(list: &str, record: &Record) -> Vec<String> {
    Checks::parse([list]).unwrap().met_by(record)
}

#[test]
fn each_condition_is_met_by_what_it_names_and_by_nothing_else() {
    type Change = fn(&mut Record);
    let cases: [(&str, Change); 12] = [
        ("error", |r| r.ok = false),
        ("untrusted", |r| r.trust = Some(Box::new(trust(&[Problem::UnknownIssuer])))),
        ("self-signed", |r| r.trust = Some(Box::new(trust(&[Problem::SelfSigned])))),
        ("expires-in=30d", |r| {
            r.trust.as_mut().unwrap().not_after = Some("1970-01-30T23:59:59Z".to_owned());
        }),
        ("expires-in=50%", |r| {
            r.trust.as_mut().unwrap().not_after = Some("1970-01-16T00:00:00Z".to_owned());
        }),
        ("min-tls=1.3", |r| r.tls.as_mut().unwrap().version = Some("TLSv1.2".into())),
        ("min-tls=1.0", |r| r.tls.as_mut().unwrap().version = Some("SSLv3".into())),
        ("weak", |r| r.trust = Some(Box::new(trust(&[Problem::Expired, Problem::WeakKey])))),
        ("no-pq", |r| r.tls.as_mut().unwrap().group = Some("x25519".into())),
        ("no-pq", |r| {
            let tls = r.tls.as_mut().unwrap();
            (tls.group, tls.key_exchange) = (None, Some(Posture::Classical));
        }),
        ("no-staple", |r| r.tls.as_mut().unwrap().ocsp_stapled = Some(false)),
        ("pin", |r| leaf(r).spki_sha256 = Some("ff".repeat(32))),
    ];
    for (name, change) in cases {
        let written = if name == "pin" { format!("pin={PIN}") } else { name.to_owned() };
        let mut record = record();
        assert!(met(&written, &record).is_empty(), "{name}");
        change(&mut record);
        assert_eq!(met(&written, &record), [name]);
    }
}

#[test]
fn what_was_not_observed_meets_nothing() {
    let mut record = record();
    (record.tls, record.cert, record.trust) = (None, None, None);
    let all = "untrusted,expires-in=1d,min-tls=1.3,weak,no-pq,no-staple,expired,name_mismatch";
    assert!(met(&format!("{all},pin={PIN}"), &record).is_empty());
}

#[test]
fn a_pin_without_a_proof_is_no_match() {
    let pin = format!("pin={PIN}");
    for verified in [None, Some(false)] {
        let mut record = record();
        record.tls.as_mut().unwrap().signature_verified = verified;
        assert_eq!(met(&pin, &record), ["pin"], "{verified:?}");
    }
    let mut unreadable = record();
    leaf(&mut unreadable).spki_sha256 = None;
    assert_eq!(met(&pin, &unreadable), ["pin"]);
    let mut anonymous = record();
    (anonymous.cert, anonymous.trust) = (None, None);
    anonymous.tls.as_mut().unwrap().signature_verified = None;
    assert!(met(&pin, &anonymous).is_empty(), "a handshake that ended before the certificate");
    anonymous.tls.as_mut().unwrap().legacy = Some(true);
    assert_eq!(met(&format!("untrusted,{pin}"), &anonymous), ["untrusted", "pin"]);
}

#[test]
fn a_false_signature_is_untrusted_without_a_verdict() {
    let mut record = record();
    record.trust = None;
    assert!(met("untrusted", &record).is_empty(), "nobody asked for a verdict");
    record.tls.as_mut().unwrap().signature_verified = Some(false);
    assert_eq!(met("untrusted", &record), ["untrusted"]);
}

#[test]
fn without_a_verdict_the_leaf_counts() {
    let mut record = record();
    record.trust = None;
    assert_eq!(met("expires-in=32d", &record), ["expires-in=32d"]);
    assert!(met("expires-in=31d,expires-in=50%", &record).is_empty());
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(20 * 86_400);
    record.time = later.into();
    assert_eq!(met("expires-in=30%,expires-in=40%", &record), ["expires-in=40%"]);
}

#[test]
fn what_has_ended_expires_in_any_time_however_odd_its_dates() {
    for (from, until) in [
        ("1950-01-01T00:00:00Z", "1969-12-31T23:59:59Z"),
        ("1970-01-01T00:00:00Z", "1960-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "1970-01-05T00:00:00Z"),
    ] {
        let mut record = record();
        record.trust = None;
        record.time = (SystemTime::UNIX_EPOCH + Duration::from_secs(20 * 86_400)).into();
        let cert = leaf(&mut record);
        (cert.not_before, cert.not_after) = (Some(from.to_owned()), Some(until.to_owned()));
        let all = "expires-in=1s,expires-in=30%";
        assert_eq!(met(all, &record).join(","), all, "{from} {until}");
    }
}

#[test]
fn a_time_longer_than_the_clock_counts_is_met() {
    let all = "expires-in=18446744073709551615s";
    assert_eq!(met(all, &record()), [all]);
}

#[test]
fn a_share_of_an_unknown_lifetime_is_not_met() {
    let mut record = record();
    leaf(&mut record).not_before = None;
    assert!(met("expires-in=100%", &record).is_empty());
}

#[test]
fn several_pins_are_one_condition() {
    let other = "AA:".repeat(31) + "aa";
    assert!(met(&format!("pin={other},pin={PIN}"), &record()).is_empty());
    assert_eq!(met(&format!("pin={other}"), &record()), ["pin"]);
}

#[test]
fn a_wrong_word_names_the_right_one() {
    for (word, hint) in [
        ("untrustd", "`untrusted`"),
        ("self_singed", "`self-signed`"),
        ("expires=3d", "`expired`"),
        ("expires-in", "`expires-in=30d`"),
        ("expires-in=soon", "30d, 36h or 30%"),
        ("expires-in=101%", "from 0 to 100"),
        ("expires-in=-1%", "from 0 to 100"),
        ("expires-in=%", "from 0 to 100"),
        ("error=1", "`error`"),
        ("min-tls=1.4", "1.3"),
        ("pin=abc", "64"),
        ("profile=old", "modern and intermediate"),
        ("profile=modern/cipher", "tls_versions, ciphers"),
        ("profile=modern/ciphers/known", "unknown or nothing"),
        ("", "did you mean"),
    ] {
        let error = Checks::parse([word]).unwrap_err().to_string();
        assert!(error.contains(hint), "{word}: {error}");
    }
}

/// A record of a server that keeps the profile `modern`, as far as `--enumerate` can see.
fn modern() -> Record {
    let mut record = record();
    let leaf = leaf(&mut record);
    leaf.key = Some("EC".to_owned());
    leaf.key_curve = Some("secp256r1".to_owned());
    leaf.signature_algorithm = Some("ecdsa-with-SHA256".to_owned());
    leaf.lifetime_days = Some(90);
    let enumeration = serde_json::json!({
        "versions": [
            { "version": "TLSv1.2", "support": "not_supported", "complete": true },
            {
                "version": "TLSv1.3",
                "support": "supported",
                "suites": [{ "suite": "TLS_AES_128_GCM_SHA256" }],
                "complete": true,
            },
        ],
        "curves": [],
        "curves_complete": true,
        "groups": ["x25519", "X25519MLKEM768"],
        "groups_complete": true,
        "compression": "not_supported",
        "fallback_scsv": "unknown",
        "secure_renegotiation": "unknown",
        "extended_master_secret": "unknown",
        "certificates_complete": true,
        "ssl2": { "support": "not_supported" },
    });
    record.enumeration = Some(Box::new(serde_json::from_value(enumeration).unwrap()));
    record
}

#[test]
fn a_profile_names_what_a_server_breaks_and_what_nobody_knows() {
    type Change = fn(&mut Record);
    let cases: [(&str, Change); 14] = [
        ("tls_versions", |r| r.tls.as_mut().unwrap().version = Some("TLSv1.2".into())),
        ("tls_versions", |r| {
            r.enumeration.as_mut().unwrap().versions[0].support = Support::Supported;
        }),
        ("tls_versions", |r| r.enumeration.as_mut().unwrap().ssl2.support = Support::Supported),
        ("tls_versions/unknown", |r| {
            r.enumeration.as_mut().unwrap().ssl2.support = Support::Unknown;
        }),
        ("ciphers", |r| r.tls.as_mut().unwrap().cipher = Some("TLS_AES_128_CCM_SHA256".into())),
        ("ciphers", |r| {
            r.enumeration.as_mut().unwrap().versions[1].suites[0].suite = Suite(0x1304);
        }),
        ("ciphers/unknown", |r| r.enumeration.as_mut().unwrap().versions[1].complete = false),
        ("tls_curves", |r| r.enumeration.as_mut().unwrap().groups.push(Group(30))),
        ("tls_curves/unknown", |r| r.enumeration.as_mut().unwrap().curves_complete = false),
        ("certificate_types", |r| leaf(r).key = Some("Ed25519".to_owned())),
        ("certificate_curves", |r| {
            leaf(r).key_curve = Some("secp521r1".to_owned());
        }),
        ("certificate_signatures", |r| {
            leaf(r).signature_algorithm = Some("sha256WithRSAEncryption".to_owned());
        }),
        ("certificate_signatures/unknown", |r| leaf(r).signature_algorithm = None),
        ("maximum_certificate_lifespan", |r| leaf(r).lifetime_days = Some(91)),
    ];
    assert!(met("profile=modern", &modern()).is_empty());
    for (rule, change) in cases {
        let mut record = modern();
        change(&mut record);
        assert_eq!(met("profile=modern", &record), [format!("profile=modern/{rule}")]);
    }
    let mut rsa = modern();
    let leaf = leaf(&mut rsa);
    (leaf.key, leaf.key_bits) = (Some("RSA".to_owned()), Some(1_024));
    assert_eq!(met("profile=intermediate", &rsa), ["profile=intermediate/rsa_key_size"]);
}

#[test]
fn without_an_enumeration_every_rule_that_is_not_broken_is_unknown() {
    let mut record = modern();
    record.enumeration = None;
    record.tls.as_mut().unwrap().version = Some("TLSv1.2".into());
    let met_by_record = met("profile=modern", &record);
    assert_eq!(met_by_record[0], "profile=modern/tls_versions");
    assert_eq!(met_by_record.len(), 8, "{met_by_record:?}");
    assert!(met_by_record[1..].iter().all(|rule| rule.ends_with("/unknown")), "{met_by_record:?}");
    assert_eq!(met("profile=modern/tls_versions", &record), ["profile=modern/tls_versions"]);
    record.tls = None;
    assert!(met("profile=modern", &record).is_empty(), "nobody answered");
}
