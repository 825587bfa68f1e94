//! `--enumerate`: every application protocol that a server chooses in the ALPN extension.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::enumeration::ENUMERATE;
use super::questions::Questions;
use super::{Facts, Follow, Row};
use crate::names::{self, AlertDescription};
use crate::probe::{Attempt, Speech};
use crate::tls::handshake::{Hello, Tailored, Versions};

pub(super) const ROW: Row = Row {
    topic: "application protocols",
    flag: &ENUMERATE,
    make: |start| {
        Box::new(Asking {
            hello: start.hello,
            versions: start.versions,
            open: names::application_protocols().map(|name| name.as_bytes().to_vec()).collect(),
            questions: Questions::default(),
            by_close: false,
            found: Protocols::default(),
        })
    },
    without_tls: |_facts| {},
};

/// The application protocols that a server chooses.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Protocols {
    /// Their IANA names, in the order in which they were chosen.
    pub protocols: Vec<String>,
    /// Whether that list is whole; else no clear answer came.
    pub complete: bool,
}

struct Asking {
    hello: Hello,
    versions: Versions,
    /// What is still to be offered.
    open: Vec<Vec<u8>>,
    questions: Questions,
    /// Whether the refusal that ended the asking was a close.
    by_close: bool,
    found: Protocols,
}

impl Follow for Asking {
    fn next(&mut self) -> Option<Speech> {
        if self.found.complete || !self.questions.may_begin() {
            return None;
        }
        self.questions.begin();
        Some(Speech::Tailored(Box::new(Tailored {
            alpn: Some(self.open.clone()),
            ..Tailored::new(self.hello, self.versions)
        })))
    }

    fn settle(&mut self, _number: usize, attempt: &Attempt) {
        self.questions.end();
        // If the server has chosen nothing yet, it may have refused the length of the list instead.
        let is_about_names = attempt.alert() == Some(AlertDescription::NO_APPLICATION_PROTOCOL)
            || !self.found.protocols.is_empty();
        if attempt.is_refused() && is_about_names {
            self.found.complete = true;
            self.by_close = attempt.is_refusal;
            return;
        }
        let agreed = attempt.agreed.as_ref().filter(|_| attempt.result.is_ok());
        let Some(agreed) = agreed else {
            self.questions.unanswered();
            return;
        };
        self.questions.answered();
        match &agreed.alpn {
            Some(chosen) if self.open.contains(chosen) => {
                self.open.retain(|open| open != chosen);
                // It was offered, so it is one of our own texts.
                self.found.protocols.push(String::from_utf8_lossy(chosen).into_owned());
                self.found.complete = self.open.is_empty();
            }
            // The server chose something that it was not offered.
            Some(_) => self.questions.give_up(),
            None => self.found.complete = true,
        }
    }

    fn doubt_closes(&mut self) {
        self.found.complete &= !self.by_close;
    }

    fn into_facts(self: Box<Self>, facts: &mut Facts) {
        facts.alpn = Some(Box::new(self.found));
    }
}
