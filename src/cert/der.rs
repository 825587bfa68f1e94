//! DER by the element, for certificates that no strict parser would take, and back again.

pub(super) use crate::bytes::{Element, Reader, tag};

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
}
