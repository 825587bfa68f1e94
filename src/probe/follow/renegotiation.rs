//! `--enumerate`: whether a client may ask for a second handshake in a session of TLS 1.2.

use super::enumeration::ENUMERATE;
use super::questions::Questions;
use super::{Facts, Follow, Row};
use crate::names::Version;
use crate::probe::{Attempt, Speech};
use crate::tls::enumerate::Support;
use crate::tls::handshake::Hello;

pub(super) const ROW: Row = Row {
    topic: "renegotiation",
    flag: &ENUMERATE,
    make: |start| {
        Box::new(Asking {
            hello: start.hello,
            questions: Questions::default(),
            by_close: false,
            support: None,
        })
    },
    without_tls: |_facts| {},
};

/// The versions that have renegotiation.
const UP_TO_TLS_1_2: [Version; 4] =
    [Version::SSL_3_0, Version::TLS_1_0, Version::TLS_1_1, Version::TLS_1_2];

struct Asking {
    hello: Hello,
    questions: Questions,
    /// Whether the refusal was a close.
    by_close: bool,
    support: Option<Support>,
}

impl Follow for Asking {
    fn next(&mut self) -> Option<Speech> {
        if self.support.is_some() || !self.questions.may_begin() {
            return None;
        }
        self.questions.begin();
        Some(Speech::Renegotiation(self.hello))
    }

    fn settle(&mut self, _number: usize, attempt: &Attempt) {
        self.questions.end();
        // Without a session, nothing was asked for.
        if attempt.agreed.is_none() {
            self.questions.unanswered();
        } else if attempt.has_chosen() {
            self.support = Some(Support::Supported);
        } else if attempt.is_refused() {
            self.support = Some(Support::NotSupported);
            self.by_close = attempt.is_refusal;
        } else {
            // Some servers, such as those on tokio-rustls, send their alert with their next data only.
            // Waiting once more for that would only take time.
            self.questions.give_up();
        }
    }

    fn doubt_closes(&mut self) {
        if self.by_close {
            self.support = None;
        }
    }

    fn into_facts(self: Box<Self>, facts: &mut Facts) {
        // In TLS 1.3, there is no renegotiation.
        let has_none =
            UP_TO_TLS_1_2.iter().all(|version| facts.support_of(*version) == Support::NotSupported);
        facts.client_renegotiation = match self.support {
            None if has_none => Some(Support::NotSupported),
            support => support,
        };
    }
}
