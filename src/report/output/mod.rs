//! Records as lines of text, JSON or CSV, and the one owner of stdout.

mod csv;
mod json;
mod text;

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

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
}

/// Writes records as they come, until there are no more, telling `each` of every one that is
/// written; flushes whenever nobody waits to be written. Blocks: for a thread of its own.
///
/// Only whole lines, and all of a target, are handed to `out` at once.
///
/// # Errors
/// The first error of `out`; nothing is written after it, and the records' senders notice.
pub fn write_all(
    mut results: mpsc::Receiver<Vec<Record>>,
    format: &mut dyn Format,
    out: &mut dyn Write,
    mut each: impl FnMut(&Record),
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut targets = 0;
    while let Some(of_target) = results.blocking_recv() {
        if targets > 1 {
            gather();
        }
        targets = 0;
        let mut next = Some(of_target);
        while let Some(of_target) = next {
            for record in &of_target {
                format.append(record, &mut buffer)?;
                each(record);
            }
            targets += 1;
            if buffer.len() >= BUFFER {
                out.write_all(&buffer)?;
                buffer.clear();
            }
            next = results.try_recv().ok();
        }
        out.write_all(&buffer)?;
        out.flush()?;
        buffer.clear();
    }
    Ok(())
}

/// When records come so fast that some were waiting, more are let come: to be woken for each would
/// cost both sides a system call.
#[expect(clippy::disallowed_methods, reason = "no peer is waited for")]
fn gather() {
    thread::sleep(Duration::from_millis(4));
}
