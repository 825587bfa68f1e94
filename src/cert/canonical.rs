//! Distinguished names in one form, so that names which mean the same are the same bytes.
//!
//! RFC 5280, section 7.1, has names compared without regard to case, spaces and string type. The
//! form is the one that OpenSSL compares (`x509_name_canon`).

use std::borrow::Cow;

use super::der::{Element, Reader, tag, write};
use super::name::{Piece, string};

const UTF8_STRING: u8 = 0x0c;

/// The inside of a name's SEQUENCE in canonical form; as it is when it cannot be read.
///
/// `name` is the inside as well.
pub(super) fn canonical(name: &[u8]) -> Cow<'_, [u8]> {
    canonical_sets(name).map_or(Cow::Borrowed(name), Cow::Owned)
}

/// The same of a name with its header; `None` when it has none.
pub(super) fn of_name(name: &[u8]) -> Option<Cow<'_, [u8]>> {
    Some(canonical(Reader::new(name).element()?.value))
}

fn canonical_sets(name: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len());
    let mut sets = Reader::new(name);
    while let Some(set) = sets.expect(SET) {
        let mut attributes = Vec::new();
        let mut inside = Reader::new(set.value);
        while let Some(attribute) = inside.expect(tag::SEQUENCE) {
            attributes.push(canonical_attribute(attribute)?);
        }
        if !inside.is_empty() {
            return None;
        }
        attributes.sort_unstable();
        let attributes = attributes.iter().map(Vec::as_slice).collect::<Vec<_>>();
        if !attributes.is_empty() {
            out.extend(write(SET, &attributes));
        }
    }
    sets.is_empty().then_some(out)
}

const SET: u8 = 0x31;

fn canonical_attribute(attribute: Element<'_>) -> Option<Vec<u8>> {
    /// OpenSSL leaves these as they are, because they have no spaces to speak of.
    const NUMERIC_STRING: u8 = 0x12;
    let mut fields = Reader::new(attribute.value);
    let kind = fields.expect(tag::OID)?;
    let value = fields.element()?;
    let text = match value.tag {
        NUMERIC_STRING => None,
        _ => string(value),
    };
    let text = text.map(|pieces| write(UTF8_STRING, &[&folded(&pieces)]));
    let value = text.as_deref().unwrap_or(value.whole);
    fields.is_empty().then(|| write(tag::SEQUENCE, &[kind.whole, value]))
}

/// In lower case, without spaces at the ends and with single spaces between words.
fn folded(pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pieces.len());
    let mut has_gap = false;
    for piece in pieces {
        match piece {
            Piece::Char(' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c') => has_gap = !out.is_empty(),
            piece => {
                if has_gap {
                    out.push(b' ');
                    has_gap = false;
                }
                match piece {
                    Piece::Char(char) => {
                        let mut bytes = [0; 4];
                        let text = char.to_ascii_lowercase().encode_utf8(&mut bytes).as_bytes();
                        out.extend_from_slice(text);
                    }
                    Piece::Byte(byte) => out.push(*byte),
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTABLE_STRING: u8 = 0x13;
    const T61_STRING: u8 = 0x14;
    const BMP_STRING: u8 = 0x1e;

    fn attribute(kind: u8, string: u8, value: &[u8]) -> Vec<u8> {
        write(tag::SEQUENCE, &[&write(tag::OID, &[&[0x55, 4, kind]]), &write(string, &[value])])
    }

    fn common_name(string: u8, value: &[u8]) -> Vec<u8> {
        write(SET, &[&attribute(3, string, value)])
    }

    #[test]
    fn case_spaces_and_string_types_do_not_matter() {
        let expected = common_name(UTF8_STRING, "a käse".as_bytes());
        for same in [
            common_name(UTF8_STRING, "A Käse".as_bytes()),
            common_name(UTF8_STRING, "  a \t käse ".as_bytes()),
            common_name(T61_STRING, b"a K\xe4se"),
            common_name(BMP_STRING, b"\0A\0 \0k\0\xe4\0s\0e"),
        ] {
            assert_eq!(canonical(&same), expected);
        }
        assert_ne!(canonical(&common_name(PRINTABLE_STRING, b"akase")), expected);
    }

    #[test]
    fn sets_are_sorted_and_empty_ones_left_out() {
        let [country, common] =
            [attribute(6, PRINTABLE_STRING, b"de"), attribute(3, PRINTABLE_STRING, b"a")];
        let one = [write(SET, &[&country, &common]), write(SET, &[])].concat();
        let other = write(SET, &[&common, &country]);
        assert_eq!(canonical(&one), canonical(&other));
        assert_ne!(canonical(&one), [write(SET, &[&common]), write(SET, &[&country])].concat());
    }

    #[test]
    fn what_is_no_name_stays_as_it_is() {
        for junk in [&b"junk"[..], &[SET, 1, 0], &[0x30, 0]] {
            assert_eq!(canonical(junk), junk);
        }
        let number = common_name(0x02, &[1]);
        assert_eq!(canonical(&number), number);
    }
}
