//! DER by the element, for certificates that no strict parser would take, and back again.

/// Tags that certificates and OCSP responses use.
pub(super) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const ENUMERATED: u8 = 0x0a;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;

    /// `[number]`, constructed.
    pub(crate) const fn context(number: u8) -> u8 {
        0xa0 | number
    }
}

/// One element: tag, and its bytes with and without the header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) whole: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Reads elements off the front of some bytes.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next element.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, when all of it is there.
    pub(super) fn element(&mut self) -> Option<Element<'a>> {
        let header = Header::read(self.rest)?;
        let end = header.size.checked_add(header.length)?;
        let (whole, rest) = self.rest.split_at_checked(end)?;
        let value = whole.get(header.size..)?;
        self.rest = rest;
        Some(Element { tag: header.tag, whole, value })
    }

    /// The next element, when it has this tag. Otherwise nothing is taken.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        (self.peek() == Some(tag)).then(|| self.element()).flatten()
    }

    /// The inside of the next element, of which the end may be missing.
    pub(super) fn enter_cut(&mut self, tag: u8) -> Option<Entered<'a>> {
        let header = Header::read(self.rest).filter(|header| header.tag == tag)?;
        let wanted = header.size.checked_add(header.length)?;
        let (whole, rest) = self.rest.split_at(wanted.min(self.rest.len()));
        self.rest = rest;
        Some(Entered {
            whole,
            inside: Self::new(whole.get(header.size..)?),
            complete: whole.len() == wanted,
        })
    }
}

/// What [`Reader::enter_cut`] found.
pub(super) struct Entered<'a> {
    pub(super) whole: &'a [u8],
    pub(super) inside: Reader<'a>,
    pub(super) complete: bool,
}

struct Header {
    tag: u8,
    size: usize,
    length: usize,
}

impl Header {
    /// One-byte tags and definite lengths of up to four bytes, as everything in a certificate has.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        if first < 0x80 {
            return Some(Self { tag, size: 2, length: usize::from(first) });
        }
        let count = usize::from(first & 0x7f);
        let digits = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
        Some(Self {
            tag,
            size: 2 + count,
            length: digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)),
        })
    }
}

/// An element of these parts.
pub(super) fn write(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let digits = length.to_be_bytes();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let leading = digits.iter().take_while(|&&digit| digit == 0).count();
            let significant = digits.get(leading..).unwrap_or_default();
            // At most eight digits: the length of a length fits its seven bits.
            out.push(0x80 | significant.len() as u8);
            out.extend_from_slice(significant);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_back_as_written() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let value = vec![7; length];
            let written = write(tag::OCTET_STRING, &[&value]);
            let mut reader = Reader::new(&written);
            let element = reader.expect(tag::OCTET_STRING).unwrap();
            assert_eq!(element.value, value);
            assert_eq!(element.whole, written);
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn a_cut_element_is_entered_but_not_taken() {
        let written = write(tag::SEQUENCE, &[&[1; 10]]);
        let cut = &written[..6];
        assert!(Reader::new(cut).element().is_none());
        let entered = Reader::new(cut).enter_cut(tag::SEQUENCE).unwrap();
        assert!(!entered.complete);
        assert_eq!(entered.inside.rest, [1; 4]);
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x1f, 0x81, 0x01, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(Reader::new(bytes).element().is_none(), "{bytes:02x?}");
        }
    }
}
