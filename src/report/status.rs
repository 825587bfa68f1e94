//! The running counters of a sweep: for the progress line, while it goes on.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::report::record::Record;

/// Counters that any thread may read at any time.
#[derive(Debug, Default)]
pub struct Status {
    taken_in: AtomicU64,
    ok: AtomicU64,
    failed: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Targets on which work has begun and not ended.
    pub in_flight: u64,
    /// Records with a finished handshake.
    pub ok: u64,
    /// Records without.
    pub failed: u64,
}

impl Status {
    /// Counts a line on which work begins.
    pub fn take_in(&self) {
        self.taken_in.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a record that was written.
    pub fn count(&self, record: &Record) {
        let counter = if record.ok { &self.ok } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The counters now.
    pub fn counts(&self) -> Counts {
        let ok = self.ok.load(Ordering::Relaxed);
        let failed = self.failed.load(Ordering::Relaxed);
        let taken_in = self.taken_in.load(Ordering::Relaxed);
        Counts { in_flight: taken_in.saturating_sub(ok + failed), ok, failed }
    }
}

impl Counts {
    /// Records written.
    pub fn done(&self) -> u64 {
        self.ok + self.failed
    }
}
