//! What a sweep came to: counts, and the exit code that follows from them.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::failure::{Kind, Stage};
use crate::limits::LABELS;
use crate::plural::count;
use crate::report::build::{Build, Setup};
use crate::report::changed::Changed;
use crate::report::latency::{Latency, Percentiles};
use crate::report::record::Record;
use crate::report::timestamp::Timestamp;

/// What stands for every label beyond [`LABELS`].
const OTHER: &str = "other";

/// The counters of a sweep, every one of bounded size.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Summary {
    /// Targets whose records are written.
    pub(super) targets: u64,
    /// Targets of which at least one record is.
    pub(super) ok: u64,
    /// Targets without a finished handshake.
    pub(super) failed: u64,
    /// Failures by `stage/kind`.
    #[serde(serialize_with = "by_words")]
    #[schemars(with = "BTreeMap<String, u64>")]
    pub(super) by: BTreeMap<(Stage, Kind), u64>,
    /// Connections by version.
    versions: BTreeMap<String, u64>,
    /// Connections by key-exchange group.
    groups: BTreeMap<String, u64>,
    /// By version, then by group; the group is empty where none was seen.
    #[serde(skip)]
    pub(super) connections: BTreeMap<String, BTreeMap<String, u64>>,
    /// Chains by verdict.
    pub(super) verdicts: BTreeMap<&'static str, u64>,
    /// Servers that speak only what tlsweep does not.
    pub(super) legacy: u64,
    /// Targets by the condition of `--fail-on` that they met.
    pub(super) failed_checks: BTreeMap<String, u64>,
    /// What has changed since the baseline, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<Comparison>,
    /// How long the steps took, in milliseconds.
    pub(super) ms: Latencies,
}

/// Targets by what has changed about them since the baseline.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
struct Comparison {
    /// Nothing.
    same: u64,
    /// Something.
    changed: u64,
    /// The baseline does not have them.
    new: u64,
    /// Only the baseline has them. Absent when the sweep did not see its whole list.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u64>,
}

/// How a target compares with the baseline; of several records, the greatest counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Change {
    Same,
    Some,
    New,
}

/// How long the steps took.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub(super) struct Latencies {
    /// Of the connections that were made.
    #[schemars(with = "Percentiles")]
    pub(super) connect: Latency,
    /// Of the handshakes that were completed.
    #[schemars(with = "Percentiles")]
    pub(super) handshake: Latency,
    /// Of every target that was dialled.
    #[schemars(with = "Percentiles")]
    pub(super) total: Latency,
}

/// A sweep that is over, as one document.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Document<'a> {
    /// Of the program.
    pub version: &'static str,
    /// What the program was built from.
    pub build: Build,
    /// The command line.
    pub arguments: Vec<String>,
    /// What else it takes to sweep in the same way again; absent when nothing was dialled.
    #[serde(flatten)]
    pub setup: Option<Setup>,
    /// When the sweep began.
    #[schemars(with = "String")]
    pub start: Timestamp,
    /// When it was over.
    #[schemars(with = "String")]
    pub end: Timestamp,
    /// Seconds from start to end.
    pub elapsed: f64,
    /// Of the process.
    pub exit_code: u8,
    /// What the records came to.
    #[serde(flatten)]
    pub summary: &'a Summary,
    /// The most memory that was resident at once, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss: Option<u64>,
}

/// What one target adds to a [`Summary`]: it outlives the target's records until they are written.
///
/// It goes to another thread and is dropped there. To free what a thread has allocated on another one
/// costs both of them a lock, so a target with one record allocates nothing here.
#[derive(Clone, Debug)]
pub struct Tally {
    is_ok: bool,
    /// None: it was not compared.
    change: Option<Change>,
    first: Option<Counted>,
    others: Vec<Counted>,
}

/// What is counted of one record.
#[derive(Clone, Debug)]
struct Counted {
    failure: Option<(Stage, Kind)>,
    version: Option<Label>,
    group: Option<Label>,
    is_legacy: bool,
    verdict: Option<&'static str>,
    failed_checks: Vec<String>,
    connect: Option<f64>,
    handshake: Option<f64>,
    total: Option<f64>,
}

/// A name of IANA's, or what stands for one: its first bytes, should it be longer than they all are.
#[derive(Clone, Copy, Debug)]
struct Label {
    bytes: [u8; Self::MOST],
    length: u8,
}

impl Label {
    const MOST: usize = 31;

    fn of(text: &str) -> Self {
        let mut length = text.len().min(Self::MOST);
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        let mut bytes = [0; Self::MOST];
        bytes.iter_mut().zip(text.bytes().take(length)).for_each(|(to, from)| *to = from);
        Self { bytes, length: length as u8 }
    }

