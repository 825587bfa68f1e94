//! Guesses about a list that is not one of targets, each said once.

use std::collections::HashSet;

use tlsweep::feed::hint::Hint;
use tlsweep::feed::input::Line;

use crate::term;

/// The guesses that were said.
pub(crate) struct Hints {
    is_quiet: bool,
    said: HashSet<Hint>,
}

impl Hints {
    pub(crate) fn new(is_quiet: bool) -> Self {
        Self { is_quiet, said: HashSet::new() }
    }

    /// Says what `line` gives away, unless that was said already.
    pub(crate) fn look_at(&mut self, line: &Line) {
        let Ok(text) = &line.text else { return };
        // Most lines begin with a letter, and only the first may be a header.
        let is_first = line.place.number == 1;
        if self.is_quiet || !is_first && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return;
        }
        if let Some(hint) = Hint::of(text, is_first)
            && self.said.insert(hint)
        {
            term::notice(format_args!("hint: {}", hint.text()));
        }
    }
}
