//! Escapes text from peers and input files so that it is safe to print.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

/// `text` with every character escaped that could move a cursor, end a line, break a column or
/// change the direction of what follows.
pub fn escaped(text: &str) -> String {
    escaped_or_same(text).into_owned()
}

/// Like [`escaped`], but text that needs no escape is not copied.
pub fn escaped_or_same(text: &str) -> Cow<'_, str> {
    if is_printable_ascii(text) || text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_escaped(&mut out, c);
    }
    Cow::Owned(out)
}

/// Escapes the first character of `text` when a spreadsheet would run the text as a formula.
///
/// `text` must be [`escaped`] already.
pub fn without_formula(text: String) -> String {
    match text.chars().next() {
        Some(first @ ('=' | '+' | '-' | '@')) => {
            format!("\\x{:02x}{}", u32::from(first), text.get(1..).unwrap_or_default())
        }
        // The same in full width, as an East Asian spreadsheet reads them.
        Some(first @ ('\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}')) => {
            let rest = text.get(first.len_utf8()..).unwrap_or_default();
            format!("\\u{{{:x}}}{rest}", u32::from(first))
        }
        _ => text,
    }
}

/// The name of a file, escaped for messages.
pub fn shown(path: &Path) -> String {
    escaped_lossy(path.as_os_str().as_bytes(), usize::MAX)
}

/// At most `limit` characters of `bytes`, escaped. Bytes that are not UTF-8 become `\xNN`.
pub fn escaped_lossy(bytes: &[u8], limit: usize) -> String {
    let mut out = String::new();
    let mut left = limit;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if !push_within(&mut out, &mut left, |out| push_escaped(out, c)) {
                return out;
            }
        }
        for byte in chunk.invalid() {
            let pushed = push_within(&mut out, &mut left, |out| {
                let _infallible = write!(out, "\\x{byte:02x}");
            });
            if !pushed {
                return out;
            }
        }
    }
    out
}

/// Appends what `push` appends, unless that is more than `left` characters.
fn push_within(out: &mut String, left: &mut usize, push: impl FnOnce(&mut String)) -> bool {
    let before = out.len();
    push(out);
    let added = out.get(before..).map_or(0, |added| added.chars().count());
    if added > *left {
        out.truncate(before);
        return false;
    }
    *left -= added;
    true
}

/// Marks the end of a text or list that was cut.
pub const CUT: char = '\u{2026}';

/// Cuts `text` so that it takes at most `limit` bytes in a line of any format. A text that was cut
/// ends with [`CUT`].
pub fn cut(mut text: String, limit: usize) -> String {
    // Nearly every text is short enough even if all of it had to be escaped.
    const WIDEST: usize = 6;
    if text.len() * WIDEST <= limit || written_length(&text) <= limit {
        return text;
    }
    let mut left = limit.saturating_sub(CUT.len_utf8());
    let end = text.char_indices().find_map(|(at, c)| {
        let rest = left.checked_sub(written_length_of(c));
        left = rest.unwrap_or_default();
        rest.is_none().then_some(at)
    });
    text.truncate(end.unwrap_or(text.len()));
    text.push(CUT);
    text
}

/// The most bytes that `text` takes in a line of any format.
pub fn written_length(text: &str) -> usize {
    text.chars().map(written_length_of).sum()
}

/// The most bytes that a character takes: in JSON, in a CSV cell, or in JSON inside a CSV cell,
/// where a quotation mark becomes `\""`.
fn written_length_of(c: char) -> usize {
    match c {
        '"' => 3,
        '\\' => 2,
        _ if is_plain(c) => c.len_utf8(),
        // `\u0001`
        '\0'..='\u{7f}' => 6,
        // `\u{feff}`
        '\u{80}'..='\u{ffff}' => 8,
        // Two surrogates.
        _ => 12,
    }
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        _ if is_plain(c) => out.push(c),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        _ if u32::from(c) < 0x80 => {
            let _infallible = write!(out, "\\x{:02x}", u32::from(c));
        }
        _ => {
            let _infallible = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
    }
}

/// Whether all of `text` is printable ASCII, as nearly every text is.
pub fn is_printable_ascii(text: &str) -> bool {
    // Without an early exit, the compiler checks many bytes at a time.
    text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}

