//! Whether bytes are the DER of an X.509 certificate (RFC 5280), all of it and nothing else.
//!
//! webpki passes over what it does not evaluate. OpenSSL and browsers refuse a certificate in which
//! any field, or any extension that they know, is malformed.

use super::der::{Element, Reader, tag};
use super::name::{Piece, string};
use super::reading::{id, moment};

/// Reads one element, or the elements of a list. `None`: it is malformed.
type Shape = fn(&mut Reader<'_>) -> Option<()>;

/// The extensions that OpenSSL reads in every certificate of a path.
const EXTENSIONS: [(&[u8], Shape); 9] = [
    (id::SUBJECT_KEY_IDENTIFIER, |value| strict(value, tag::OCTET_STRING).map(drop)),
    (id::KEY_USAGE, bits),
    (id::SUBJECT_ALT_NAME, |value| list(value, tag::SEQUENCE, general_name)),
    (id::BASIC_CONSTRAINTS, basic_constraints),
    (id::NAME_CONSTRAINTS, name_constraints),
    (id::CRL_DISTRIBUTION_POINTS, |value| list(value, tag::SEQUENCE, distribution_point)),
    (id::AUTHORITY_KEY_IDENTIFIER, authority_key_identifier),
    (id::EXTENDED_KEY_USAGE, |value| list(value, tag::SEQUENCE, oid)),
    (id::NETSCAPE_CERT_TYPE, bits),
];

/// Whether this is the DER of an X.509 certificate.
pub(super) fn is_well_formed(der: &[u8]) -> bool {
    whole(der, certificate).is_some()
}

/// Whether this is a value of the kind of extension, if that is known.
pub(super) fn is_well_formed_extension(kind: &[u8], value: &[u8]) -> bool {
    let known = EXTENSIONS.iter().find(|(id, _)| *id == kind);
    known.is_none_or(|(_, shape)| whole(value, shape).is_some())
}

fn certificate(reader: &mut Reader<'_>) -> Option<()> {
    let mut fields = Reader::new(strict(reader, tag::SEQUENCE)?.value);
    let signed = strict(&mut fields, tag::SEQUENCE)?;
    let algorithm = strict(&mut fields, tag::SEQUENCE)?;
    // Unused bits in a signature make it false, but not malformed.
    bits(&mut fields)?;
    fields.is_empty().then_some(())?;
    whole(signed.value, |fields| tbs(fields, algorithm))
}

fn tbs(fields: &mut Reader<'_>, algorithm: Element<'_>) -> Option<()> {
    if fields.peek() == Some(tag::context(0)) {
        let version = strict(fields, tag::context(0))?.value;
        matches!(version, [tag::INTEGER, 1, 0..=2]).then_some(())?;
    }
    is_integer(strict(fields, tag::INTEGER)?.value).then_some(())?;
    let inner_algorithm = strict(fields, tag::SEQUENCE)?;
    (inner_algorithm.whole == algorithm.whole).then_some(())?;
    name(fields)?;
    whole(strict(fields, tag::SEQUENCE)?.value, |validity| {
        let (begins, ends) = (validity.element()?, validity.element()?);
        (is_moment(begins) && is_moment(ends)).then_some(())
    })?;
    name(fields)?;
    whole(strict(fields, tag::SEQUENCE)?.value, |key| {
        strict(key, tag::SEQUENCE)?;
        bits(key)
    })?;
    for unique_identifier in [0x81, 0x82] {
        optional(fields, unique_identifier, |_bits| Some(()))?;
    }
    optional(fields, tag::context(3), |explicit| extensions(&mut Reader::new(explicit)))
}

fn extensions(reader: &mut Reader<'_>) -> Option<()> {
    let mut rest = Reader::new(strict(reader, tag::SEQUENCE)?.value);
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let mut fields = Reader::new(strict(&mut rest, tag::SEQUENCE)?.value);
        let kind = strict(&mut fields, tag::OID)?.value;
        is_oid(kind).then_some(())?;
        optional(&mut fields, tag::BOOLEAN, |flag| matches!(flag, [0 | 0xff]).then_some(()))?;
        let value = strict(&mut fields, tag::OCTET_STRING)?.value;
        fields.is_empty().then_some(())?;
        is_well_formed_extension(kind, value).then_some(())?;
        seen.push(kind);
    }
    seen.sort_unstable();
    (reader.is_empty() && seen.is_sorted_by(|one, other| one != other)).then_some(())
}

