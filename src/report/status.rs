//! The counters of a sweep while it goes on: for the progress line, status lines and metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::failure::{Kind, Stage};
use crate::feed::extent::Extent;
use crate::feed::input::Line;
use crate::report::summary::{Summary, Tally, by_words};
use crate::report::timestamp::Timestamp;

/// Counters that any thread may read at any time.
#[derive(Debug, Default)]
pub struct Status {
    extent: Extent,
    size: Option<u64>,
    /// When the first line was read that is to be swept.
    first: OnceLock<Instant>,
    read: AtomicU64,
    taken_in: AtomicU64,
    /// Targets that were handed to the output, whether or not it has written them yet.
    finished: AtomicU64,
    /// Of those, the ones that are left to a later run.
    left: AtomicU64,
    /// Bytes that whoever reads the output has made room for.
    bytes_written: AtomicU64,
    summary: Mutex<Summary>,
    last_line: Mutex<(Duration, u64)>,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
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
#[derive(Clone, Copy, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
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
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct StatusLine {
    /// RFC 3339, UTC.
    #[schemars(with = "String")]
    time: Timestamp,
    /// Seconds since the sweep began.
    elapsed: f64,
    #[serde(flatten)]
    counts: Counts,
    /// Targets a second since the line before.
    rate: f64,
    /// Failures by `stage/kind`.
    #[serde(serialize_with = "by_words")]
    #[schemars(with = "BTreeMap<String, u64>")]
    by: BTreeMap<(Stage, Kind), u64>,
    #[serde(flatten)]
    process: Process,
    /// Seconds that are left, when the size of the input is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    eta: Option<f64>,
}

impl Status {
    /// The counters of a sweep whose input of `size` bytes is read as `extent` says.
    pub fn new(extent: Extent, size: Option<u64>) -> Self {
        Self { extent, size, ..Self::default() }
    }

    /// Counts a line that is to be swept, when it is read.
    pub fn read(&self, _line: &Line) {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.first.get_or_init(|| {
            self.extent.begin_sweep();
            Instant::now()
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

    /// Takes note that so many bytes were written, of lines that may not be whole yet.
    pub fn write(&self, bytes: usize) {
        self.bytes_written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that were written so far, as far as anybody took note of them.
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
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
            eta: self.seconds_left(counts.done).map(rounded),
            counts,
        }
    }

    /// The part of the sweep that is done, from 0 to 1: of the part of the list that was read, the part
    /// whose targets are done. Nothing when the size of the list is not known, or nothing is done yet.
    fn part_done(&self, done: u64) -> Option<f64> {
        let part_read = self.extent.part_read(self.size?)?;
        let read = self.read.load(Ordering::Relaxed);
        let part = part_read * done as f64 / read.max(1) as f64;
        (done > 0).then_some(part.min(1.0))
    }

    /// How many of a hundred targets are done, rounded down: 100 only when all are.
    pub fn percent(&self) -> Option<u64> {
        let counts = self.counts();
        let percent = (self.part_done(counts.done)? * 100.0) as u64;
        Some(if counts.in_flight > 0 { percent.min(99) } else { percent })
    }

    /// The time that is left if it goes on as it went since the first line that is swept. Nothing when
    /// nothing is left to do.
    pub fn left(&self) -> Option<Duration> {
        let seconds = self.seconds_left(self.counts().done)?;
        // More than a `Duration` holds is as good as not known.
        Duration::try_from_secs_f64(seconds).ok().filter(|left| !left.is_zero())
    }

    fn seconds_left(&self, done: u64) -> Option<f64> {
        let part = self.part_done(done)?;
        Some(self.first.get()?.elapsed().as_secs_f64() * (1.0 / part - 1.0).max(0.0))
    }
}

/// To a thousandth.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::input::Input;
    use crate::feed::resume::Done;
    use crate::feed::selection::Selection;
    use crate::feed::shard::Shard;
    use crate::report::record::Record;

    /// Reads a list as far as the queue has room, and finishes its targets one after the other.
    #[tokio::test(start_paused = true)]
    async fn the_percentage_never_exceeds_what_is_done() {
        for (list, targets) in [
            (vec!["192.0.2.0/24"], 256),
            (vec!["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"], 1024),
            (vec!["a.test"; 500], 500),
            (vec!["a.test"], 1),
        ] {
            let arguments: Vec<_> = list.iter().map(std::ffi::OsString::from).collect();
            let input = Input::open(arguments, &[], || Box::new(std::io::empty())).unwrap();
            let status = Status::new(input.extent(), input.size());
            let selection = Selection { port: 443, shard: Shard::WHOLE };
            let finish = |target: u64| {
                status.finish();
                status.count(&Tally::of(&[Record::default()]));
                let percent = status.percent().unwrap();
                assert!(
                    percent <= target * 100 / targets,
                    "{percent}% after {target} of {targets}"
                );
                percent
            };
            let (mut read, mut done, mut last) = (0, 0, 0);
            let sent = selection.send_all(input, &mut Done::default(), |line: Line| {
                status.read(&line);
                status.take_in();
                read += 1;
                // Twenty are always in flight.
                if read > 20 {
                    done += 1;
                    last = finish(done);
                }
                true
            });
            sent.unwrap();
            assert!(status.percent().is_none_or(|percent| percent < 100), "{list:?}");
            while done < targets {
                tokio::time::advance(Duration::from_secs(1)).await;
                done += 1;
                let percent = finish(done);
                assert!(percent >= last && (percent == 100) == (done == targets), "{percent}");
                last = percent;
            }
            assert_eq!(status.left(), None, "nothing is left");
        }
    }
}
