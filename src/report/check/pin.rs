//! `pin=SHA256`: a shown certificate has none of the expected keys, or its key was not proved.

use super::{Row, Value, shows_a_peer};
use crate::report::record::Presented;

pub(super) const ROW: Row = Row {
    name: "pin",
    value: Value::Required("SHA256"),
    help: "the leaf's key matches no pin (SHA-256 of its SPKI), or the server did not prove that it has the \
           key",
    make: |pins| {
        let pins: Vec<String> =
            pins.split(',').map(|pin| pin.replace(':', "").to_ascii_lowercase()).collect();
        if let Some(wrong) = pins.iter().find(|pin| !is_sha256(pin)) {
            return Err(format!("`{wrong}` is not a SHA-256: write its 64 hexadecimal digits"));
        }
        Ok(Box::new(move |record| {
            let is_expected = |presented: Presented<'_>| {
                let key = presented.cert.and_then(|cert| cert.spki_sha256.as_ref());
                let has_proof = presented.signature_verified == Some(true);
                has_proof && key.is_some_and(|key| pins.contains(key))
            };
            let standing = usize::from(!shows_a_peer(record));
            !record.presented().skip(standing).all(is_expected)
        }))
    },
};

fn is_sha256(pin: &str) -> bool {
    pin.len() == 64 && pin.bytes().all(|byte| byte.is_ascii_hexdigit())
}
