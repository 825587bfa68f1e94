//! Records as lines of text, JSON or CSV, and the one owner of what they are written to.

mod advice;
pub mod checkpoint;
mod csv;
mod detail;
pub mod file;
mod json;
mod pick;
pub mod queue;
pub mod stream;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod zst;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::queue::RecordReceiver;
use crate::limits::SHARD_BYTES;
use crate::pace::gather::Gathering;
use crate::report::record::{Record, VERSION};
use crate::report::schema::Fields;
use crate::report::status::Status;
use crate::report::summary::Tally;

pub use text::COLUMNS;

/// The formats, by the names that `--format` takes.
pub const FORMATS: [(&str, Make); 4] = [
    ("text", text_or_table),
    ("detail", detail::format),
    ("json", json::format),
    ("csv", csv::format),
];

/// Text is a table on a terminal.
fn text_or_table(layout: &Layout) -> Box<dyn Format> {
    match layout.width {
        Some(width) => table::format(layout, width),
        None => text::format(layout),
    }
}

/// With more targets than this in flight, the output waits for several records before it writes.
const CROWD: u64 = 1;

/// How long the output waits for more records, unless a shard fills up before. A record is delayed by no
/// more than this.
const NAP: Duration = Duration::from_millis(4);

/// How lines are to look.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Text: how many columns the terminal has now, for it may be resized; `None` when the output is no terminal.
    pub width: Option<fn() -> usize>,
    /// Text: coloured.
    pub coloured: bool,
    /// Text: with the address that was dialled, since a target may have several lines.
    pub addresses: bool,
    /// CSV: without the line of field names.
    pub no_header: bool,
    /// JSON and CSV: these fields only; none: all.
    pub fields: Option<Fields>,
}

/// Makes a format.
pub type Make = fn(&Layout) -> Box<dyn Format>;

/// A way to write records.
pub trait Format: Send + Sync {
    /// Appends the line of `record`, its end included.
    ///
    /// # Errors
    /// The record cannot be written in this format.
    fn append(&self, record: &Record, out: &mut Vec<u8>) -> io::Result<()>;

    /// Turns `lines` into the beginning of the output: adds a header, or removes the separator that stands
    /// before each record.
    fn begin(&self, _lines: &mut Vec<u8>) {}

    /// Appends what closes the output: a footer, or the end of a page. Is called once, behind the last
    /// record, also when there was none. What has such an end cannot be gone on with, so its format has
    /// no [`Format::reader`].
    ///
    /// # Errors
    /// The output cannot be closed in this format.
    fn end(&self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    /// Reads such lines back; `None` when they lack the number or the target.
    fn reader(&self) -> Option<Box<dyn Reader>> {
        None
    }
}

/// Reads back what a [`Format`] has written.
pub trait Reader {
    /// Number and target of a line, its end included; nothing of a header.
    ///
    /// # Errors
    /// The line is not of this format.
    fn read<'a>(&'a mut self, line: &'a [u8]) -> io::Result<Option<(u64, Cow<'a, str>)>>;

    /// Whether the first line of a file in this format may begin with these bytes.
    fn is_beginning(&mut self, torn: &[u8]) -> bool;
}

/// Leaves out the records that meet no condition of `--fail-on`.
pub struct OnlyFailing(pub Box<dyn Format>);

impl Format for OnlyFailing {
    fn append(&self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let is_failing = record.failed_checks.as_ref().is_some_and(|met| !met.is_empty());
        if is_failing { self.0.append(record, out) } else { Ok(()) }
    }

    fn begin(&self, lines: &mut Vec<u8>) {
        self.0.begin(lines);
    }

    fn end(&self, out: &mut Vec<u8>) -> io::Result<()> {
        self.0.end(out)
    }
}

/// Writes no lines.
pub struct Silent;

impl Format for Silent {
    fn append(&self, _record: &Record, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

/// Shows every record to an observer, also those of which no line is written.
pub struct Observed {
    /// What writes the lines.
    format: Box<dyn Format>,
    /// Sees each record before its line is made.
    see: Box<dyn Fn(&Record) + Send + Sync>,
}

impl Observed {
    /// Shows the records of `format` to what `watcher` guards, by `add`.
    pub fn by<T: Send + 'static>(
        watcher: Arc<Mutex<T>>,
        add: fn(&mut T, &Record),
        format: Box<dyn Format>,
    ) -> Box<dyn Format> {
        let see = move |record: &Record| {
            add(&mut watcher.lock().unwrap_or_else(PoisonError::into_inner), record);
        };
        Box::new(Self { format, see: Box::new(see) })
    }
}

impl Format for Observed {
    fn append(&self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        (self.see)(record);
        self.format.append(record, out)
    }

    fn begin(&self, lines: &mut Vec<u8>) {
        self.format.begin(lines);
    }

    fn end(&self, out: &mut Vec<u8>) -> io::Result<()> {
        self.format.end(out)
    }

    fn reader(&self) -> Option<Box<dyn Reader>> {
        self.format.reader()
    }
}

/// The lines of whole targets, in order.
#[derive(Debug, Default)]
pub struct Batch {
    text: Vec<u8>,
    /// Where the lines of each target end.
    ends: Vec<usize>,
    /// What each target adds to the counts.
    tallies: Vec<Tally>,
}

impl Batch {
    /// The lines of all targets.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Empties it. A batch that was very large leaves no room behind.
    pub fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(2 * SHARD_BYTES.get());
        self.ends.clear();
        self.tallies.clear();
    }

    /// The lines of each target.
    fn targets(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| self.text.get(*start..*end).unwrap_or_default())
    }

    /// What stands behind the lines of the last target.
    fn rest(&self) -> &[u8] {
        self.text.get(self.ends.last().copied().unwrap_or_default()..).unwrap_or_default()
    }

    /// How many targets end within the first `written` bytes.
    fn whole_targets(&self, written: usize) -> u64 {
        self.ends.partition_point(|end| *end <= written) as u64
    }

    /// Where the last target ends that is whole within the first `written` bytes.
    fn last_end_within(&self, written: usize) -> usize {
        self.ends.iter().copied().rfind(|end| *end <= written).unwrap_or_default()
    }
}

/// Where lines go.
pub trait Sink: Send {
    /// Whether an interrupted target has no lines, so that a later run sweeps it again.
    fn leaves_interrupted(&self) -> bool {
        false
    }

    /// Takes lines.
    ///
    /// # Errors
    /// They cannot be written. The sink must not be used after that.
    fn take(&mut self, batch: &Batch) -> io::Result<()>;

    /// Called when no more lines are waiting: writes what is buffered.
    ///
    /// # Errors
    /// What was taken cannot be written.
    fn idle(&mut self) -> io::Result<()>;

    /// Called once, after the last line.
    ///
    /// # Errors
    /// What was taken cannot be written.
    fn finish(&mut self) -> io::Result<()>;

    /// How many of the targets that were taken are written, counted from the first. It is also
    /// right after an error.
    fn written(&self) -> u64;
}

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

/// Why records of another version of the schema are not gone on with.
fn other_version(version: u32) -> io::Error {
    io::Error::other(format!(
        "it has version {version} of the schema, and this tlsweep writes version {VERSION}"
    ))
}
