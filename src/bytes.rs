//! Reads big-endian fields and DER elements.
//!
//! Every parser that reads from the network uses [`Reader`]. It never panics and never allocates. A
//! read that fails consumes nothing.

/// Tags that certificates, OCSP responses and LDAP use.
pub(crate) mod tag {
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

/// Takes fields and elements off the front of some bytes.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number of three bytes, as TLS has it.
    pub(crate) fn u24(&mut self) -> Option<u32> {
        self.array().map(|[high, middle, low]| u32::from_be_bytes([0, high, middle, low]))
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    /// A vector of TLS (RFC 8446, section 3.4) whose length has one byte.
    pub(crate) fn vector8(&mut self) -> Option<&'a [u8]> {
        self.vector(|reader| reader.u8().map(usize::from))
    }

    /// A vector of TLS whose length has two bytes.
    pub(crate) fn vector16(&mut self) -> Option<&'a [u8]> {
        self.vector(|reader| reader.u16().map(usize::from))
    }

    /// A vector of TLS whose length has three bytes.
    pub(crate) fn vector24(&mut self) -> Option<&'a [u8]> {
        self.vector(|reader| reader.u24().map(|length| length as usize))
    }

    fn vector(&mut self, length: impl FnOnce(&mut Self) -> Option<usize>) -> Option<&'a [u8]> {
        let mut reader = self.clone();
        let length = length(&mut reader)?;
        let vector = reader.take(length)?;
        *self = reader;
        Some(vector)
    }

    /// The tag of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, when all of it is there.
    pub(crate) fn element(&mut self) -> Option<Element<'a>> {
        self.try_element().ok()
    }

    /// The next element, or why it cannot be read. This is for a stream, which may go on.
    ///
    /// # Errors
    /// The element goes on behind the bytes, or it is malformed.
    pub(crate) fn try_element(&mut self) -> Result<Element<'a>, Unread> {
        let header = Header::read(self.rest)?;
        let wanted = header.wanted()?;
        let Some((whole, rest)) = self.rest.split_at_checked(wanted) else {
            return Err(Unread::Incomplete { length: Some(header.length) });
        };
        let value = whole.get(header.size..).ok_or(Unread::Malformed)?;
        self.rest = rest;
        Ok(Element { tag: header.tag, whole, value })
    }

    /// The next element, when it has this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        (self.peek() == Some(tag)).then(|| self.element()).flatten()
    }

    /// The contents of the next element, even when its end is missing.
    pub(crate) fn enter_cut(&mut self, tag: u8) -> Option<Entered<'a>> {
        let header = Header::read(self.rest).ok().filter(|header| header.tag == tag)?;
        let wanted = header.wanted().ok()?;
        let (whole, rest) = self.rest.split_at(wanted.min(self.rest.len()));
        self.rest = rest;
        Some(Entered {
            whole,
            inside: Self::new(whole.get(header.size..)?),
            complete: whole.len() == wanted,
        })
    }
}

/// One DER element: its tag, and its bytes with and without the header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) whole: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// What [`Reader::enter_cut`] found.
pub(crate) struct Entered<'a> {
    pub(crate) whole: &'a [u8],
    pub(crate) inside: Reader<'a>,
    pub(crate) complete: bool,
}

/// Why there is no element.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unread {
    /// Its end is missing.
    Incomplete {
        /// How long its value is, when its header is there.
        length: Option<usize>,
    },
    /// No bytes that may follow make it an element.
    Malformed,
}

struct Header {
    tag: u8,
    size: usize,
    length: usize,
}

impl Header {
    /// Reads a tag of one byte and a definite length of up to four bytes, as everything in a
    /// certificate has. Lengths may be longer than they need to be: Active Directory writes all of
    /// them in four bytes.
    fn read(bytes: &[u8]) -> Result<Self, Unread> {
        let incomplete = Unread::Incomplete { length: None };
        let Some((&[tag, first], rest)) = bytes.split_first_chunk::<2>() else {
            return Err(incomplete);
        };
        if tag & 0x1f == 0x1f {
            return Err(Unread::Malformed);
        }
        if first < 0x80 {
            return Ok(Self { tag, size: 2, length: usize::from(first) });
        }
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return Err(Unread::Malformed);
        }
        let digits = rest.get(..count).ok_or(incomplete)?;
        Ok(Self {
            tag,
            size: 2 + count,
            length: digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)),
        })
    }

    /// The length of the whole element.
    fn wanted(&self) -> Result<usize, Unread> {
        self.size.checked_add(self.length).ok_or(Unread::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_big_endian() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(reader.u8(), Some(0x01));
        assert_eq!(reader.u16(), Some(0x0203));
        assert_eq!(reader.u24(), Some(0x0004_0506));
        assert_eq!(reader.rest(), [7, 8]);
        assert_eq!(reader.array(), Some([7, 8]));
        assert!(reader.is_empty());
    }

    #[test]
    fn vectors_have_a_length_of_one_two_or_three_bytes() {
        let mut reader = Reader::new(&[1, 7, 0, 2, 7, 8, 0, 0, 3, 7, 8, 9]);
        assert_eq!(reader.vector8(), Some(&[7][..]));
        assert_eq!(reader.vector16(), Some(&[7, 8][..]));
        assert_eq!(reader.vector24(), Some(&[7, 8, 9][..]));
        assert!(reader.is_empty());
    }

    #[test]
    fn a_read_that_fails_takes_nothing() {
        let bytes = [0, 9, 9];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.vector16(), None);
        assert_eq!(reader.vector24(), None);
        assert_eq!(reader.array::<4>(), None);
        assert_eq!(reader.take(4), None);
        assert!(reader.expect(tag::SEQUENCE).is_none());
        assert!(reader.element().is_none());
        assert_eq!(reader.rest(), bytes);
    }

    #[test]
    fn a_cut_element_is_entered_but_not_taken() {
        let cut = [tag::SEQUENCE, 10, 1, 1, 1, 1];
        assert!(Reader::new(&cut).element().is_none());
        let entered = Reader::new(&cut).enter_cut(tag::SEQUENCE).unwrap();
        assert!(!entered.complete);
        assert_eq!(entered.inside.rest(), [1; 4]);
    }

    #[test]
    fn an_element_may_be_unread_for_two_reasons() {
        let unread = |bytes: &[u8]| Reader::new(bytes).try_element().unwrap_err();
        let incomplete = |length| Unread::Incomplete { length };
        assert_eq!(unread(&[]), incomplete(None));
        assert_eq!(unread(&[0x30]), incomplete(None));
        assert_eq!(unread(&[0x30, 0x82, 1]), incomplete(None));
        assert_eq!(unread(&[0x30, 3, 0, 0]), incomplete(Some(3)));
        assert_eq!(unread(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), incomplete(Some(0xffff_ffff)));
        assert_eq!(unread(&[0x30, 0x80]), Unread::Malformed);
        assert_eq!(unread(&[0x30, 0x85, 0, 0, 0, 0, 0]), Unread::Malformed);
        assert_eq!(unread(&[0x1f, 0x81, 0x01, 0]), Unread::Malformed);
    }
}
