//! Records as lines of text, JSON or CSV, and the one owner of what they are written to.

mod advice;
pub mod checkpoint;
mod csv;
mod detail;
pub mod file;
mod json;
pub mod stream;
mod table;
mod text;
mod width;
mod zst;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::pace::gather::Gathering;
use crate::report::record::Record;
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

/// Bytes that are gathered before they are written, while more records are waiting.
const BUFFER: usize = 64 * 1024;

/// With so many other targets in work, records may be let gather.
const CROWD: u64 = 1;

/// How long records are let gather: so much later each of them may be written. The queue holds more
/// than come in this time.
const NAP: Duration = Duration::from_millis(1);

/// How lines are to look.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Text: how many columns the terminal has that it is on; none: it is not on one.
    pub width: Option<usize>,
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
pub trait Format: Send {
    /// Appends the line of `record`, its end included.
    ///
    /// # Errors
    /// The record cannot be written in this format.
    fn append(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()>;

    /// What reads such lines back; nothing when they do not tell number and target.
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

    /// Whether a line of this format, and the first one, may have begun so before it was torn off.
    fn is_beginning(&mut self, torn: &[u8]) -> bool;
}

/// Leaves out the records that meet no condition of `--fail-on`.
pub struct OnlyFailing(pub Box<dyn Format>);

impl Format for OnlyFailing {
    fn append(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let is_failing = record.failed_checks.as_ref().is_some_and(|met| !met.is_empty());
        if is_failing { self.0.append(record, out) } else { Ok(()) }
    }
}

/// The lines of whole targets, in order.
#[derive(Debug, Default)]
pub struct Batch {
    text: Vec<u8>,
    /// Where the lines of each target end.
    ends: Vec<usize>,
}

impl Batch {
    /// The lines of each target.
    fn targets(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| self.text.get(*start..*end).unwrap_or_default())
    }

    /// How many targets end within the first `written` bytes.
    fn whole_targets(&self, written: usize) -> u64 {
        self.ends.partition_point(|end| *end <= written) as u64
    }

    /// Where the last target ends that does so within the first `written` bytes.
    fn last_end_within(&self, written: usize) -> usize {
        self.ends.iter().copied().rfind(|end| *end <= written).unwrap_or_default()
    }
}

/// Where lines go.
pub trait Sink: Send {
    /// Whether the records of a target are to be written.
    fn wants(&self, _of_target: &[Record]) -> bool {
        true
    }

    /// Takes lines.
    ///
    /// # Errors
    /// They cannot be written; nothing more is to be.
    fn take(&mut self, batch: &Batch) -> io::Result<()>;

    /// Hears that nothing more is there at the moment.
    ///
    /// # Errors
    /// What was taken cannot be written.
    fn idle(&mut self) -> io::Result<()>;

    /// Hears that nothing more will come.
    ///
    /// # Errors
    /// What was taken cannot be written.
    fn finish(&mut self) -> io::Result<()>;

    /// How many of the targets that were taken are written, also after an error: the first so many.
    fn written(&self) -> u64;
}

/// Writes records as they come, until there are no more; flushes whenever nobody waits to be written.
/// Blocks: for a thread of its own.
///
/// Only whole lines, and all of a target, are handed to `sink` at once. `status` counts a target when
/// the sink has written it, so that the counts are those of the lines also after an error.
///
/// # Errors
/// The first error of `sink`; nothing is written after it, and the records' senders notice.
pub fn write_all(
    mut results: mpsc::Receiver<Vec<Record>>,
    format: &mut dyn Format,
    sink: &mut dyn Sink,
    status: &Status,
) -> io::Result<()> {
    let mut writing = Writing { sink, status, batch: Batch::default(), waiting: VecDeque::new() };
    let mut gathering = Gathering::new(CROWD, NAP);
    loop {
        if let Some(nap) = gathering.nap(status.counts().in_flight) {
            #[expect(clippy::disallowed_methods, reason = "no peer is waited for")]
            thread::sleep(nap);
        }
        let begun = Instant::now();
        let mut next = results.blocking_recv();
        gathering.waited(begun.elapsed());
        if next.is_none() {
            break;
        }
        while let Some(of_target) = next {
            writing.add(&of_target, format)?;
            next = results.try_recv().ok();
        }
        writing.hand_over()?;
        writing.step(|sink, _| sink.idle())?;
    }
    writing.step(|sink, _| sink.finish())
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
    fn add(&mut self, of_target: &[Record], format: &mut dyn Format) -> io::Result<()> {
        self.status.finish();
        if !self.sink.wants(of_target) {
            self.status.leave();
            return Ok(());
        }
        for record in of_target {
            format.append(record, &mut self.batch.text)?;
        }
        self.batch.ends.push(self.batch.text.len());
        self.waiting.push_back(Tally::of(of_target));
        if self.batch.text.len() >= BUFFER { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.batch.ends.is_empty() {
            return Ok(());
        }
        let taken = self.step(|sink, batch| sink.take(batch));
        self.batch.text.clear();
        self.batch.ends.clear();
        taken
    }

    /// Lets the sink do something, and counts what it has written then.
    fn step(
        &mut self,
        work: impl FnOnce(&mut dyn Sink, &Batch) -> io::Result<()>,
    ) -> io::Result<()> {
        let before = self.sink.written();
        let result = work(self.sink, &self.batch);
        for _ in before..self.sink.written() {
            self.waiting.pop_front().iter().for_each(|tally| self.status.count(tally));
        }
        result
    }
}
