//! Files of PEM blocks, as people save them.

use std::borrow::Cow;

use rustls_pki_types::pem::Error;

/// How every block begins.
const BEGIN: &[u8] = b"-----BEGIN";

/// The mark with which some editors begin a file of UTF-8. A block behind it would be passed over.
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// What OpenSSL once called a certificate, and still reads.
const OLD_LABEL: &str = "X509 CERTIFICATE-----";

/// Whether the file has PEM blocks; otherwise it may be DER.
pub(super) fn is_pem(file: &[u8]) -> bool {
    file.windows(BEGIN.len()).any(|bytes| bytes == BEGIN)
}

/// The blocks, without what keeps them from being recognized.
pub(super) fn blocks(file: &[u8]) -> Cow<'_, [u8]> {
    let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    let text = String::from_utf8_lossy(file);
    if !text.contains(OLD_LABEL) {
        return Cow::Borrowed(file);
    }
    let text = ["BEGIN", "END"].iter().fold(text.into_owned(), |text, end| {
        let new = format!("-----{end} CERTIFICATE-----");
        text.replace(&format!("-----{end} {OLD_LABEL}"), &new)
    });
    Cow::Owned(text.into_bytes())
}

/// Why a block cannot be read. The library prints lines as lists of numbers.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { .. } => {
            "its END line is missing, or is not one alone".to_owned()
        }
        Error::IllegalSectionStart { line } => {
            format!("its first line is {:?}", String::from_utf8_lossy(line).trim_end())
        }
        Error::Base64Decode(reason) => format!("its base64 is malformed: {reason}"),
        other => other.to_string(),
    }
}
