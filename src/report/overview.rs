//! What many records come to, for people: counters, histograms and a few rows of bounded size.
//!
//! [`Overview::sheet`] brings them into the order in which both the page and the terminal show them.

mod frequent;
pub mod html;
mod rows;
pub mod sheet;
pub mod terminal;

use std::collections::BTreeMap;

use crate::cert::Problem;
use crate::failure::{Kind, Stage};
use crate::limits::LABELS;
use crate::names::Group;
use crate::report::latency::Latency;
use crate::report::record::Record;
use crate::report::timestamp::Timestamp;
use crate::tls::posture::is_post_quantum;

use frequent::Frequent;
use rows::{Fault, Faulty, Host, Least, days_left, not_after};

/// Certificates that end next, by name.
const NEXT_ENDS: usize = 10;
/// Hosts that are named because something is wrong with them.
const WORST: usize = 100;
/// Issuers that are counted one by one.
const ISSUERS: usize = 1_000;
/// What stands for every label beyond [`LABELS`].
const OTHER: &str = "other";

/// The least number of days left in each bin of the histogram; the first bin has all that has ended.
const DAYS: [i64; 8] = [0, 7, 14, 30, 60, 90, 180, 365];
/// The most days of a lifetime in each bin: what browsers allow from 2029, 2027, 2026 and 2020.
const LIFETIMES: [i64; 4] = [47, 100, 200, 398];

/// What the records that were added come to. Its size does not depend on how many they are.
#[derive(Debug)]
pub struct Overview {
    records: u64,
    ok: u64,
    span: Option<(Timestamp, Timestamp)>,
    failures: BTreeMap<(Stage, Kind), u64>,
    verdicts: BTreeMap<&'static str, u64>,
    problems: BTreeMap<Problem, u64>,
    versions: BTreeMap<String, u64>,
    groups: BTreeMap<String, u64>,
    /// Records whose group is post-quantum.
    post_quantum: u64,
    /// Records by the bin that their days left are in.
    days: [u64; DAYS.len() + 1],
    lifetimes: [u64; LIFETIMES.len() + 1],
    issuers: Frequent,
    keys: BTreeMap<String, u64>,
    handshakes: Latency,
    checks: BTreeMap<String, u64>,
    /// Records that were compared with a baseline.
    compared: u64,
    /// Of those, the ones that are new or have changed, by `new` or the field.
    changes: BTreeMap<&'static str, u64>,
    next_ends: Least<String>,
    worst: Faulty,
}

impl Default for Overview {
    fn default() -> Self {
        Self {
            records: 0,
            ok: 0,
            span: None,
            failures: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            problems: BTreeMap::new(),
            versions: BTreeMap::new(),
            groups: BTreeMap::new(),
            post_quantum: 0,
            days: [0; _],
            lifetimes: [0; _],
            issuers: Frequent::new(ISSUERS),
            keys: BTreeMap::new(),
            handshakes: Latency::default(),
            checks: BTreeMap::new(),
            compared: 0,
            changes: BTreeMap::new(),
            next_ends: Least::new(NEXT_ENDS),
            worst: Faulty::new(WORST),
        }
    }
}

impl Overview {
    /// Adds a record.
    pub fn add(&mut self, record: &Record) {
        self.records += 1;
        self.ok += u64::from(record.ok);
        let (first, last) = self.span.unwrap_or((record.time, record.time));
        self.span = Some((first.min(record.time), last.max(record.time)));
        if let Some(failure) = &record.error {
            *self.failures.entry((failure.stage, failure.kind)).or_default() += 1;
        }
        if let Some(tls) = record.tls.as_deref() {
            tls.version.iter().for_each(|version| count(&mut self.versions, version));
            if let Some(group) = &tls.group {
                count(&mut self.groups, group);
                let group = Group::of_any_name(group);
                self.post_quantum += u64::from(group.is_some_and(is_post_quantum));
            }
        }
        if let Some(handshake) = record.ms.handshake.filter(|_| record.ok) {
            self.handshakes.record(handshake);
        }
        record.failed_checks.iter().flatten().for_each(|check| count(&mut self.checks, check));
        if let Some(changed) = record.changed.as_deref() {
            self.compared += 1;
            let new = changed.new.filter(|new| *new).map(|_| "new");
            let fields = changed.fields().map(|(field, _earlier)| field.name());
            fields.chain(new).for_each(|what| *self.changes.entry(what).or_default() += 1);
        }
        self.add_certificate(record);
        self.add_fault(record);
    }

    fn add_certificate(&mut self, record: &Record) {
        if let Some(cert) = record.cert.as_deref() {
            cert.issuer.iter().for_each(|issuer| self.issuers.add(issuer));
            cert.key_and_size().iter().for_each(|key| count(&mut self.keys, key));
            if let Some(days) = cert.lifetime_days {
                let bin = LIFETIMES.partition_point(|most| *most < days);
                self.lifetimes.get_mut(bin).into_iter().for_each(|n| *n += 1);
            }
        }
        let Some(days) = days_left(record) else { return };
        let bin = DAYS.partition_point(|least| *least <= days);
        self.days.get_mut(bin).into_iter().for_each(|n| *n += 1);
        if let Some(end) = not_after(record).filter(|_| days >= 0) {
            self.next_ends.add(end.to_owned(), || Host::of(record, end.to_owned()));
        }
    }

    fn add_fault(&mut self, record: &Record) {
        let Some(trust) = record.trust.as_deref() else {
            if let Some(failure) = &record.error {
                let fault = Fault::Failure(failure.stage, failure.kind);
                self.worst.add(fault, || Host::of(record, failure.detail.clone()));
            }
            return;
        };
        *self.verdicts.entry(trust.verdict.as_str()).or_default() += 1;
        for problem in &trust.problems {
            *self.problems.entry(*problem).or_default() += 1;
        }
        if let Some(gravest) = trust.problems.first() {
            let words = || trust.problems.iter().map(|problem| problem.as_str());
            let note = || words().collect::<Vec<_>>().join(" ");
            self.worst.add(Fault::Problem(*gravest), || Host::of(record, note()));
        }
    }
}

/// Counts a label that a peer had a say in.
fn count(counts: &mut BTreeMap<String, u64>, label: &str) {
    let is_full = counts.len() >= LABELS && !counts.contains_key(label);
    *counts.entry(if is_full { OTHER } else { label }.to_owned()).or_default() += 1;
}
