//! Text that fits columns of a terminal.

use unicode_width::UnicodeWidthChar;

/// The fewest columns that anything is fitted into: on a narrower terminal its lines wrap.
pub const NARROWEST: usize = 20;

/// What stands for what was left out.
const ELLIPSIS: char = '\u{2026}';

/// Asks for the picture of the character before it. Many terminals then draw that character two columns wide.
const EMOJI_PRESENTATION: char = '\u{fe0f}';

/// Columns that `text` takes at most: the sum of its characters.
///
/// Terminals differ where characters melt together (emoji with joiners, Arabic ligatures). The sum is what those
/// take that draw each character alone, and the others take less.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Columns that a character adds at most to those before it.
fn columns(character: char) -> usize {
    match character {
        EMOJI_PRESENTATION => 1,
        // Two of these letters are a flag. Terminals give such a letter one column or two.
        '\u{1f1e6}'..='\u{1f1ff}' => 2,
        _ => character.width().unwrap_or_default(),
    }
}

/// `text`, with its middle left out if it takes more than `limit` columns.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    // The end tells names under one domain apart less often than the start does.
    let room = limit.saturating_sub(1);
    let (head, tail) = (room.div_ceil(2), room / 2);
    let start = prefix(text.chars(), head);
    let end: String = prefix(text.chars().rev(), tail).chars().rev().collect();
    format!("{start}{ELLIPSIS}{end}")
}

/// As many of the characters as fit.
fn prefix(chars: impl Iterator<Item = char>, limit: usize) -> String {
    let mut taken = 0;
    chars
        .take_while(|c| {
            taken += columns(*c);
            taken <= limit
        })
        .collect()
}

/// `text` in lines of at most `limit` columns, broken at blanks where there are any, but not between a
/// number and the word after it.
pub fn wrapped(text: &str, limit: usize) -> Vec<String> {
    let limit = limit.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for mut word in words(text, limit) {
        if !line.is_empty() && width(&line) + 1 + width(&word) > limit {
            lines.push(std::mem::take(&mut line));
        }
        while width(&word) > limit {
            // A word that is wider than the line has a line of its own, which is too wide.
            let mut head = prefix(word.chars(), limit);
            if head.is_empty() {
                head.extend(word.chars().next());
            }
            word = word.split_off(head.len());
            lines.push(head);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

/// The words of `text`. A number and the word after it are one, where that fits into `limit` columns.
fn words(text: &str, limit: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match words.last_mut() {
            Some(last) if is_number(last) && width(last) + 1 + width(word) <= limit => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// Whether `word` is a number that may count what follows, such as `19.7` or `(3`.
fn is_number(word: &str) -> bool {
    let digits = word.trim_start_matches('(');
    digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ','))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_middle_is_left_out() {
        for (text, limit, expected) in [
            ("example.com", 11, "example.com"),
            ("www.example.com", 11, "www.e\u{2026}e.com"),
            ("\u{4f8b}\u{3048}\u{30c6}\u{30b9}\u{30c8}", 7, "\u{4f8b}\u{2026}\u{30c8}"),
            ("abc", 1, "\u{2026}"),
        ] {
            assert_eq!(shortened(text, limit), expected);
        }
    }

    #[test]
    fn a_character_that_is_drawn_as_a_picture_takes_two_columns() {
        assert_eq!(width("0\u{fe0f}"), 2);
        assert_eq!(width("\u{1f1e9}\u{1f1ea}"), 4);
        assert_eq!(wrapped("ab0\u{fe0f}", 3), ["ab0", "\u{fe0f}"]);
    }

    #[test]
    fn lines_break_at_blanks_and_long_words_anywhere() {
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("abcdefgh ij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn a_number_stays_with_what_it_counts() {
        assert_eq!(wrapped("in all 19.7 ms", 12), ["in all", "19.7 ms"]);
        assert_eq!(wrapped("failed (12 eof, 3 reset)", 12), ["failed", "(12 eof,", "3 reset)"]);
        assert_eq!(wrapped("1 abcdefgh", 8), ["1", "abcdefgh"]);
        assert_eq!(wrapped("port 443, ab", 9), ["port 443,", "ab"]);
    }

    proptest! {
        #[test]
        fn nothing_is_too_wide_and_nothing_is_lost(text in "\\PC{0,60}", limit in 2_usize..40) {
            prop_assert!(width(&shortened(&text, limit)) <= limit);
            let lines = wrapped(&text, limit);
            for line in &lines {
                prop_assert!(width(line) <= limit, "{line:?}");
            }
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
