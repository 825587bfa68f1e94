//! `--quic`: the versions of QUIC that a server speaks at the same address and port over UDP.

use std::time::Duration;

use super::{Facts, Follow, Row, Start};
use crate::failure::{Kind, Stage};
use crate::probe::{Attempt, Speech};
use crate::quic::VersionProbe;

pub(super) const ROW: Row = Row {
    is_wanted: |config| config.quic,
    make: |start| Box::new(Asking::new(start)),
    // It is asked only where TLS over TCP was reached.
    without_tls: |_facts| {},
};

/// What a server shows of QUIC.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Quic {
    /// It speaks these versions, and perhaps more.
    Versions(Vec<u32>),
    /// It gave no answer. That is no proof: a firewall may have dropped question or answer.
    NotShown,
    /// Its machine says that nobody listens at this UDP port.
    Refused,
}

struct Asking {
    probe: VersionProbe,
    /// How long a silence is the server's own; a shorter one was cut by the target's time.
    patience: Duration,
    is_asked: bool,
    found: Option<Quic>,
}

impl Asking {
    fn new(start: &Start<'_>) -> Self {
        let mut random = [0; 20];
        fastrand::fill(&mut random);
        Self {
            probe: VersionProbe::new(random),
            patience: start.limits.connect,
            is_asked: false,
            found: None,
        }
    }
}

impl Follow for Asking {
    fn next(&mut self) -> Option<Speech> {
        let is_first = !std::mem::replace(&mut self.is_asked, true);
        is_first.then(|| Speech::Quic(self.probe.clone()))
    }

    fn settle(&mut self, _number: usize, attempt: &Attempt) {
        let waited = attempt.times.handshake.unwrap_or_default();
        self.found = match self.probe.versions(&attempt.first_read) {
            Some(versions) => Some(Quic::Versions(versions)),
            None if attempt.failed(Stage::Connect, &[Kind::Refused]) => Some(Quic::Refused),
            None if attempt.failed(Stage::Connect, &[Kind::Timeout]) => {
                (waited >= self.patience).then_some(Quic::NotShown)
            }
            None => attempt.result.is_ok().then_some(Quic::NotShown),
        };
    }

    fn doubt_closes(&mut self) {
        // There are none over UDP.
    }

    fn into_facts(self: Box<Self>, facts: &mut Facts) {
        facts.quic = self.found;
    }
}