    fn as_str(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        // It is cut between two characters.
        str::from_utf8(text).unwrap_or_default()
    }
}

impl Tally {
    /// Of all records of a target.
    pub fn of(of_target: &[Record]) -> Self {
        let mut records = of_target.iter().map(Counted::of);
        Self {
            is_ok: of_target.iter().any(|record| record.ok),
            change: of_target
                .iter()
                .filter_map(|record| Some(Change::of(record.changed.as_deref()?)))
                .max(),
            first: records.next(),
            others: records.collect(),
        }
    }
}

impl Change {
    fn of(changed: &Changed) -> Self {
        match changed.new {
            Some(true) => Self::New,
            _ if changed.is_any() => Self::Some,
            _ => Self::Same,
        }
    }
}

impl Comparison {
    fn line(&self) -> String {
        let missing = self.missing.map(|missing| format!(", {missing} missing"));
        let missing = missing.unwrap_or_default();
        format!("since the baseline: {} changed, {} new{missing}", self.changed, self.new)
    }
}

impl Counted {
    fn of(record: &Record) -> Self {
        let failure = record.error.as_ref();
        let tls = record.tls.as_deref();
        let ms = &record.ms;
        Self {
            failure: failure.map(|failure| (failure.stage, failure.kind)),
            version: tls.and_then(|tls| tls.version.as_deref()).map(Label::of),
            group: tls.and_then(|tls| tls.group.as_deref()).map(Label::of),
            is_legacy: tls.is_some_and(|tls| tls.legacy == Some(true)),
            verdict: record.trust.as_ref().map(|trust| trust.verdict.as_str()),
            failed_checks: record.failed_checks.clone().unwrap_or_default(),
            connect: ms.connect,
            handshake: ms.handshake.filter(|_| record.ok),
            total: record.attempts.filter(|n| *n > 0).map(|_| ms.total),
        }
    }
}

impl Summary {
    /// Counts a target.
    pub fn add(&mut self, tally: &Tally) {
        self.targets += 1;
        match tally.is_ok {
            true => self.ok += 1,
            false => self.failed += 1,
        }
        if let Some(change) = tally.change {
            let baseline = self.baseline.get_or_insert_default();
            match change {
                Change::Same => baseline.same += 1,
                Change::Some => baseline.changed += 1,
                Change::New => baseline.new += 1,
            }
        }
        tally.first.iter().chain(&tally.others).for_each(|record| self.add_record(record));
    }

    fn add_record(&mut self, record: &Counted) {
        if let Some(failure) = record.failure {
            *self.by.entry(failure).or_default() += 1;
        }
        self.legacy += u64::from(record.is_legacy);
        if let Some(version) = &record.version {
            let (version, group) = (version.as_str(), record.group.as_ref().map(Label::as_str));
            change_at(&mut self.versions, version, |count| *count += 1);
            change_at(&mut self.connections, version, |groups: &mut BTreeMap<_, _>| {
                change_at(groups, group.unwrap_or_default(), |count| *count += 1);
            });
            if let Some(group) = group {
                change_at(&mut self.groups, group, |count| *count += 1);
            }
        }
        if let Some(verdict) = record.verdict {
            *self.verdicts.entry(verdict).or_default() += 1;
        }
        for check in &record.failed_checks {
            *self.failed_checks.entry(check.clone()).or_default() += 1;
        }
        for (latency, took) in [
            (&mut self.ms.connect, record.connect),
            (&mut self.ms.handshake, record.handshake),
            (&mut self.ms.total, record.total),
        ] {
            took.into_iter().for_each(|took| latency.record(took));
        }
    }

    /// Takes note that so many targets of the baseline were not met again.
    pub fn set_missing(&mut self, missing: u64) {
        self.baseline.get_or_insert_default().missing = Some(missing);
    }

    /// Whether some target met a condition of `--fail-on`.
    pub fn has_failed_checks(&self) -> bool {
        !self.failed_checks.is_empty()
    }

    /// Whether some target was not finished through a fault of ours.
    pub fn is_incomplete(&self) -> bool {
        [Kind::Resource, Kind::Internal]
            .iter()
            .any(|kind| self.by.contains_key(&(Stage::Local, *kind)))
    }

