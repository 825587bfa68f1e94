//! The few hosts that are named.

use std::collections::BTreeMap;

use crate::escape::{cut, escaped};
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

    /// Hosts that are not kept.
    pub(super) fn more(&self) -> u64 {
        self.offered - self.hosts.len() as u64
    }
}
