//! What a format is: how records become lines, and how lines are read back.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::report::record::Record;
use crate::report::schema::Fields;

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

/// A way to write records, each target by itself. What needs the records of many targets together, as the
/// report does, is no format but an observer of one.
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