/// Whether a character can be printed as it is. False for control characters, for every blank but the
/// space, and for characters that reorder or hide text or that show nothing at all.
pub fn is_plain(c: char) -> bool {
    // The common case first.
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let is_hidden = GeneralCategoryGroup::Separator
        .union(GeneralCategoryGroup::Control)
        .union(GeneralCategoryGroup::Format)
        .contains(category);
    !is_hidden
        // The braille pattern without dots is a symbol, but it looks like a blank.
        && c != '\u{2800}'
        && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays() {
        assert_eq!(escaped("bücher \u{1f512} \\ \"x\""), "bücher \u{1f512} \\ \"x\"");
    }

    #[test]
    fn printable_ascii_ends_where_it_should() {
        assert!(is_printable_ascii(""));
        assert!(is_printable_ascii(&(' '..='~').collect::<String>()));
        for text in ["\u{1f}", "a\u{7f}b", "\u{80}", "b\u{fc}cher"] {
            assert!(!is_printable_ascii(text), "{text:?}");
        }
    }

    #[test]
    fn control_and_bidirectional_characters_are_escaped() {
        assert_eq!(
            escaped("a\0b\x1b[31m\u{202e}c\n\u{85}"),
            "a\\x00b\\x1b[31m\\u{202e}c\\n\\u{85}"
        );
    }

    /// Two names that differ only in such characters would look the same.
    #[test]
    fn characters_that_show_nothing_are_escaped() {
        for c in [
            // Blanks that are not the space, and the braille pattern without dots.
            '\u{a0}',
            '\u{1680}',
            '\u{2000}',
            '\u{200a}',
            '\u{202f}',
            '\u{205f}',
            '\u{3000}',
            '\u{2800}',
            // Fillers.
            '\u{115f}',
            '\u{1160}',
            '\u{3164}',
            '\u{ffa0}',
            '\u{17b4}',
            // Joiners, selectors and tags.
            '\u{34f}',
            '\u{180b}',
            '\u{200d}',
            '\u{fe0f}',
            '\u{e0100}',
            '\u{e0020}',
            // Format characters of single scripts.
            '\u{600}',
            '\u{6dd}',
            '\u{70f}',
            '\u{110bd}',
            '\u{13430}',
            '\u{1bca0}',
            '\u{1d173}',
            // Separators, and characters that change the direction.
            '\u{2028}',
            '\u{2029}',
            '\u{202e}',
            '\u{2066}',
            '\u{61c}',
            '\u{feff}',
            '\u{fffb}',
        ] {
            let number = u32::from(c);
            assert_eq!(escaped(&format!("bank{c}")), format!("bank\\u{{{number:x}}}"));
        }
        for text in [
            "b\u{fc}cher",
            "\u{4f8b}\u{3048}",
            "\u{645}\u{62b}\u{627}\u{644}",
            "\u{915}\u{93f}",
            "e\u{301}",
            "\u{1f512}",
        ] {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn what_begins_like_a_formula_is_escaped_and_nothing_else() {
        for (text, expected) in [
            ("=1+1", "\\x3d1+1"),
            ("+1", "\\x2b1"),
            ("-3", "\\x2d3"),
            ("@SUM(A1)", "\\x40SUM(A1)"),
            ("\u{ff1d}1", "\\u{ff1d}1"),
            (&escaped("\t=1"), "\\t=1"),
            (&escaped("\r=1"), "\\r=1"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(without_formula(text.to_owned()), expected);
        }
    }

    #[test]
    fn texts_are_cut_by_what_they_take_in_a_line() {
        for (text, limit, expected) in [
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abc\u{2026}"),
            ("\u{1}\u{1}", 12, "\u{1}\u{1}"),
            ("\u{1}\u{1}x", 12, "\u{1}\u{2026}"),
            ("\"\"", 6, "\"\""),
            ("\"\"\"", 8, "\"\u{2026}"),
            ("\u{e9}\u{e9}\u{e9}\u{e9}", 7, "\u{e9}\u{e9}\u{2026}"),
            ("\u{202e}abcdefgh", 12, "\u{202e}a\u{2026}"),
            ("abc", 0, "\u{2026}"),
        ] {
            assert_eq!(cut(text.to_owned(), limit), expected, "{text:?} {limit}");
        }
    }

    /// Against what the formats write: JSON's escapes, CSV's, and JSON's quoted by CSV.
    #[test]
    fn no_character_is_written_longer_than_it_counts() {
        // The planes in between have ideographs at most.
        let planes = (0..0x2_0000).chain(0xe_0000..0xe_1000).chain([u32::from(char::MAX)]);
        for c in planes.filter_map(char::from_u32) {
            let json = match c {
                '"' | '\\' => 2,
                _ if is_plain(c) => c.len_utf8(),
                _ => 6 * c.len_utf16(),
            };
            let quoted = json + usize::from(c == '"');
            let csv = escaped(&c.to_string()).len() + usize::from(c == '"');
            assert!(written_length_of(c) >= quoted.max(csv), "{c:?}");
        }
    }

    #[test]
    fn bytes_are_cut_at_whole_characters() {
        assert_eq!(escaped_lossy(b"ab\xff\xc3\xa9c", 64), "ab\\xff\u{e9}c");
        assert_eq!(escaped_lossy(b"ab\xffc", 5), "ab");
        assert_eq!(escaped_lossy(&[b'x'; 1000], 256).len(), 256);
    }
}
