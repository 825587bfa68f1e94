//! Bytes and moments as text.

use std::time::SystemTime;

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest as _, Sha256};
use x509_parser::time::ASN1Time;

use crate::escape::{CUT, cut, written_length};
use crate::limits::TEXT_LIMIT;

/// What a line of 64 characters stands for (RFC 7468, section 2).
const OCTETS_IN_A_LINE: usize = 48;

/// Seconds since 1970.
pub(super) fn seconds(moment: SystemTime) -> i64 {
    match moment.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |before| -before)
        }
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Lower-case hex of bytes of any length, cut where it becomes too long for a line.
pub(super) fn bounded_hex(bytes: &[u8]) -> String {
    // One more than can be shown, so that the text is seen to be cut.
    cut(hex(bytes.get(..=TEXT_LIMIT / 2).unwrap_or(bytes)), TEXT_LIMIT)
}

/// The bytes of a line that an element of a list takes besides its text: two quotation marks,
/// which CSV doubles, and a comma.
const ELEMENT: usize = 5;

/// The bytes of a line that a text takes as an element of a list.
pub(super) fn element_length(text: &str) -> usize {
    // CSV writes a blank in an element as `\x20`.
    let blanks = text.bytes().filter(|byte| *byte == b' ').count();
    written_length(text) + 3 * blanks + ELEMENT
}

/// As many of the texts as fit into `limit` bytes of a line, each of them cut at `each` bytes. A
/// list that was cut ends with `…`.
pub(super) fn bounded_list(
    texts: impl IntoIterator<Item = String>,
    each: usize,
    limit: usize,
) -> Vec<String> {
    let mut left = limit;
    let mut kept = Vec::new();
    for text in texts {
        let text = cut(text, each);
        let Some(rest) = left.checked_sub(element_length(&text)) else {
            kept.push(CUT.to_string());
            break;
        };
        left = rest;
        kept.push(text);
    }
    kept
}

/// The bytes of a line that a list takes.
pub(super) fn list_length(list: &[String]) -> usize {
    list.iter().map(|text| element_length(text)).sum()
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

/// Seconds.
pub(super) const DAY: i64 = 86_400;

/// Whole days from now until a moment, both in seconds since 1970; negative when it has passed.
pub(super) fn days_until(moment: i64, now: i64) -> i64 {
    moment.saturating_sub(now).div_euclid(DAY)
}

/// The certificate as a PEM block (RFC 7468).
pub fn pem(der: &[u8]) -> String {
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in der.chunks(OCTETS_IN_A_LINE) {
        BASE64.encode_append(line, &mut out);
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn a_block_is_read_back_whatever_its_length() {
        for length in 1..=2 * OCTETS_IN_A_LINE {
            let der = vec![0xa5; length];
            let read = CertificateDer::from_pem_slice(pem(&der).as_bytes());
            assert_eq!(read.unwrap().as_ref(), der, "{length}");
            assert!(pem(&der).lines().all(|line| line.len() <= 64), "{length}");
        }
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            let block = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
            assert_eq!(pem(bytes.as_bytes()), block);
        }
    }

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
}
