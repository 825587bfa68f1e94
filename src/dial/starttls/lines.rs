//! Dialogues that go line by line.

use std::ops::RangeInclusive;

use super::{BANNER_LIMIT, Dialogue, Step, broken};
use crate::failure::Failure;

/// One protocol's part in a dialogue of text lines.
pub(super) trait LineDialogue: Send {
    /// What to send first. Nothing when the peer sends a greeting first.
    fn open(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Reacts to a line, which is given without its line end.
    fn line(&mut self, line: &[u8]) -> Result<Step, Failure>;
}

/// Cuts what comes into lines for a [`LineDialogue`].
pub(super) struct Lines<D> {
    dialogue: D,
    banner: Option<Vec<u8>>,
    /// Bytes of the line that has begun, in which there is no newline.
    seen: usize,
}

impl<D: LineDialogue + 'static> Lines<D> {
    pub(super) fn boxed(dialogue: D) -> Box<dyn Dialogue> {
        Box::new(Self { dialogue, banner: None, seen: 0 })
    }

    /// Whether the bytes can be text. This is checked at once, because other bytes may never bring
    /// a newline.
    fn is_text(&self, line: &[u8]) -> bool {
        let first_may_be = |byte: &u8| match self.banner {
            Some(_) => !TLS_CONTENT_TYPES.contains(byte),
            None => matches!(byte, b' '..=b'~'),
        };
        let unseen = line.get(self.seen..).unwrap_or_default();
        line.first().is_none_or(first_may_be) && !unseen.contains(&0)
    }
}

const TLS_CONTENT_TYPES: RangeInclusive<u8> = 20..=23;

impl<D: LineDialogue + 'static> Dialogue for Lines<D> {
    fn open(&mut self) -> Vec<u8> {
        self.dialogue.open()
    }

    fn read(&mut self, input: &[u8]) -> Result<Option<(usize, Step)>, Failure> {
        let end = input.iter().skip(self.seen).position(|byte| *byte == b'\n');
        let end = end.map(|unseen| self.seen + unseen);
        let line = input.get(..end.unwrap_or(input.len())).unwrap_or_default();
        if !self.is_text(line) {
            return Err(broken("binary bytes where text is due", input));
        }
        self.seen = if end.is_some() { 0 } else { line.len() };
        let Some(end) = end else { return Ok(None) };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.banner.is_none() {
            let kept = line.get(..BANNER_LIMIT).unwrap_or(line);
            self.banner = Some(kept.to_vec());
        }
        Ok(Some((end + 1, self.dialogue.line(line)?)))
    }

    fn banner(&self) -> Option<&[u8]> {
        self.banner.as_deref()
    }
}

/// A line of a reply that begins with a three-digit code.
pub(super) struct Reply<'a> {
    pub(super) code: u16,
    /// True when more lines of the same reply follow.
    pub(super) more: bool,
    pub(super) text: &'a [u8],
}

impl<'a> Reply<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let (code, text) = line.split_at_checked(3)?;
        if !code.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let code = std::str::from_utf8(code).ok()?.parse().ok()?;
        let (more, text) = match text.split_first() {
            None => (false, text),
            Some((b' ', text)) => (false, text),
            Some((b'-', text)) => (true, text),
            Some(_) => return None,
        };
        Some(Self { code, more, text })
    }
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// True when the first word of a line is this one, whatever the case.
pub(super) fn begins(line: &[u8], word: &str) -> bool {
    words(line).next().is_some_and(|first| first.eq_ignore_ascii_case(word.as_bytes()))
}
