//! `pin=SHA256`: the peer did not prove that it has one of the expected keys.

use super::{Row, shows_a_peer};
use crate::report::record::Record;

pub(super) const ROW: Row = Row {
    name: "pin",
    value: Some("SHA256"),
    help: "the SHA-256 of the leaf's SPKI is not this one, nor any other pin, or the key is unproven",
    make: |pins| {
        let pins: Vec<String> =
            pins.split(',').map(|pin| pin.replace(':', "").to_ascii_lowercase()).collect();
        if let Some(wrong) = pins.iter().find(|pin| !is_sha256(pin)) {
            return Err(format!("`{wrong}` is not a SHA-256: write its 64 hexadecimal digits"));
        }
        Ok(Box::new(move |record| {
            let key = record.cert.as_ref().and_then(|cert| cert.spki_sha256.as_ref());
            let is_expected = key.is_some_and(|key| pins.contains(key));
            shows_a_peer(record) && !(is_expected && has_proof(record))
        }))
    },
};

/// Whether the peer has the key of the certificate that it showed.
fn has_proof(record: &Record) -> bool {
    record.tls.as_ref().is_some_and(|tls| tls.signature_verified == Some(true))
}

fn is_sha256(pin: &str) -> bool {
    pin.len() == 64 && pin.bytes().all(|byte| byte.is_ascii_hexdigit())
}
