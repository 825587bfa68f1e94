//! `--jarm`: ten hellos, whose answers make the fingerprint.

use std::time::Duration;

use fastrand::Rng;

use super::{Facts, Follow, Row, Start};
use crate::config::Flag;
use crate::failure::{Kind, Stage};
use crate::probe::{Attempt, Bytes, Speech};
use crate::tls::jarm::{Answer, HELLOS, NONE, fingerprint, hello};

pub(super) const ROW: Row = Row {
    topic: "JARM",
    flag: &Flag {
        name: "jarm",
        help: "Take the JARM fingerprint of each server (ten dials)",
        is_one_by_one: false,
    },
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
    /// Whether one of these outcomes is a close.
    by_close: bool,
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
            by_close: false,
            is_silent: false,
        }
    }
}

impl Follow for Asking {
    fn next(&mut self) -> Option<Speech> {
        if self.is_silent {
            return None;
        }
        let question = hello(self.asked, &self.host, &mut Rng::new())?;
        self.asked += 1;
        let what = "a hello that is laid down byte by byte";
        Some(Speech::Raw(Box::new(Bytes { what, question, ..Bytes::default() })))
    }

    fn settle(&mut self, number: usize, attempt: &Attempt) {
        if attempt.failed(Stage::Handshake, &[Kind::Timeout]) {
            self.is_silent |= attempt.times.handshake.is_some_and(|took| took >= self.patience);
        } else if !attempt.is_dropped() && attempt.is_connected() || attempt.is_refusal {
            self.settled += 1;
            self.by_close |= attempt.is_refusal;
            if let Some(answer) = self.answers.get_mut(number) {
                *answer = Answer::read(&attempt.first_read);
            }
        }
    }

    fn doubt_closes(&mut self) {
        if self.by_close {
            self.settled = 0;
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
