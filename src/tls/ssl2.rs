//! The hello of SSL 2.0, and what a server answers (draft-hickman-netscape-ssl-00).
//!
//! The version is prohibited (RFC 6176). Its messages share nothing with those of later versions, so a hello
//! for those does not find a server that still speaks it.

use crate::bytes::Reader;
use crate::names::content_type::ALERT;

/// The kinds of ciphers by number: those of the draft, section 6.2.3, and three that OpenSSL added.
pub const CIPHER_KINDS: [(u32, &str); 10] = [
    (0x0007_00c0, "SSL_CK_DES_192_EDE3_CBC_WITH_MD5"),
    (0x0005_0080, "SSL_CK_IDEA_128_CBC_WITH_MD5"),
    (0x0003_0080, "SSL_CK_RC2_128_CBC_WITH_MD5"),
    (0x0001_0080, "SSL_CK_RC4_128_WITH_MD5"),
    (0x0008_0080, "SSL_CK_RC4_64_WITH_MD5"),
    (0x0006_0040, "SSL_CK_DES_64_CBC_WITH_MD5"),
    (0x0004_0080, "SSL_CK_RC2_128_CBC_EXPORT40_WITH_MD5"),
    (0x0002_0080, "SSL_CK_RC4_128_EXPORT40_WITH_MD5"),
    (0x0000_0000, "SSL_CK_NULL_WITH_MD5"),
    (0x0007_01c0, "SSL_CK_DES_192_EDE3_CBC_WITH_SHA"),
];

/// The name of a kind of cipher; its number if there is none.
pub fn cipher_kind(number: u32) -> String {
    let row = CIPHER_KINDS.iter().find(|(known, _)| *known == number);
    row.map_or_else(|| format!("{number:#08x}"), |(_, name)| (*name).to_owned())
}

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 4;
const ERROR: u8 = 0;
const VERSION: [u8; 2] = [0, 2];
/// The first bit of a record whose header has two bytes.
const SHORT_HEADER: u8 = 0x80;
const CHALLENGE: [u8; 16] = *b"tlsweep asks for";
const ALERT_RECORD: usize = 7;

/// The longest record behind a header of two bytes.
pub const LONGEST_RECORD: usize = 2 + 0x7fff;

/// A hello that offers every kind of cipher.
pub fn hello() -> Vec<u8> {
    let kinds: Vec<u8> = CIPHER_KINDS
        .iter()
        .flat_map(|(number, _)| number.to_be_bytes().into_iter().skip(1))
        .collect();
    let length = |length: usize| (length as u16).to_be_bytes();
    let body = [
        &[CLIENT_HELLO][..],
        &VERSION,
        &length(kinds.len()),
        &length(0),
        &length(CHALLENGE.len()),
        &kinds,
        &CHALLENGE,
    ]
    .concat();
    let [high, low] = length(body.len());
    [&[SHORT_HEADER | high, low], body.as_slice()].concat()
}

/// Whether nothing more of an answer is to come.
pub fn is_whole(answer: &[u8]) -> bool {
    match answer {
        [] | [_] => false,
        // A server of a later version answers with an alert of that.
        [ALERT, 3, ..] => answer.len() >= ALERT_RECORD,
        [high, ..] if high & SHORT_HEADER == 0 => true,
        [_, _] => false,
        [high, low, SERVER_HELLO | ERROR, ..] => {
            answer.len() >= 2 + usize::from(u16::from_be_bytes([high & !SHORT_HEADER, *low]))
        }
        _ => true,
    }
}

