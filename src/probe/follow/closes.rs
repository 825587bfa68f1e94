//! Tells a refusal from a connection that was merely lost.
//!
//! Some servers refuse a hello by closing the connection without a word. A rate limit, a load balancer
//! in front of a dead server and a lossy network look the same. So a close counts as a refusal only when
//! a control is answered right after it, and the question is then closed again. A control is a hello that
//! this server has answered before.
//!
//! Nothing here does I/O: [`Closes`] says which connections to make, and is told what came of them.

use crate::limits::MAX_CONTROLS;
use crate::probe::{Attempt, Speech};

/// A connection that checks a close.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// It must be answered.
    Control,
    /// It must be closed again.
    Question,
}

use Turn::{Control, Question};

/// The connections that check the first close of a target.
///
/// If the close was a refusal, two questions in a row are closed, and two controls in a row are
/// answered. This pattern does not arise by chance at a server that drops every second, third or
/// n-th connection, or serves only every n-th, or drops everything from some connection on. A
/// server that drops a third of its connections at random, and dropped this one, shows the pattern
/// once in 30 times; the checks of its later closes then tell that they are chance.
const FIRST: &[Turn] = &[Control, Question, Question, Control, Control];

/// The connections that check a later close, at a server that is known to refuse by closing.
const LATER: &[Turn] = &[Control, Question];

/// What one of these connections shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Evidence {
    /// The connection ended as it must if the close was a refusal.
    Refusal,
    /// The server closes whatever the hello says.
    Chance,
    /// Nothing: no connection was made, or it did not end.
    Nothing,
}

/// What is known of the closes of one server.
#[derive(Debug)]
pub(super) struct Closes {
    control: Option<Speech>,
    meaning: Meaning,
    /// Connections that were made to check closes.
    made: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Meaning {
    Unknown,
    Refusal,
    Chance,
}

impl Closes {
    /// So far, only these attempts are known.
    pub(super) fn after<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> Self {
        let mut closes = Self { control: None, meaning: Meaning::Unknown, made: 0 };
        attempts.into_iter().for_each(|attempt| closes.note(attempt));
        closes
    }

    /// Takes the speech of an answered attempt as the control. One whose answer ends early is better than
    /// a whole handshake.
    pub(super) fn note(&mut self, attempt: &Attempt) {
        let is_better = match (&attempt.speech, &self.control) {
            (Speech::Handshake(_), control) => control.is_none(),
            // A protocol of its own, which few servers answer.
            (Speech::Raw(_), _) if !attempt.saw_hello => false,
            (Speech::Plain(_) | Speech::Raw(_), control) => {
                matches!(control, None | Some(Speech::Handshake(_)))
            }
            // Sessions are offered once, and few servers let a client renegotiate.
            _ => false,
        };
        if is_better && attempt.has_chosen() {
            self.control = Some(attempt.speech.clone());
        }
    }

    /// The control, and the connections that check a close. None when nothing could be shown.
    pub(super) fn check(&mut self) -> Option<(Speech, &'static [Turn])> {
        let turns = match self.meaning {
            Meaning::Unknown => FIRST,
            Meaning::Refusal => LATER,
            Meaning::Chance => return None,
        };
        let control = self.control.clone()?;
        let made = self.made + turns.len();
        if made > MAX_CONTROLS {
            return None;
        }
        self.made = made;
        Some((control, turns))
    }

    /// What came of one connection of a check.
    pub(super) fn settle(&mut self, turn: Turn, attempt: &Attempt) -> Evidence {
        let is_expected = match turn {
            Control => attempt.has_chosen(),
            Question => attempt.is_dropped(),
        };
        let is_contrary = match turn {
            Control => attempt.is_dropped(),
            Question => attempt.has_chosen() || attempt.is_said(),
        };
        if is_contrary {
            self.meaning = Meaning::Chance;
        }
        match (is_expected, is_contrary) {
            (true, false) => Evidence::Refusal,
            (_, true) => Evidence::Chance,
            (false, false) => Evidence::Nothing,
        }
    }

    /// Every connection of a check showed what it must.
    pub(super) fn are_refusals(&mut self) {
        self.meaning = Meaning::Refusal;
    }

    /// Whether the server was seen to close whatever the hello says, so that none of its closes is a
    /// refusal for certain.
    pub(super) fn are_chance(&self) -> bool {
        self.meaning == Meaning::Chance
    }
}

#[cfg(test)]
mod tests;
