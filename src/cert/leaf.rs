//! Faults that the leaf alone shows, even if only a part of it can be read.

use super::algorithms::Algorithms;
use super::der::{Reader, tag};
use super::facts::Certificate;
use super::link::Link;
use super::oid;
use super::problem::Problem;
use super::reading::{KEY_CERT_SIGN, Reading, algorithm_oid, id};
use super::text::DAY;
use crate::signature::{Algorithm, Checked, Key, Proof, Unproven};

/// Every fault of the leaf itself at this moment (seconds since 1970).
pub(super) fn faults(leaf: &Reading<'_>, now: i64) -> impl Iterator<Item = Problem> {
    let ca = leaf.basic_constraints().map(|(ca, _)| ca);
    // webpki does not look at key usages. RFC 5280, section 4.2.1.3: only a CA may sign
    // certificates.
    let is_misused =
        ca == Some(false) && leaf.key_usage().is_some_and(|usage| usage & KEY_CERT_SIGN != 0);
    let is_other_type = leaf
        .extension(id::NETSCAPE_CERT_TYPE)
        .is_some_and(|extension| extension.critical && !is_netscape_server(extension.value));
    [
        (leaf.version.is_some_and(|version| version != 3), Problem::UnsupportedVersion),
        (ca == Some(true), Problem::CaAsLeaf),
        (is_misused || is_other_type, Problem::BadPurpose),
        (leaf.algorithm.is_some_and(is_weak_signature), Problem::WeakSignature),
        (leaf.spki.is_some_and(is_weak_key), Problem::WeakKey),
        (leaf.not_after.is_some_and(|until| until.seconds < now), Problem::Expired),
        (leaf.not_before.is_some_and(|from| from.seconds > now), Problem::NotYetValid),
    ]
    .into_iter()
    .filter_map(|(applies, fault)| applies.then_some(fault))
}

/// Whether the key usage of the leaf forbids the key exchange. RFC 8446, section 4.4.2.2: a key that
/// signs the handshake needs digitalSignature. RFC 5246, section 7.4.2: one that decrypts or agrees
/// needs keyEncipherment or keyAgreement; OpenSSL takes digitalSignature for that as well.
pub(super) fn forbids_key_exchange(leaf: &Certificate, proof: &Proof) -> bool {
    const OF_UNSIGNED: [&str; 3] = ["digitalSignature", "keyEncipherment", "keyAgreement"];
    let allowing = match proof {
        Proof::Unproven(Unproven::Unsigned) => &OF_UNSIGNED[..],
        _ => &["digitalSignature"],
    };
    let usages = leaf.key_usage.as_ref();
    usages.is_some_and(|usages| !usages.iter().any(|usage| allowing.contains(&usage.as_str())))
}

/// Whether the leaf is its own issuer. A signature that cannot be checked counts as one.
pub(super) fn is_self_signed(link: &Link<'_>, algorithms: &Algorithms) -> bool {
    let leaf = &link.reading;
    let check = || {
        let checked = algorithms.check(leaf.spki?, leaf.algorithm?, leaf.tbs?, leaf.signature?);
        Some(checked != Checked::Invalid)
    };
    leaf.self_issued() == Some(true) && check() == Some(true)
}

/// Whether a leaf is valid for longer than browsers allow public CAs (Chromium's
/// `HasTooLongValidity`; ballot SC-081 of the CA/Browser Forum).
pub(super) fn is_valid_too_long(leaf: &Reading<'_>) -> bool {
    /// Seconds since 1970 from which certificates may last this many days, the latest first.
    const LIMITS: [(i64, i64); 4] = [
        (1_868_227_200, 47),  // 2029-03-15
        (1_805_068_800, 100), // 2027-03-15
        (1_773_532_800, 200), // 2026-03-15
        (1_598_918_400, 398), // 2020-09-01
    ];
    let Some((from, until)) = leaf.not_before.zip(leaf.not_after) else {
        return false;
    };
    let limit = LIMITS.iter().find(|(since, _)| from.seconds >= *since);
    limit.is_some_and(|(_, days)| until.seconds - from.seconds > days * DAY)
}

/// Whether Netscape's certificate type, which some old CAs still mark critical, lists servers.
fn is_netscape_server(value: &[u8]) -> bool {
    const SSL_SERVER: u8 = 0x40;
    let bits = Reader::new(value).expect(tag::BIT_STRING).and_then(|bits| bits.value.get(1));
    bits.is_some_and(|bits| bits & SSL_SERVER != 0)
}

pub(super) fn is_weak_key(spki: &[u8]) -> bool {
    Key::read(spki).is_some_and(|key| key.is_weak())
}

fn is_weak_signature(algorithm: &[u8]) -> bool {
    // The hash of RSASSA-PSS is in its parameters.
    let has_weak_hash = Algorithm::of_identifier(algorithm).is_some_and(Algorithm::has_weak_hash);
    has_weak_hash || algorithm_oid(algorithm).is_some_and(oid::is_weak_signature)
}