fn basic_constraints(reader: &mut Reader<'_>) -> Option<()> {
    whole(strict(reader, tag::SEQUENCE)?.value, |fields| {
        optional(fields, tag::BOOLEAN, |flag| matches!(flag, [0 | 0xff]).then_some(()))?;
        optional(fields, tag::INTEGER, |length| {
            (is_integer(length) && matches!(length, [0..=0x7f, ..])).then_some(())
        })
    })
}

fn name_constraints(reader: &mut Reader<'_>) -> Option<()> {
    const MINIMUM: u8 = 0x80;
    const MAXIMUM: u8 = 0x81;
    let subtree: Shape = |reader| {
        whole(strict(reader, tag::SEQUENCE)?.value, |fields| {
            general_name(fields)?;
            for bound in [MINIMUM, MAXIMUM] {
                optional(fields, bound, |number| is_integer(number).then_some(()))?;
            }
            Some(())
        })
    };
    whole(strict(reader, tag::SEQUENCE)?.value, |fields| {
        for subtrees in [tag::context(0), tag::context(1)] {
            optional(fields, subtrees, |bases| elements(bases, subtree))?;
        }
        Some(())
    })
}

fn distribution_point(reader: &mut Reader<'_>) -> Option<()> {
    const REASONS: u8 = 0x81;
    const FULL_NAME: u8 = tag::context(0);
    const NAME_RELATIVE_TO_ISSUER: u8 = tag::context(1);
    whole(strict(reader, tag::SEQUENCE)?.value, |fields| {
        optional(fields, tag::context(0), |point| {
            whole(point, |point| match point.peek()? {
                FULL_NAME => list(point, FULL_NAME, general_name),
                _ => list(point, NAME_RELATIVE_TO_ISSUER, attribute),
            })
        })?;
        optional(fields, REASONS, |reasons| are_bits(reasons).then_some(()))?;
        optional(fields, tag::context(2), |issuer| elements(issuer, general_name))
    })
}

fn authority_key_identifier(reader: &mut Reader<'_>) -> Option<()> {
    const KEY: u8 = 0x80;
    const SERIAL: u8 = 0x82;
    whole(strict(reader, tag::SEQUENCE)?.value, |fields| {
        optional(fields, KEY, |_bytes| Some(()))?;
        optional(fields, tag::context(1), |issuer| elements(issuer, general_name))?;
        optional(fields, SERIAL, |serial| is_integer(serial).then_some(()))
    })
}

fn general_name(reader: &mut Reader<'_>) -> Option<()> {
    let kind = reader.peek()?;
    let value = strict(reader, kind)?.value;
    match kind {
        // An otherName has a type and a value of that type.
        0xa0 => whole(value, |fields| {
            oid(fields)?;
            whole(strict(fields, tag::context(0))?.value, |value| value.element().map(drop))
        }),
        // Strings, addresses and what nobody uses.
        0x81 | 0x82 | 0x86 | 0x87 | 0xa3 | 0xa5 => Some(()),
        0xa4 => whole(value, name),
        0x88 => is_oid(value).then_some(()),
        _ => None,
    }
}

fn name(reader: &mut Reader<'_>) -> Option<()> {
    const SET: u8 = 0x31;
    list(reader, tag::SEQUENCE, |sets| list(sets, SET, attribute))
}