/// The kinds of ciphers that a server of SSL 2.0 has in common with [`hello`], by number. `None` when the
/// answer is not one of SSL 2.0.
pub fn ciphers(answer: &[u8]) -> Option<Vec<u32>> {
    let mut reader = Reader::new(answer);
    let [high, low] = [reader.u8()?, reader.u8()?];
    if high & SHORT_HEADER == 0 {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([high & !SHORT_HEADER, low]));
    let mut message = Reader::new(reader.take(length)?);
    match message.u8()? {
        // The only error of a server at this point is that it has none of the ciphers.
        ERROR if length == 3 => return Some(Vec::new()),
        SERVER_HELLO => {}
        _ => return None,
    }
    let (_session_id_hit, _certificate_type) = (message.u8()?, message.u8()?);
    if [message.u8()?, message.u8()?] != VERSION {
        return None;
    }
    let lengths = [message.u16()?, message.u16()?, message.u16()?].map(usize::from);
    let [certificate, kinds, _connection_id] = lengths;
    message.take(certificate)?;
    let mut known = Vec::new();
    for kind in message.take(kinds)?.chunks_exact(3) {
        let kind = kind.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        // A choice of what was not offered is not believed, and nothing counts twice.
        if CIPHER_KINDS.iter().any(|(offered, _)| *offered == kind) && !known.contains(&kind) {
            known.push(kind);
        }
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hello of sslscan 2.2.2, which differs from ours in the order of the ciphers and the challenge.
    #[test]
    fn the_hello_has_the_layout_of_sslscan_s() {
        let hello = hello();
        assert_eq!(hello[..2], [0x80, hello.len() as u8 - 2]);
        assert_eq!(hello[2..5], [0x01, 0x00, 0x02]);
        assert_eq!(hello[5..11], [0x00, 30, 0x00, 0x00, 0x00, 0x10]);
        let kinds: Vec<_> = hello[11..41].chunks(3).collect();
        let of_sslscan = [
            [0x05, 0x00, 0x80],
            [0x03, 0x00, 0x80],
            [0x01, 0x00, 0x80],
            [0x07, 0x00, 0xc0],
            [0x08, 0x00, 0x80],
            [0x06, 0x00, 0x40],
            [0x04, 0x00, 0x80],
            [0x02, 0x00, 0x80],
            [0x00, 0x00, 0x00],
        ];
        assert!(of_sslscan.iter().all(|kind| kinds.contains(&kind.as_slice())));
        assert_eq!(hello.len(), 11 + 30 + 16);
    }

    /// A SERVER-HELLO with a certificate of this length and two kinds of ciphers.
    fn server_hello(certificate: u16) -> Vec<u8> {
        let [high, low] = certificate.to_be_bytes();
        let length = 11 + certificate + 6 + 16;
        let mut record = (0x8000 | length).to_be_bytes().to_vec();
        record.extend([4, 0, 1, 0, 2, high, low, 0, 6, 0, 16]);
        record.resize(record.len() + usize::from(certificate), 0x30);
        record.extend([1, 0, 0x80, 7, 0, 0xc0]);
        record.resize(record.len() + 16, 7);
        record
    }

    #[test]
    fn a_server_hello_is_read_to_its_end() {
        for certificate in [0, 700, 4_000] {
            let answer = server_hello(certificate);
            let ends = (0..answer.len()).filter(|end| is_whole(&answer[..*end]));
            assert_eq!(ends.count(), 0, "{certificate}");
            assert!(is_whole(&answer));
            assert_eq!(ciphers(&answer), Some(vec![0x0001_0080, 0x0007_00c0]));
            assert_eq!(ciphers(&answer[..answer.len() - 1]), None);
        }
    }

    #[test]
    fn other_answers_are_none_of_ssl_2() {
        assert_eq!(ciphers(&[0x80, 3, 0, 0, 1]), Some(Vec::new()));
        assert!(is_whole(&[0x80, 3, 0, 0, 1]) && !is_whole(&[0x80, 3, 0]));
        let alert = [ALERT, 3, 1, 0, 2, 2, 70];
        assert!(is_whole(&alert) && !is_whole(&alert[..6]));
        for other in [&alert[..], b"HTTP/1.1 400 Bad Request", &[0x80, 3, 9, 0, 1], &[22, 3, 3]] {
            assert!(is_whole(other), "{other:?}");
            assert_eq!(ciphers(other), None, "{other:?}");
        }
    }

    #[test]
    fn ciphers_without_a_name_are_numbers() {
        assert_eq!(cipher_kind(0x0001_0080), "SSL_CK_RC4_128_WITH_MD5");
        assert_eq!(cipher_kind(0x0009_0080), "0x090080");
    }
}
