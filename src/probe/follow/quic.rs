//! `--quic`: the versions of QUIC that a server speaks at the same address and port over UDP.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Facts, Follow, Row, Start};
use crate::config::Flag;
use crate::failure::{Kind, Stage};
use crate::probe::datagram::{Question, Reply};
use crate::probe::{Attempt, Speech};
use crate::quic::{VersionProbe, version};

pub(super) const ROW: Row = Row {
    topic: "versions of QUIC",
    flag: &Flag {
        name: "quic",
        help: "Ask each server for its versions of QUIC, at the same port over UDP (one datagram)",
        is_one_by_one: true,
    },
    make: |start| Box::new(Asking::new(start)),
    // It is asked only where TLS over TCP was reached.
    without_tls: |_facts| {},
};

/// What a server shows of QUIC.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Quic {
    /// Whether it answered.
    pub status: QuicStatus,
    /// The versions in its answer, in its order: `v1`, `v2`, `draft-29`, or a number in hexadecimal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
}

/// Whether a server answered the question about QUIC.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuicStatus {
    /// It answered with its versions.
    Shown,
    /// It did not answer, which is no proof that it does not speak QUIC.
    NotShown,
    /// Its machine says that nobody listens at this UDP port.
    Refused,
}

impl Quic {
    /// One line for people.
    #[doc(hidden)]
    pub fn line(&self) -> String {
        match self.status {
            QuicStatus::Shown => self.versions.join(", "),
            QuicStatus::NotShown => "no answer, which proves nothing".to_owned(),
            QuicStatus::Refused => "no: nobody listens at this UDP port".to_owned(),
        }
    }

    fn shown(numbers: Vec<u32>) -> Self {
        let versions = numbers.into_iter().map(|number| version(number).into_owned());
        Self { status: QuicStatus::Shown, versions: versions.collect() }
    }

    fn without_versions(status: QuicStatus) -> Self {
        Self { status, versions: Vec::new() }
    }
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
    fn question(&mut self) -> Option<Question> {
        let is_first = !std::mem::replace(&mut self.is_asked, true);
        let probe = self.probe.clone();
        is_first.then(|| Question {
            datagram: self.probe.datagram(),
            is_answer: Box::new(move |datagram| probe.versions(datagram).is_some()),
        })
    }

    fn answer(&mut self, reply: &Reply) {
        let failed = |kind| {
            let failure = reply.result.as_ref().err();
            failure.is_some_and(|it| it.stage == Stage::Connect && it.kind == kind)
        };
        let was_patient = reply.took >= self.patience;
        self.found = match &reply.result {
            Ok(Some(answer)) => self.probe.versions(answer).map(Quic::shown),
            Ok(None) => Some(Quic::without_versions(QuicStatus::NotShown)),
            Err(_) if failed(Kind::Refused) => Some(Quic::without_versions(QuicStatus::Refused)),
            Err(_) if failed(Kind::Timeout) && was_patient => {
                Some(Quic::without_versions(QuicStatus::NotShown))
            }
            // This machine could not ask, or the network says that nobody is there, or the time was over.
            Err(_) => None,
        };
    }

    fn next(&mut self) -> Option<Speech> {
        // QUIC has no connections over TCP.
        None
    }

    fn settle(&mut self, _number: usize, _attempt: &Attempt) {}

    fn doubt_closes(&mut self) {
        // There are none over UDP.
    }

    fn into_facts(self: Box<Self>, facts: &mut Facts) {
        facts.quic = self.found;
    }
}
