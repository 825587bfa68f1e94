//! OCSP responses made by hand.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rcgen::SigningKey as _;
use rustls_pki_types::CertificateDer;

use super::certs::{Entity, children, element, now};

pub(crate) const GOOD: &[u8] = &[0x80, 0];
pub(crate) const UNKNOWN: &[u8] = &[0x82, 0];

/// Revoked at the start of 2024.
pub(crate) fn revoked() -> Vec<u8> {
    element(0xa1, &[element(0x18, &[b"20240101000000Z".to_vec()])])
}

/// What is said of a certificate, from and until so many days from now.
pub(crate) fn answer(
    leaf: &CertificateDer<'_>,
    issuer: &Entity,
    status: &[u8],
    from: i64,
    until: Option<i64>,
) -> Vec<u8> {
    answer_at(leaf, issuer, status, in_days(from), until.map(in_days))
}

/// What is said of a certificate, from and until these moments.
pub(crate) fn answer_at(
    leaf: &CertificateDer<'_>,
    issuer: &Entity,
    status: &[u8],
    from: SystemTime,
    until: Option<SystemTime>,
) -> Vec<u8> {
    let fields = children(&children(&issuer.der)[0]);
    let serial = children(&children(leaf)[0])[1].clone();
    let key = children(&fields[6])[1].clone();
    let sha1 = [0x2b, 0x0e, 3, 2, 0x1a];
    let hashed = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec();
    let id = element(
        0x30,
        &[
            element(0x30, &[element(6, &[sha1.to_vec()])]),
            element(4, &[hashed(&fields[5])]),
            // Behind the header and the count of unused bits.
            element(4, &[hashed(&key[3..])]),
            serial,
        ],
    );
    let next = until.map(|moment| element(0xa0, &[time(moment)]));
    element(0x30, &[id, status.to_vec(), time(from), next.unwrap_or_default()])
}

/// A response by this responder, by name.
pub(crate) fn response(
    responder: &Entity,
    answers: &[Vec<u8>],
    certificate: Option<&CertificateDer<'_>>,
) -> Vec<u8> {
    let subject = children(&children(&responder.der)[0])[5].clone();
    let data = element(0x30, &[element(0xa1, &[subject]), time(now()), element(0x30, answers)]);
    let ecdsa_sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let signature = responder.key.sign(&data).unwrap();
    let certificates =
        certificate.map(|der| element(0xa0, &[element(0x30, &[der.to_vec()])])).unwrap_or_default();
    let basic = element(
        0x30,
        &[
            data,
            element(0x30, &[element(6, &[ecdsa_sha256.to_vec()])]),
            element(3, &[vec![0], signature]),
            certificates,
        ],
    );
    let id_basic = [0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
    let bytes = element(0x30, &[element(6, &[id_basic.to_vec()]), element(4, &[basic])]);
    element(0x30, &[vec![0x0a, 1, 0], element(0xa0, &[bytes])])
}

fn in_days(days: i64) -> SystemTime {
    let length = Duration::from_secs(86_400 * days.unsigned_abs());
    match days < 0 {
        true => now() - length,
        false => now() + length,
    }
}

/// A GeneralizedTime.
fn time(moment: SystemTime) -> Vec<u8> {
    let text = humantime::format_rfc3339_seconds(moment).to_string();
    element(0x18, &[text.replace(['-', ':', 'T'], "").into_bytes()])
}