    /// One line for people: counts, the most frequent failures first.
    pub fn line(&self, elapsed: Duration) -> String {
        let time = match elapsed.as_secs_f64() {
            ..1.0 => format!("{} ms", elapsed.as_millis()),
            seconds => format!("{seconds:.1} s"),
        };
        let targets = count(self.targets, "target");
        let mut line = format!("{targets} in {time}: {} ok, {} failed", self.ok, self.failed);
        if let Some(list) = most_frequent_first(words(&self.by)) {
            // With `--all-addresses`, some addresses of a target may fail where others do not.
            let failures: u64 = self.by.values().sum();
            if failures > self.failed {
                line.push_str(&format!("; {} failed", count(failures, "address")));
            }
            line.push_str(&format!(" ({list})"));
        }
        if self.legacy > 0 {
            let verb = if self.legacy == 1 { "speaks" } else { "speak" };
            let servers = count(self.legacy, "server");
            line.push_str(&format!("; {servers} {verb} only what tlsweep does not"));
        }
        let met = self.failed_checks.iter().map(|(check, n)| (check.clone(), *n));
        if let Some(list) = most_frequent_first(met) {
            line.push_str(&format!("; met: {list}"));
        }
        if let Some(baseline) = &self.baseline {
            line.push_str(&format!("; {}", baseline.line()));
        }
        line
    }
}

/// Changes the value of a label. Peers have a say in labels, so from [`LABELS`] on, new ones share [`OTHER`].
fn change_at<V: Default>(map: &mut BTreeMap<String, V>, label: &str, change: impl FnOnce(&mut V)) {
    match map.get_mut(label) {
        Some(value) => change(value),
        None => {
            let label = if map.len() >= LABELS { OTHER } else { label };
            change(map.entry(label.to_owned()).or_default());
        }
    }
}

/// Counts by `stage/kind`.
pub(super) fn words(by: &BTreeMap<(Stage, Kind), u64>) -> impl Iterator<Item = (String, u64)> {
    by.iter().map(|((stage, kind), n)| (format!("{}/{}", stage.word(), kind.word()), *n))
}

pub(super) fn by_words<S: Serializer>(
    by: &BTreeMap<(Stage, Kind), u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(words(by))
}

/// `3 this, 1 that`; nothing when there is nothing.
fn most_frequent_first(counts: impl Iterator<Item = (String, u64)>) -> Option<String> {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let words: Vec<_> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::failure::Failure;
    use crate::feed::input::Place;
    use crate::report::record::Tls;

    fn record() -> Record {
        let target = "a.test".parse().unwrap();
        Record::of_target(Place { line: 1, number: 1 }, &target, 443, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn several_records_of_a_target_are_one_target() {
        let ok = Record { ok: true, ..record() };
        let refused = Failure::new(Stage::Connect, Kind::Refused, "");
        let refused = Record { error: Some(refused), ..record() };
        let mut summary = Summary::default();
        summary.add(&Tally::of(&[refused.clone(), ok, refused.clone()]));
        summary.add(&Tally::of(&[refused.clone(), refused]));
        assert_eq!(
            summary.line(Duration::from_secs(1)),
            "2 targets in 1.0 s: 1 ok, 1 failed; 4 addresses failed (4 connect/refused)"
        );
        assert!(summary.line(Duration::from_micros(5_600)).starts_with("2 targets in 5 ms: "));
    }

    #[test]
    fn a_label_is_cut_between_two_characters() {
        for (text, expected) in [
            ("", ""),
            ("TLSv1.3", "TLSv1.3"),
            ("SecP384r1MLKEM1024 and no longer", "SecP384r1MLKEM1024 and no longe"),
            ("0123456789 0123456789 01234567é", "0123456789 0123456789 01234567"),
        ] {
            assert_eq!(Label::of(text).as_str(), expected);
        }
    }

    #[test]
    fn every_name_of_a_group_is_a_whole_label() {
        for group in (0..=u16::MAX).map(|number| crate::names::Group(number).name()) {
            assert_eq!(Label::of(&group).as_str(), group);
        }
    }

    #[test]
    fn labels_that_peers_choose_are_bounded() {
        let mut summary = Summary::default();
        for number in 0..1000 {
            let label = |n: u32| Some(n.to_string().into());
            let tls = Tls { version: label(number % 70), group: label(number), ..Tls::default() };
            summary.add(&Tally::of(&[Record { tls: Some(Box::new(tls)), ..record() }]));
        }
        for counts in [&summary.versions, &summary.groups] {
            assert_eq!((counts.len(), counts.values().sum::<u64>()), (LABELS + 1, 1000));
        }
        assert_eq!(summary.groups[OTHER], 1000 - LABELS as u64);
        assert!(summary.connections.values().all(|groups| groups.len() <= LABELS + 1));
        assert_eq!(summary.connections.len(), LABELS + 1);
    }
}
