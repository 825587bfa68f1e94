//! `--enumerate`: every application protocol that a server chooses in the ALPN extension.

use super::{Facts, Follow, Row};
use crate::names::{self, AlertDescription};
use crate::probe::{Attempt, Speech};
use crate::tls::enumerate::PATIENCE;
use crate::tls::handshake::{Hello, Tailored, Versions};

pub(super) const ROW: Row = Row {
    is_wanted: |config| config.enumerate,
    make: |start| {
        Box::new(Asking {
            hello: start.hello,
            versions: start.versions,
            open: names::application_protocols().map(|name| name.as_bytes().to_vec()).collect(),
            is_under_way: false,
            silences: 0,
            by_close: false,
            found: Protocols::default(),
        })
    },
    without_tls: |_facts| {},
};

/// The application protocols of a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Protocols {
    /// In the order in which they were chosen.
    pub names: Vec<Vec<u8>>,
    /// Whether the server chose none of the others. Otherwise the asking broke off.
    pub is_complete: bool,
}

struct Asking {
    hello: Hello,
    versions: Versions,
    /// What is still to be offered.
    open: Vec<Vec<u8>>,
    is_under_way: bool,
    /// How many questions in a row had no answer.
    silences: u8,
    /// Whether the refusal that ended the asking was a close.
    by_close: bool,
    found: Protocols,
}

impl Follow for Asking {
    fn next(&mut self) -> Option<Speech> {
        if self.is_under_way || self.found.is_complete || self.silences >= PATIENCE {
            return None;
        }
        self.is_under_way = true;
        Some(Speech::Tailored(Box::new(Tailored {
            hello: self.hello,
            versions: self.versions,
            alpn: Some(self.open.clone()),
            sessions: None,
        })))
    }

    fn settle(&mut self, _number: usize, attempt: &Attempt) {
        self.is_under_way = false;
        // If the server has chosen nothing yet, it may have refused the length of the list instead.
        let is_about_names = attempt.alert() == Some(AlertDescription::NO_APPLICATION_PROTOCOL)
            || !self.found.names.is_empty();
        if attempt.is_refused() && is_about_names {
            self.found.is_complete = true;
            self.by_close = attempt.is_refusal;
            return;
        }
        let agreed = attempt.agreed.as_ref().filter(|_| attempt.result.is_ok());
        let Some(agreed) = agreed else {
            self.silences += 1;
            return;
        };
        self.silences = 0;
        match &agreed.alpn {
            Some(chosen) if self.open.contains(chosen) => {
                self.open.retain(|open| open != chosen);
                self.found.names.push(chosen.clone());
                self.found.is_complete = self.open.is_empty();
            }
            // The server chose something that it was not offered.
            Some(_) => self.silences = PATIENCE,
            None => self.found.is_complete = true,
        }
    }

    fn doubt_closes(&mut self) {
        self.found.is_complete &= !self.by_close;
    }

    fn into_facts(self: Box<Self>, facts: &mut Facts) {
        facts.alpn = Some(Box::new(self.found));
    }
}
