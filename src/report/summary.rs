//! What a sweep came to: counts, and the exit code that follows from them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::failure::{Kind, Stage};
use crate::report::record::Record;

/// What the records of a sweep came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    ok: u64,
    failed: BTreeMap<(Stage, Kind), u64>,
    met: BTreeMap<String, u64>,
    legacy: u64,
}

impl Summary {
    /// Counts a record.
    pub fn count(&mut self, record: &Record) {
        match &record.error {
            None => self.ok += 1,
            Some(failure) => {
                *self.failed.entry((failure.stage, failure.kind)).or_default() += 1;
            }
        }
        let is_legacy = record.tls.as_ref().is_some_and(|tls| tls.legacy == Some(true));
        self.legacy += u64::from(is_legacy);
        for check in record.failed_checks.iter().flatten() {
            *self.met.entry(check.clone()).or_default() += 1;
        }
    }

    /// Whether some target met a condition of `--fail-on`.
    pub fn has_failed_checks(&self) -> bool {
        !self.met.is_empty()
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
        let failed = self.failed.iter();
        let failed =
            failed.map(|((stage, kind), n)| (format!("{}/{}", stage.word(), kind.word()), *n));
        if let Some(list) = most_frequent_first(failed) {
            line.push_str(&format!(" ({list})"));
        }
        if self.legacy > 0 {
            line.push_str(&format!("; {} speak only what tlsweep does not", self.legacy));
        }
        let met = self.met.iter().map(|(check, n)| (check.clone(), *n));
        if let Some(list) = most_frequent_first(met) {
            line.push_str(&format!("; met: {list}"));
        }
        line
    }
}

/// `3 this, 1 that`; nothing when there is nothing.
fn most_frequent_first(counts: impl Iterator<Item = (String, u64)>) -> Option<String> {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let words: Vec<_> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}
