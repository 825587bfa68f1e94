//! What a sweep came to: counts, and the exit code that follows from them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::failure::{Kind, Stage};
use crate::report::record::Record;

/// What the records of a sweep came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    ok: u64,
    failed: BTreeMap<(Stage, Kind), u64>,
}

impl Summary {
    /// Counts a record.
    pub fn count(&mut self, record: &Record) {
        match &record.error {
            None => self.ok += 1,
            Some(failure) => {
                *self
                    .failed
                    .entry((failure.stage, failure.kind))
                    .or_default() += 1
            }
        }
    }

    /// Records counted.
    pub fn total(&self) -> u64 {
        self.ok + self.failed.values().sum::<u64>()
    }

    /// Whether some target was not finished through a fault of ours.
    pub fn is_incomplete(&self) -> bool {
        [Kind::Resource, Kind::Internal]
            .iter()
            .any(|kind| self.failed.contains_key(&(Stage::Local, *kind)))
    }

    /// One line for people: counts, the most frequent failures first.
    pub fn line(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64();
        let mut line = format!(
            "{} targets in {seconds:.1} s: {} ok, {} failed",
            self.total(),
            self.ok,
            self.total() - self.ok,
        );
        if !self.failed.is_empty() {
            line.push_str(&format!(" ({})", Failures(&self.failed)));
        }
        line
    }
}

struct Failures<'a>(&'a BTreeMap<(Stage, Kind), u64>);

impl fmt::Display for Failures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut failures: Vec<_> = self.0.iter().collect();
        failures.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (i, ((stage, kind), count)) in failures.into_iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{} {}/{}", count, stage.word(), kind.word())?;
        }
        Ok(())
    }
}
