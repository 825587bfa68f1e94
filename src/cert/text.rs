//! Bytes and moments as text.

use sha2::{Digest as _, Sha256};
use x509_parser::time::ASN1Time;

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let digits = [byte >> 4, byte & 0x0f];
        out.extend(digits.map(|digit| char::from_digit(digit.into(), 16).unwrap_or_default()));
    }
    out
}

/// SHA-256, which names certificates and keys.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A moment (seconds since 1970) by RFC 3339 in UTC.
pub(super) fn rfc3339(seconds: i64) -> Option<String> {
    let moment = ASN1Time::from_timestamp(seconds).ok()?.to_datetime();
    let (hour, minute, second) = moment.to_hms();
    Some(format!(
        "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
    ))
}

/// The certificate as a PEM block.
pub fn pem(der: &[u8]) -> String {
    let base64 = base64(der);
    let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in lines {
        out.push_str(&line);
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let octet = |at: usize| group.get(at).map_or(0, |&octet| u32::from(octet));
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        for at in 0..4 {
            let digit = bits >> (18 - 6 * at) & 0x3f;
            match DIGITS.get(digit as usize) {
                Some(&digit) if at <= group.len() => out.push(char::from(digit)),
                _ => out.push('='),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds).as_deref(), Some(text));
        }
        assert_eq!(rfc3339(i64::MAX), None);
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
