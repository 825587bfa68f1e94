//! Names as text: distinguished names by RFC 4514, alternative names by their type.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::der::{Element, Reader, tag};
use super::oid;
use super::text::hex;
use crate::escape::cut;
use crate::limits::NAME_LIMIT;

/// A distinguished name (with its header) by RFC 4514, cut where it becomes too long for a line.
pub(super) fn bounded(name: &[u8]) -> Option<String> {
    Some(cut(distinguished(name)?, NAME_LIMIT))
}

/// A distinguished name (with its header) by RFC 4514, the most specific part first.
///
/// A value that is no string, or whose attribute has no keyword, is `#` and hex. A byte that its string
/// cannot have is `\` and hex.
fn distinguished(name: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut sequence = Reader::new(Reader::new(name).expect(tag::SEQUENCE)?.value);
    while let Some(set) = sequence.element() {
        let mut attributes = Reader::new(set.value);
        let mut part = String::new();
        while let Some(attribute) = attributes.element() {
            if !part.is_empty() {
                part.push('+');
            }
            write_attribute(&mut part, attribute)?;
        }
        // A set without attributes says nothing. OpenSSL leaves it out, too.
        if !part.is_empty() {
            parts.push(part);
        }
    }
    parts.reverse();
    sequence.is_empty().then(|| parts.join(","))
}

/// One alternative name of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Alternative {
    /// A host, which may have a wildcard.
    Dns(String),
    /// An IP address.
    Address(String),
    /// A name of any other type, after the type: `email:a@example.com`. An IP address of a wrong
    /// length is one as well.
    Other(String),
}

/// Reads one alternative name (RFC 5280, section 4.2.1.6).
pub(super) fn alternative(name: Element<'_>) -> Alternative {
    let text = || utf8(name.value);
    let unread = |kind: &str| format!("{kind}:#{}", hex(name.value));
    let other = match name.tag & 0x1f {
        0 => match Reader::new(name.value).expect(tag::OID) {
            Some(kind) => format!("other:{}", oid::numbered(kind.value)),
            None => unread("other"),
        },
        1 => format!("email:{}", text()),
        2 => return Alternative::Dns(text()),
        3 => unread("x400"),
        4 => match distinguished(name.value) {
            Some(directory) => format!("directory:{directory}"),
            None => unread("directory"),
        },
        5 => unread("edi"),
        6 => format!("uri:{}", text()),
        7 => match address(name.value) {
            Some(address) => return Alternative::Address(address),
            None => unread("ip"),
        },
        8 => format!("registered:{}", oid::numbered(name.value)),
        _ => unread("unknown"),
    };
    Alternative::Other(other)
}

/// The bytes as text: UTF-8 as it is, any other byte as `\` and two hex digits.
pub(super) fn utf8(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "\\{byte:02x}");
        }
    }
    out
}

fn write_attribute(out: &mut String, attribute: Element<'_>) -> Option<()> {
    let mut fields = Reader::new(attribute.value);
    let kind = fields.expect(tag::OID)?.value;
    let value = fields.element()?;
    let known = oid::attribute(kind);
    match known {
        Some(keyword) => out.push_str(keyword),
        None => out.push_str(&oid::numbered(kind)),
    }
    out.push('=');
    match known.and_then(|_| string(value)) {
        Some(text) => escape(out, &text),
        None => {
            out.push('#');
            out.push_str(&hex(value.whole));
        }
    }
    Some(())
}

/// A piece of a string that RFC 4514 escapes piece by piece.
pub(super) enum Piece {
    Char(char),
    /// Not a character in the string's own encoding.
    Byte(u8),
}

/// The characters of the string types that names are made of.
pub(super) fn string(value: Element<'_>) -> Option<Vec<Piece>> {
    const UTF8: u8 = 0x0c;
    const NUMERIC: u8 = 0x12;
    const PRINTABLE: u8 = 0x13;
    const T61: u8 = 0x14;
    const IA5: u8 = 0x16;
    const VISIBLE: u8 = 0x1a;
    const UNIVERSAL: u8 = 0x1c;
    const BMP: u8 = 0x1e;

    match value.tag {
        UTF8 | NUMERIC | PRINTABLE | IA5 | VISIBLE => Some(
            value
                .value
                .utf8_chunks()
                .flat_map(|chunk| {
                    chunk
                        .valid()
                        .chars()
                        .map(Piece::Char)
                        .chain(chunk.invalid().iter().copied().map(Piece::Byte))
                })
                .collect(),
        ),
        // As OpenSSL and browsers read it: Latin-1.
        T61 => Some(value.value.iter().map(|&byte| Piece::Char(byte.into())).collect()),
        BMP => {
            let (units, []) = value.value.as_chunks::<2>() else {
                return None;
            };
            char::decode_utf16(units.iter().map(|&unit| u16::from_be_bytes(unit)))
                .map(|char| char.ok().map(Piece::Char))
                .collect()
        }
        UNIVERSAL => {
            let (units, []) = value.value.as_chunks::<4>() else {
                return None;
            };
            units
                .iter()
                .map(|&unit| char::from_u32(u32::from_be_bytes(unit)).map(Piece::Char))
                .collect()
        }
        _ => None,
    }
}

