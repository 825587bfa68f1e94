//! Records as lines of text, JSON or CSV, and the one owner of what they are written to.

pub mod checkpoint;
mod csv;
pub mod file;
mod json;
mod text;
mod zst;

use std::borrow::Cow;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::report::record::Record;
use crate::report::schema::Fields;

pub use text::COLUMNS;

/// The formats, by the names that `--format` takes.
pub const FORMATS: [(&str, Make); 3] =
    [("text", text::format), ("json", json::format), ("csv", csv::format)];

/// Bytes that are gathered before they are written, while more records are waiting.
const BUFFER: usize = 64 * 1024;

/// How lines are to look.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Text: columns aligned for people rather than separated by tabs.
    pub aligned: bool,
    /// Text: coloured.
    pub coloured: bool,
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

/// The lines of whole targets.
#[derive(Debug, Default)]
pub struct Batch {
    text: Vec<u8>,
    /// Where the lines of each target end.
    ends: Vec<usize>,
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
}

impl<W: Write + Send> Sink for W {
    fn take(&mut self, batch: &Batch) -> io::Result<()> {
        self.write_all(&batch.text)
    }

    fn idle(&mut self) -> io::Result<()> {
        self.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// Writes records as they come, until there are no more, telling `each` of all of a target; flushes
/// whenever nobody waits to be written. Blocks: for a thread of its own.
///
/// Only whole lines, and all of a target, are handed to `sink` at once.
///
/// # Errors
/// The first error of `sink`; nothing is written after it, and the records' senders notice.
pub fn write_all(
    mut results: mpsc::Receiver<Vec<Record>>,
    format: &mut dyn Format,
    sink: &mut dyn Sink,
    mut each: impl FnMut(&[Record]),
) -> io::Result<()> {
    let mut batch = Batch { text: Vec::with_capacity(BUFFER), ends: Vec::new() };
    let mut written = None;
    while let Some(of_target) = results.blocking_recv() {
        // The sweep holds one sender and the target that this is of another: whoever sends a target
        // only when he has the answer to the last is not kept waiting.
        if results.sender_strong_count() > 2 {
            gather(written);
        }
        let mut next = Some(of_target);
        while let Some(of_target) = next {
            let is_wanted = sink.wants(&of_target);
            for record in &of_target {
                if is_wanted {
                    format.append(record, &mut batch.text)?;
                }
            }
            batch.ends.push(batch.text.len());
            each(&of_target);
            if batch.text.len() >= BUFFER {
                batch.hand_to(sink)?;
            }
            next = results.try_recv().ok();
        }
        batch.hand_to(sink)?;
        sink.idle()?;
        written = Some(Instant::now());
    }
    sink.finish()
}

impl Batch {
    fn hand_to(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        if !self.text.is_empty() {
            sink.take(self)?;
        }
        self.text.clear();
        self.ends.clear();
        Ok(())
    }
}

/// When records come soon after those that were written, more are let come: to be woken for each
/// would cost both sides a system call.
#[expect(clippy::disallowed_methods, reason = "no peer is waited for")]
fn gather(written: Option<Instant>) {
    const SOON: Duration = Duration::from_millis(4);
    if let Some(written) = written {
        thread::sleep(SOON.saturating_sub(written.elapsed()));
    }
}
