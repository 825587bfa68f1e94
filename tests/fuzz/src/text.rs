//! What a line of output must not hold, told independently of `tlsweep::escape`.

/// Fails on a character that moves a cursor, ends a line or turns the direction of the text.
pub fn assert_harmless(text: &str) {
    if let Some(c) = text.chars().find(|&c| is_harmful(c)) {
        panic!("U+{:04X} in {text:?}", u32::from(c));
    }
}

fn is_harmful(c: char) -> bool {
    let bidirectional = matches!(c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || bidirectional || matches!(c, '\u{2028}' | '\u{2029}')
}

/// How many bytes `escaped`, which `<[u8]>::escape_ascii` made, stands for.
pub fn unescaped_length(escaped: &str) -> usize {
    let mut length = 0;
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        assert!(matches!(c, ' '..='~'), "{c:?} in {escaped:?}");
        length += 1;
        if c == '\\' && chars.next() == Some('x') {
            chars.nth(1);
        }
    }
    length
}
