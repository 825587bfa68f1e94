//! Whether a provider may ask another question.

use crate::tls::enumerate::PATIENCE;

/// Questions that are asked one at a time.
#[derive(Debug, Default)]
pub(super) struct Questions {
    is_under_way: bool,
    /// How many in a row had no answer.
    silences: u8,
}

impl Questions {
    /// Whether none is under way, and the server has not been silent too often.
    pub(super) fn may_begin(&self) -> bool {
        !self.is_under_way && self.silences < PATIENCE
    }

    /// Takes note that one is under way.
    pub(super) fn begin(&mut self) {
        self.is_under_way = true;
    }

    /// Takes note that it is over.
    pub(super) fn end(&mut self) {
        self.is_under_way = false;
    }

    /// Takes note that it had an answer.
    pub(super) fn answered(&mut self) {
        self.silences = 0;
    }

    /// Takes note that it had none.
    pub(super) fn unanswered(&mut self) {
        self.silences = self.silences.saturating_add(1);
    }

    /// Asks no more.
    pub(super) fn give_up(&mut self) {
        self.silences = PATIENCE;
    }
}
