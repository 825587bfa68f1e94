//! Records as text, tables, detail, JSON or CSV, and the one owner of what they are written to.

mod advice;
pub mod checkpoint;
mod csv;
mod detail;
pub mod file;
mod format;
mod json;
mod pick;
pub mod queue;
mod sink;
pub mod stream;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod writing;
mod zst;

use std::io;

use crate::report::record::VERSION;

pub use format::{Format, Layout, Make, Observed, OnlyFailing, Reader, Silent};
pub use sink::{Batch, Sink};
pub use text::COLUMNS;
pub use writing::write_all;

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

/// The error for records of another version of the schema, behind which nothing can be written.
fn other_version(version: u32) -> io::Error {
    io::Error::other(format!(
        "it has version {version} of the schema, and this tlsweep writes version {VERSION}"
    ))
}
