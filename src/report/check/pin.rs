//! `pin=SHA256`: the leaf's key is none of those that were expected.

use super::Row;

pub(super) const ROW: Row = Row {
    name: "pin",
    value: Some("SHA256"),
    help: "the SHA-256 of the leaf's SPKI is not this one, nor any other pin",
    make: |pins| {
        let pins: Vec<String> =
            pins.split(',').map(|pin| pin.replace(':', "").to_ascii_lowercase()).collect();
        if let Some(wrong) = pins.iter().find(|pin| !is_sha256(pin)) {
            return Err(format!("`{wrong}` is not a SHA-256: write its 64 hexadecimal digits"));
        }
        Ok(Box::new(move |record| {
            let key = record.cert.as_ref().and_then(|cert| cert.spki_sha256.as_ref());
            key.is_some_and(|key| !pins.contains(key))
        }))
    },
};

fn is_sha256(pin: &str) -> bool {
    pin.len() == 64 && pin.bytes().all(|byte| byte.is_ascii_hexdigit())
}
