//! The counters of a sweep while it goes on: for the progress line, status lines and metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::Instant;

use crate::failure::{Kind, Stage};
use crate::feed::input::Line;
use crate::report::summary::{Summary, Tally, by_words};
use crate::report::timestamp::Timestamp;

/// Counters that any thread may read at any time.
#[derive(Debug, Default)]
pub struct Status {
    position: Arc<AtomicU64>,
    size: Option<u64>,
    /// When the first line was read that is to be swept, and where.
    first: OnceLock<(Instant, u64)>,
    read: AtomicU64,
    taken_in: AtomicU64,
    /// Targets that were handed to the output, whether or not it has written them yet.
    finished: AtomicU64,
    /// Of those, the ones that are left to a later run.
    left: AtomicU64,
    summary: Mutex<Summary>,
    last_line: Mutex<(Duration, u64)>,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Targets whose records are written: with zstd, whose frame is.
    pub done: u64,
    /// Those with a finished handshake.
    pub ok: u64,
    /// Those without.
    pub failed: u64,
    /// Targets on which work has begun and not ended; those that wait to be written are not among them.
    pub in_flight: u64,
}

/// What the counters do not know of a moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time of day.
    pub time: SystemTime,
    /// Since the sweep began.
    pub elapsed: Duration,
    /// What the process needs.
    pub process: Process,
}

/// What a process needs at a moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Process {
    /// Lookups of names that wait or are in flight.
    pub resolver_queue: usize,
    /// Bytes of memory that are resident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss: Option<u64>,
    /// Descriptors that are open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<u64>,
}

/// How a sweep goes, as one line of JSON.
#[derive(Clone, Debug, Serialize)]
pub struct StatusLine {
    time: Timestamp,
    elapsed: f64,
    #[serde(flatten)]
    counts: Counts,
    /// Targets a second since the line before.
    rate: f64,
    #[serde(serialize_with = "by_words")]
    by: BTreeMap<(Stage, Kind), u64>,
    #[serde(flatten)]
    process: Process,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    eta: Option<f64>,
}

impl Status {
    /// The counters of a sweep whose input is read up to `position` of `size` bytes.
    pub fn new(position: Arc<AtomicU64>, size: Option<u64>) -> Self {
        Self { position, size, ..Self::default() }
    }

    /// Bytes of the input that were read, and how many there are, when that is known.
    pub fn input(&self) -> (u64, Option<u64>) {
        (self.position.load(Ordering::Relaxed), self.size)
    }

    /// Counts a line that is to be swept, when it is read.
    pub fn read(&self, line: &Line) {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.first.get_or_init(|| {
            let skipped = if line.place.number == 1 { 0 } else { self.input().0 };
            (Instant::now(), skipped)
        });
    }

    /// Counts a line on which work begins.
    pub fn take_in(&self) {
        self.taken_in.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a target whose work has ended and whose records are handed to the output.
    pub fn finish(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a finished target that is not written, because a later run can do it again.
    pub fn leave(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a target whose records are written.
    pub fn count(&self, tally: &Tally) {
        self.summary().add(tally);
    }

    /// One line for people on a sweep that is over.
    pub fn last_line(&self, elapsed: Duration) -> String {
        let mut line = self.summary().line(elapsed);
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            line.push_str(&format!("; {left} interrupted, left for --resume"));
        }
        line
    }

    /// What the records came to so far. Nobody can count any while this is held.
    pub fn summary(&self) -> MutexGuard<'_, Summary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters now.
    pub fn counts(&self) -> Counts {
        self.counts_of(&self.summary())
    }

    pub(super) fn counts_of(&self, summary: &Summary) -> Counts {
        let Summary { targets: done, ok, failed, .. } = *summary;
        let finished = self.finished.load(Ordering::Relaxed);
        let taken_in = self.taken_in.load(Ordering::Relaxed);
        Counts { done, ok, failed, in_flight: taken_in.saturating_sub(finished) }
    }

    /// How the sweep goes; the rate is that since this was last asked.
    pub fn line(&self, moment: &Moment) -> StatusLine {
        let (counts, by) = {
            let summary = self.summary();
            (self.counts_of(&summary), summary.by.clone())
        };
        let now = (moment.elapsed, counts.done);
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, done) = std::mem::replace(&mut *last, now);
        let seconds = moment.elapsed.saturating_sub(then).as_secs_f64();
        let rate = if seconds > 0.0 { (counts.done - done) as f64 / seconds } else { 0.0 };
        StatusLine {
            time: moment.time.into(),
            elapsed: rounded(moment.elapsed.as_secs_f64()),
            rate: rounded(rate),
            by,
            process: moment.process,
            eta: self.left(counts.done).map(rounded),
            counts,
        }
    }

    /// Seconds that are left if it goes on as it went since the first line that was not skipped:
    /// by the part of the input that was read, and the part of that which is done.
    fn left(&self, done: u64) -> Option<f64> {
        let (first, skipped) = *self.first.get()?;
        let (position, size) = self.input();
        let to_read = size?.checked_sub(skipped)? as f64;
        let was_read = position.saturating_sub(skipped) as f64;
        let part = was_read / to_read * done as f64 / self.read.load(Ordering::Relaxed) as f64;
        (part > 0.0).then(|| first.elapsed().as_secs_f64() * (1.0 / part - 1.0).max(0.0))
    }
}

/// To a thousandth.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
