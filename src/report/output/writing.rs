//! Hands records to a sink as they come, and counts what it has written.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::queue::RecordReceiver;
use super::sink::{Batch, Sink};
use crate::pace::gather::Gathering;
use crate::report::status::Status;
use crate::report::summary::Tally;

/// With more targets than this in flight, the output waits for several records before it writes.
const CROWD: u64 = 1;

/// How long the output waits for more records, unless a shard fills up before. A record is delayed by no
/// more than this.
const NAP: Duration = Duration::from_millis(4);

/// Writes records as they come, until there are no more, and flushes whenever none is waiting. It blocks,
/// so it needs a thread of its own.
///
/// Only whole lines, and all of a target, are handed to `sink` at once. `status` counts a target when
/// the sink has written it, so that the counts are those of the lines also after an error.
///
/// # Errors
/// The first error of `sink`, or of the format; nothing is written after it, and the records' senders
/// notice.
pub fn write_all(
    mut records: RecordReceiver,
    sink: &mut dyn Sink,
    status: &Status,
) -> io::Result<()> {
    let mut writing = Writing { sink, status, batch: Batch::default(), waiting: VecDeque::new() };
    let mut gathering = Gathering::new(CROWD, NAP);
    loop {
        if let Some(nap) = gathering.nap(status.counts().in_flight) {
            records.nap(nap);
        }
        let begun = Instant::now();
        let goes_on = records.blocking_ready();
        gathering.waited(begun.elapsed());
        while records.take(&mut writing.batch)? {
            writing.hand_over()?;
        }
        if !goes_on {
            records.end(&mut writing.batch)?;
            if !writing.batch.text().is_empty() {
                writing.hand_over()?;
            }
            return writing.step(|sink, _| sink.finish());
        }
        writing.step(|sink, _| sink.idle())?;
    }
}

/// Targets on their way into a sink.
struct Writing<'a> {
    sink: &'a mut dyn Sink,
    status: &'a Status,
    batch: Batch,
    /// Of the targets that are not written yet, in order.
    waiting: VecDeque<Tally>,
}

impl Writing<'_> {
    fn hand_over(&mut self) -> io::Result<()> {
        self.waiting.extend(self.batch.tallies.drain(..));
        let taken = self.step(|sink, batch| sink.take(batch));
        self.batch.clear();
        taken
    }

    /// Calls the sink, then counts the targets that it has written.
    fn step(
        &mut self,
        work: impl FnOnce(&mut dyn Sink, &Batch) -> io::Result<()>,
    ) -> io::Result<()> {
        let before = self.sink.written();
        let result = work(self.sink, &self.batch);
        let written = self.sink.written() - before;
        if written > 0 {
            let mut summary = self.status.summary();
            // There are never more of them in memory than that.
            let written = usize::try_from(written).unwrap_or(usize::MAX).min(self.waiting.len());
            self.waiting.drain(..written).for_each(|tally| summary.add(&tally));
        }
        result
    }
}