/// RFC 4514 section 2.4.
fn escape(out: &mut String, pieces: &[Piece]) {
    for (at, piece) in pieces.iter().enumerate() {
        let last = at + 1 == pieces.len();
        match piece {
            Piece::Byte(byte) => {
                // Writing to a String cannot fail.
                let _infallible = write!(out, "\\{byte:02x}");
            }
            Piece::Char('\0') => out.push_str("\\00"),
            Piece::Char(char) => {
                let special = match char {
                    '"' | '+' | ',' | ';' | '<' | '>' | '\\' => true,
                    ' ' => at == 0 || last,
                    '#' => at == 0,
                    _ => false,
                };
                if special {
                    out.push('\\');
                }
                out.push(*char);
            }
        }
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(v6).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::der::write;
    use super::*;

    const COMMON_NAME: &[u8] = &[0x55, 4, 3];

    fn attribute(kind: &[u8], string: u8, value: &[u8]) -> Vec<u8> {
        write(tag::SEQUENCE, &[&write(tag::OID, &[kind]), &write(string, &[value])])
    }

    fn name(sets: &[&[u8]]) -> Option<String> {
        let sets: Vec<_> = sets.iter().map(|set| write(0x31, &[set])).collect();
        let sets: Vec<_> = sets.iter().map(Vec::as_slice).collect();
        distinguished(&write(tag::SEQUENCE, &sets))
    }

    #[test]
    fn the_most_specific_part_comes_first() {
        let country = attribute(&[0x55, 4, 6], 0x13, b"DE");
        let common = attribute(COMMON_NAME, 0x0c, "Käse".as_bytes());
        assert_eq!(name(&[&country, &common]).unwrap(), "CN=Käse,C=DE");
        let both = [country, common].concat();
        assert_eq!(name(&[&both]).unwrap(), "C=DE+CN=Käse");
        assert_eq!(name(&[]).unwrap(), "");
    }

    #[test]
    fn specials_are_escaped() {
        for (raw, escaped) in [
            (&b"a,b+c\"d\\e<f>g;h"[..], r#"CN=a\,b\+c\"d\\e\<f\>g\;h"#),
            (b"#a#", r"CN=\#a#"),
            (b" a  ", r"CN=\ a \ "),
            (b" ", r"CN=\ "),
            (b"a\0b", r"CN=a\00b"),
            (b"a\xffb", r"CN=a\ffb"),
        ] {
            assert_eq!(name(&[&attribute(COMMON_NAME, 0x0c, raw)]).unwrap(), escaped);
        }
    }

    #[test]
    fn other_encodings_are_read() {
        let latin = attribute(COMMON_NAME, 0x14, b"K\xe4se");
        assert_eq!(name(&[&latin]).unwrap(), "CN=Käse");
        let bmp = attribute(COMMON_NAME, 0x1e, b"\0K\x20\xac");
        assert_eq!(name(&[&bmp]).unwrap(), "CN=K€");
        let odd = attribute(COMMON_NAME, 0x1e, b"\0K\0");
        assert_eq!(name(&[&odd]).unwrap(), "CN=#1e03004b00");
        let unknown = attribute(&[0x2a, 3], 0x0c, b"x");
        assert_eq!(name(&[&unknown]).unwrap(), "1.2.3=#0c0178");
    }

    #[test]
    fn a_set_without_attributes_is_left_out() {
        let common = attribute(COMMON_NAME, 0x0c, b"a");
        assert_eq!(name(&[&common, &[]]).unwrap(), "CN=a");
        assert_eq!(name(&[&[], &common, &[]]).unwrap(), "CN=a");
        assert_eq!(name(&[&[]]).unwrap(), "");
    }

    #[test]
    fn attributes_have_the_short_names_of_openssl() {
        for (kind, keyword) in [
            (&[0x55, 4, 43][..], "initials"),
            (&[0x55, 4, 44], "generationQualifier"),
            (&[0x55, 4, 46], "dnQualifier"),
            (&[0x55, 4, 65], "pseudonym"),
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 2], "unstructuredName"),
        ] {
            let expected = format!("{keyword}=x");
            assert_eq!(name(&[&attribute(kind, 0x0c, b"x")]).unwrap(), expected);
        }
    }

    #[test]
    fn alternative_names_are_told_apart_by_type() {
        use Alternative::{Address, Dns, Other};
        let shown = |tag: u8, value: &[u8]| {
            let written = write(tag, &[value]);
            alternative(Reader::new(&written).element().unwrap())
        };
        let other = |text: &str| Other(text.to_owned());
        assert_eq!(shown(0x82, b"*.example.com"), Dns("*.example.com".to_owned()));
        assert_eq!(shown(0x82, b"192.0.2.1"), Dns("192.0.2.1".to_owned()));
        assert_eq!(shown(0x82, b"a\xff.example"), Dns("a\\ff.example".to_owned()));
        assert_eq!(shown(0x81, b"a@b"), other("email:a@b"));
        assert_eq!(shown(0x86, b"https://a"), other("uri:https://a"));
        assert_eq!(shown(0x87, &[192, 0, 2, 1]), Address("192.0.2.1".to_owned()));
        assert_eq!(shown(0x87, &[0; 16]), Address("::".to_owned()));
        assert_eq!(shown(0x87, &[1, 2]), other("ip:#0102"));
        assert_eq!(shown(0x88, &[0x2a, 3]), other("registered:1.2.3"));
        assert_eq!(shown(0xa4, &write(tag::SEQUENCE, &[])), other("directory:"));
        assert_eq!(shown(0x80, b"?"), other("other:#3f"));
    }
}
