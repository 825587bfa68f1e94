//! The last record of each target, for `--metrics-targets`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use crate::escape::cut;
use crate::limits::{TARGET_LABEL_LIMIT, WATCHED_TARGETS};
use crate::report::record::Record;

/// The last record of each of the first [`WATCHED_TARGETS`] targets.
#[derive(Debug, Default)]
pub struct Watched {
    targets: BTreeMap<Name, BTreeMap<Option<IpAddr>, Seen>>,
    /// Rows, over all targets.
    count: usize,
    left_out: u64,
}

/// Identifies a target in the list.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Name {
    target: String,
    server_name: String,
    tag: String,
}

/// What a record says of its target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// `None` when this machine failed, not the target.
    pub(super) is_up: Option<bool>,
    /// When the path ends, in seconds since 1970; without a verdict, when the leaf ends.
    pub(super) not_after: Option<u64>,
    pub(super) verdict: Option<&'static str>,
}

impl Watched {
    /// Keeps the metrics of a record's target; a later record of it replaces an earlier one.
    pub fn add(&mut self, record: &Record) {
        let text =
            |text: Option<&String>| cut(text.cloned().unwrap_or_default(), TARGET_LABEL_LIMIT);
        let name = Name {
            target: text(Some(&record.target)),
            server_name: text(record.sni.as_ref()),
            tag: text(record.tag.as_ref()),
        };
        let is_known =
            self.targets.get(&name).is_some_and(|of_target| of_target.contains_key(&record.addr));
        if !is_known {
            if self.count >= WATCHED_TARGETS {
                self.left_out += 1;
                return;
            }
            self.count += 1;
        }
        self.targets.entry(name).or_default().insert(record.addr, Seen::of(record));
    }

    /// How many records were left out because [`WATCHED_TARGETS`] were reached.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The targets, with labels that tell each from all others. The address is one of them where a
    /// target has several.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Vec<(&'static str, String)>, Seen)> {
        self.targets.iter().flat_map(|(name, of_target)| {
            let has_several = of_target.len() > 1;
            of_target.iter().map(move |(address, seen)| {
                let address = address.filter(|_| has_several);
                let labels = [
                    ("target", name.target.clone()),
                    ("server_name", name.server_name.clone()),
                    ("tag", name.tag.clone()),
                    ("address", address.map(|address| address.to_string()).unwrap_or_default()),
                ];
                // An empty label is the same as none.
                (labels.into_iter().filter(|(_, value)| !value.is_empty()).collect(), *seen)
            })
        })
    }
}

impl Seen {
    fn of(record: &Record) -> Self {
        let is_ours = record.is_local_failure();
        let path = record.trust.as_deref().and_then(|trust| trust.not_after.as_deref());
        let leaf = || record.cert.as_deref().and_then(|cert| cert.not_after.as_deref());
        Self {
            is_up: (!is_ours).then_some(record.ok),
            not_after: path.or_else(leaf).map(seconds),
            verdict: record.trust.as_deref().map(|trust| trust.verdict.as_str()),
        }
    }
}

/// Seconds since 1970. A time before that, which humantime does not read, is 0: an alert that compares
/// it should see that it is over.
fn seconds(time: &str) -> u64 {
    let time = humantime::parse_rfc3339(time).unwrap_or(UNIX_EPOCH);
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ended_before_1970_has_ended() {
        for (time, expected) in [
            ("1970-01-02T00:00:00Z", 86_400),
            ("1969-12-31T23:59:59Z", 0),
            ("1950-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(seconds(time), expected, "{time}");
        }
    }
}