/// A type and a value of one of the types that OpenSSL reads.
fn attribute(reader: &mut Reader<'_>) -> Option<()> {
    const UTF8_STRING: u8 = 0x0c;
    const NUMERIC_STRING: u8 = 0x12;
    const PRINTABLE_STRING: u8 = 0x13;
    const T61_STRING: u8 = 0x14;
    const IA5_STRING: u8 = 0x16;
    const UNIVERSAL_STRING: u8 = 0x1c;
    const BMP_STRING: u8 = 0x1e;
    whole(strict(reader, tag::SEQUENCE)?.value, |fields| {
        oid(fields)?;
        let value = strict(fields, fields.peek()?)?;
        let is_text = match value.tag {
            NUMERIC_STRING | PRINTABLE_STRING | T61_STRING | IA5_STRING => true,
            tag::BIT_STRING => are_bits(value.value),
            UTF8_STRING | UNIVERSAL_STRING | BMP_STRING => string(value)
                .is_some_and(|text| text.iter().all(|piece| matches!(piece, Piece::Char(_)))),
            _ => false,
        };
        is_text.then_some(())
    })
}

fn oid(reader: &mut Reader<'_>) -> Option<()> {
    is_oid(strict(reader, tag::OID)?.value).then_some(())
}

fn bits(reader: &mut Reader<'_>) -> Option<()> {
    are_bits(strict(reader, tag::BIT_STRING)?.value).then_some(())
}

/// Whether an integer has no more digits than it needs.
fn is_integer(digits: &[u8]) -> bool {
    !matches!(digits, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
}

/// Whether each of the numbers is complete and has no leading zeros.
fn is_oid(numbers: &[u8]) -> bool {
    let is_last = |byte: &u8| *byte < 0x80;
    numbers.last().is_some_and(is_last)
        && !numbers.split_inclusive(is_last).any(|number| number.starts_with(&[0x80]))
}

/// Whether a bit string begins with a sensible number of unused bits.
fn are_bits(value: &[u8]) -> bool {
    matches!(value, [0] | [0..=7, _, ..])
}

/// RFC 5280, section 4.1.2.5: to the second, and in UTC.
fn is_moment(element: Element<'_>) -> bool {
    const UTC_TIME: u8 = 0x17;
    let length = match element.tag {
        UTC_TIME => 13,
        tag::GENERALIZED_TIME => 15,
        _ => return false,
    };
    let is_in_form = matches!(element.value, [digits @ .., b'Z']
        if digits.len() + 1 == length && digits.iter().all(u8::is_ascii_digit));
    is_in_form && moment(element).is_some()
}

/// Bytes in which one thing is read and nothing follows.
fn whole<'a>(bytes: &'a [u8], shape: impl FnOnce(&mut Reader<'a>) -> Option<()>) -> Option<()> {
    let mut reader = Reader::new(bytes);
    shape(&mut reader)?;
    reader.is_empty().then_some(())
}

/// A list with this tag.
fn list(reader: &mut Reader<'_>, tag: u8, shape: Shape) -> Option<()> {
    elements(strict(reader, tag)?.value, shape)
}

fn elements(list: &[u8], shape: Shape) -> Option<()> {
    let mut reader = Reader::new(list);
    while !reader.is_empty() {
        shape(&mut reader)?;
    }
    Some(())
}

/// An element that may be absent.
fn optional<'a>(
    reader: &mut Reader<'a>,
    tag: u8,
    shape: impl FnOnce(&'a [u8]) -> Option<()>,
) -> Option<()> {
    match reader.peek() == Some(tag) {
        true => shape(strict(reader, tag)?.value),
        false => Some(()),
    }
}

/// The next element, when it has this tag and DER's shortest length.
fn strict<'a>(reader: &mut Reader<'a>, tag: u8) -> Option<Element<'a>> {
    let element = reader.expect(tag)?;
    let header = element.whole.len() - element.value.len();
    let shortest = match element.value.len() {
        ..0x80 => 2,
        0x80..0x100 => 3,
        0x100..0x1_0000 => 4,
        0x1_0000..0x100_0000 => 5,
        _ => 6,
    };
    (header == shortest).then_some(element)
}

#[cfg(test)]
mod tests {

    use super::super::der::write;
    use super::super::sample::authority;
    use super::*;

    #[test]
    fn whatever_is_cut_or_longer_is_not_well_formed() {
        let der = authority(3);
        assert!(is_well_formed(&der));
        for length in 0..der.len() {
            assert!(!is_well_formed(&der[..length]), "{length}");
        }
        assert!(!is_well_formed(&[&der[..], &[0]].concat()));
    }

