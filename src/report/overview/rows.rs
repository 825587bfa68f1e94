//! The few hosts that are named.

use std::collections::BTreeMap;

use crate::cert::Problem;
use crate::escape::{cut, escaped};
use crate::failure::{Kind, Stage};
use crate::report::record::Record;

/// How many bytes of a text are kept.
const TEXT: usize = 120;

/// A host that is named.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) target: String,
    pub(super) result: String,
    pub(super) days: Option<i64>,
    pub(super) note: String,
}

impl Host {
    pub(super) fn of(record: &Record, note: String) -> Self {
        Self {
            target: short(record.target.clone()),
            result: record.result(),
            days: days_left(record),
            note: short(note),
        }
    }
}

/// Of the whole path; without a verdict, of the leaf.
pub(super) fn days_left(record: &Record) -> Option<i64> {
    let path = record.trust.as_ref().and_then(|trust| trust.days_left);
    path.or_else(|| record.cert.as_ref()?.days_left)
}

/// The end of the path; without a verdict, of the leaf.
pub(super) fn not_after(record: &Record) -> Option<&str> {
    let path = record.trust.as_ref().and_then(|trust| trust.not_after.as_deref());
    path.or_else(|| record.cert.as_ref()?.not_after.as_deref())
}

/// Text from a peer or a list, cut and escaped for display.
pub(super) fn short(text: String) -> String {
    escaped(&cut(text, TEXT))
}

/// The hosts with the least keys; among equals, those that came first.
#[derive(Debug)]
pub(super) struct Least<K> {
    kept: usize,
    offered: u64,
    hosts: BTreeMap<(K, u64), Host>,
}

impl<K: Ord> Least<K> {
    pub(super) fn new(kept: usize) -> Self {
        Self { kept, offered: 0, hosts: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, key: K, host: impl FnOnce() -> Host) {
        let key = (key, self.offered);
        self.offered += 1;
        let is_full = self.hosts.len() >= self.kept;
        if is_full && self.hosts.last_key_value().is_some_and(|(last, _)| *last < key) {
            return;
        }
        self.hosts.insert(key, host());
        if is_full {
            self.hosts.pop_last();
        }
    }

    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }
}

/// What is wrong with a host, the gravest first: a problem of its certificate comes before a handshake that failed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Fault {
    Problem(Problem),
    Failure(Stage, Kind),
}

/// Hosts with something wrong, some of each kind.
#[derive(Debug)]
pub(super) struct Faulty {
    shown: usize,
    offered: u64,
    /// In each kind, those that came first.
    hosts: BTreeMap<Fault, Vec<Host>>,
}

impl Faulty {
    pub(super) fn new(shown: usize) -> Self {
        Self { shown, offered: 0, hosts: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, fault: Fault, host: impl FnOnce() -> Host) {
        self.offered += 1;
        let hosts = self.hosts.entry(fault).or_default();
        if hosts.len() < self.shown {
            hosts.push(host());
        }
    }

    /// The hosts that are shown, the gravest fault first. No kind has more of them than another that has hosts
    /// left, so that a frequent fault does not hide the others.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host> {
        let mut shares = vec![0; self.hosts.len()];
        let mut left = self.shown;
        let mut is_over = false;
        while !is_over {
            is_over = true;
            for (share, hosts) in shares.iter_mut().zip(self.hosts.values()) {
                if left > 0 && *share < hosts.len() {
                    (*share, left, is_over) = (*share + 1, left - 1, false);
                }
            }
        }
        self.hosts.values().zip(shares).flat_map(|(hosts, share)| hosts.iter().take(share))
    }

    /// Hosts that are not shown.
    pub(super) fn more(&self) -> u64 {
        self.offered.saturating_sub(self.shown as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frequent_fault_does_not_hide_the_others() {
        let mut faulty = Faulty::new(6);
        let host = |name: String| Host {
            target: name,
            result: "ok".to_owned(),
            days: None,
            note: String::new(),
        };
        for number in 0..100 {
            faulty.add(Fault::Problem(Problem::SelfSigned), || host(format!("s{number}")));
        }
        faulty.add(Fault::Failure(Stage::Connect, Kind::Refused), || host("r0".to_owned()));
        for number in 0..3 {
            faulty.add(Fault::Problem(Problem::Expired), || host(format!("e{number}")));
        }
        let shown: Vec<_> = faulty.hosts().map(|host| host.target.as_str()).collect();
        assert_eq!(shown, ["s0", "s1", "s2", "e0", "e1", "r0"]);
        assert_eq!(faulty.more(), 98);
        assert_eq!(Faulty::new(6).hosts().count(), 0);
    }
}
