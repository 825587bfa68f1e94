//! `--jarm`: ten hellos, whose answers make the fingerprint.

use std::time::Duration;

use fastrand::Rng;

use super::{Facts, Follow, Row, Start};
use crate::failure::{Kind, Stage};
use crate::probe::{Attempt, Speech};
use crate::tls::jarm::{Answer, HELLOS, NONE, fingerprint, hello};

pub(super) const ROW: Row = Row {
    is_wanted: |config| config.jarm,
    make: |start| Box::new(Asking::new(start)),
    // None of the ten would be answered, so none is sent.
    without_tls: |facts| facts.jarm = Some(NONE.to_owned()),
};

struct Asking {
    host: String,
    /// How long a silence is the server's own; a shorter one was cut by the target's time.
    patience: Duration,
    asked: usize,
    answers: [Option<Answer>; HELLOS],
    settled: usize,
    /// The original gives up when one hello meets silence.
    is_silent: bool,
}

impl Asking {
    fn new(start: &Start<'_>) -> Self {
        let name = start.identity.sent.as_ref().map(|name| name.as_ref().to_owned());
        Self {
            host: name.unwrap_or_else(|| start.address.ip().to_string()),
            patience: start.limits.handshake,
            asked: 0,
            answers: Default::default(),
            settled: 0,
            is_silent: false,
        }
    }
}

impl Follow for Asking {
    fn next(&mut self) -> Option<Speech> {
        if self.is_silent {
            return None;
        }
        let bytes = hello(self.asked, &self.host, &mut Rng::new())?;
        self.asked += 1;
        Some(Speech::Raw(bytes.into()))
    }

    fn settle(&mut self, number: usize, attempt: &Attempt) {
        if attempt.failed(Stage::Handshake, &[Kind::Timeout]) {
            self.is_silent |= attempt.times.handshake.is_some_and(|took| took >= self.patience);
        } else if !attempt.failed(Stage::Connect, &[Kind::Timeout]) && !attempt.is_local_failure() {
            self.settled += 1;
            if let Some(answer) = self.answers.get_mut(number) {
                *answer = Answer::read(&attempt.first_read);
            }
        }
    }

    fn into_facts(self: Box<Self>, facts: &mut Facts) {
        facts.jarm = match self.settled {
            _ if self.is_silent => Some(NONE.to_owned()),
            HELLOS => Some(fingerprint(&self.answers)),
            _ => None,
        };
    }
}