    #[test]
    fn lengths_are_the_shortest() {
        let long = [&[0x30, 0x81, 0x03][..], &[2, 1, 5]].concat();
        assert!(strict(&mut Reader::new(&long), tag::SEQUENCE).is_none());
        let short = [&[0x30, 0x03][..], &[2, 1, 5]].concat();
        assert!(strict(&mut Reader::new(&short), tag::SEQUENCE).is_some());
    }

    #[test]
    fn numbers_have_no_digits_that_say_nothing() {
        for (digits, expected) in [
            (&[][..], false),
            (&[0], true),
            (&[0, 1], false),
            (&[0, 0x80], true),
            (&[0xff], true),
            (&[0xff, 0x80], false),
            (&[0xff, 0x7f], true),
        ] {
            assert_eq!(is_integer(digits), expected, "{digits:?}");
        }
        for (numbers, expected) in [
            (&[][..], false),
            (&[0x55, 4], true),
            (&[0x55, 0x80, 1], false),
            (&[0x55, 0x81], false),
        ] {
            assert_eq!(is_oid(numbers), expected, "{numbers:?}");
        }
    }

    #[test]
    fn extensions_have_the_form_of_their_kind() {
        let value = is_well_formed_extension;
        let sequence = |parts: &[&[u8]]| write(tag::SEQUENCE, parts);
        let dns = write(0x82, &[b"a.test"]);
        let uri = write(0xa0, &[&write(0xa0, &[&write(0x86, &[b"http://a"])])]);
        for (id, sound) in [
            (id::SUBJECT_KEY_IDENTIFIER, write(tag::OCTET_STRING, &[b"key"])),
            (id::KEY_USAGE, write(tag::BIT_STRING, &[&[7, 0x80]])),
            (id::SUBJECT_ALT_NAME, sequence(&[&dns])),
            (id::BASIC_CONSTRAINTS, sequence(&[&[tag::BOOLEAN, 1, 0xff], &[tag::INTEGER, 1, 0]])),
            (id::NAME_CONSTRAINTS, sequence(&[&write(0xa1, &[&sequence(&[&dns])])])),
            (id::CRL_DISTRIBUTION_POINTS, sequence(&[&sequence(&[&uri])])),
            (id::AUTHORITY_KEY_IDENTIFIER, sequence(&[&write(0x80, &[b"key"])])),
            (id::EXTENDED_KEY_USAGE, sequence(&[&[tag::OID, 2, 0x55, 4]])),
            (id::NETSCAPE_CERT_TYPE, write(tag::BIT_STRING, &[&[6, 0x40]])),
        ] {
            assert!(value(id, &sound), "{sound:02x?}");
            assert!(!value(id, &[&sound[..], &[0]].concat()), "{sound:02x?}");
            assert!(!value(id, b"junk"), "{id:?}");
            let of_other_type = [&[sound[0] ^ 1], &sound[1..]].concat();
            assert!(!value(id, &of_other_type), "{id:?}");
        }
        assert!(!value(id::KEY_USAGE, &[tag::BIT_STRING, 2, 8, 0x80]));
        assert!(!value(id::SUBJECT_ALT_NAME, &sequence(&[&dns, &[0x82, 0x50, b'a']])));
        assert!(!value(id::SUBJECT_ALT_NAME, &sequence(&[&write(0xa2, &[&dns])])));
    }

    #[test]
    fn names_are_text() {
        let of = |string: u8, text: &[u8]| {
            let attribute =
                write(tag::SEQUENCE, &[&[tag::OID, 3, 0x55, 4, 3], &write(string, &[text])]);
            whole(&write(tag::SEQUENCE, &[&write(0x31, &[&attribute])]), name).is_some()
        };
        for string in [0x0c, 0x12, 0x13, 0x14, 0x16] {
            assert!(of(string, b"a"), "{string}");
        }
        assert!(of(0x1e, b"\0a") && !of(0x1e, b"a"));
        assert!(!of(0x0c, b"\xff"), "not UTF-8");
        assert!(!of(tag::INTEGER, b"\x05") && !of(tag::OCTET_STRING, b"a"));
    }
}
