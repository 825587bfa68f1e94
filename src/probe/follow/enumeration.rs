//! `--enumerate`: everything that a server speaks, a hello at a time.

use super::{Facts, Follow, Row};
use crate::config::Flag;
use crate::probe::{Attempt, Speech};
use crate::tls::enumerate::{Enumeration, Outcome, Probe};

/// Other providers add to what it finds.
pub(super) const ENUMERATE: Flag = Flag {
    name: "enumerate",
    help: "Find out everything that each server speaks: versions, suites, groups, certificates, signature \
           schemes, ALPN, resumption, renegotiation, SSL 2.0 (many dials)",
    is_one_by_one: false,
};

pub(super) const ROW: Row = Row {
    topic: "versions, suites and groups",
    flag: &ENUMERATE,
    make: |_start| Box::new(Enumerating { enumeration: Enumeration::new(), asked: Vec::new() }),
    without_tls: |_facts| {},
};

struct Enumerating {
    enumeration: Enumeration,
    /// The probes that were handed out; the number of a speech is its index.
    asked: Vec<Probe>,
}

impl Follow for Enumerating {
    fn next(&mut self) -> Option<Speech> {
        let probe = self.enumeration.next_probe()?;
        let speech = Speech::Plain(Box::new(probe.hello()));
        self.asked.push(probe);
        Some(speech)
    }

    fn settle(&mut self, number: usize, attempt: &Attempt) {
        if let Some(probe) = self.asked.get(number) {
            self.enumeration.settle(probe, outcome(attempt));
        }
    }

    fn doubt_closes(&mut self) {
        self.enumeration.doubt_closes();
    }

    fn into_facts(self: Box<Self>, facts: &mut Facts) {
        facts.enumeration = Some(Box::new(self.enumeration.into_findings()));
    }
}

fn outcome(attempt: &Attempt) -> Outcome<'_> {
    match attempt.answer.as_deref() {
        _ if attempt.is_refusal => Outcome::Closed,
        Some(answer)
            if attempt.has_chosen() || attempt.is_said() || answer.not_offered.is_some() =>
        {
            Outcome::Answered(answer)
        }
        _ => Outcome::Silent,
    }
}
