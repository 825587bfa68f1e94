//! Columns for people and for `cut`: aligned and coloured on a terminal, tab-separated elsewhere.

use std::fmt::Write as _;
use std::io;

use crate::escape::escaped;
use crate::report::output::{Format, Layout};
use crate::report::record::Record;

/// The columns and their widths on a terminal.
pub const COLUMNS: [(&str, usize); 9] = [
    ("target", 32),
    ("result", 22),
    ("version", 8),
    ("group", 14),
    ("alpn", 9),
    ("days", 6),
    ("verdict", 16),
    ("ms", 9),
    ("note", 0),
];

/// What does not apply.
const NOTHING: &str = "-";

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

struct Text {
    aligned: bool,
    coloured: bool,
    line: String,
}

pub(super) fn format(layout: &Layout) -> Box<dyn Format> {
    Box::new(Text {
        aligned: layout.aligned,
        coloured: layout.coloured,
        line: String::new(),
    })
}

impl Format for Text {
    fn append(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        self.line.clear();
        let last = COLUMNS.len() - 1;
        for (place, (cell, (column, width))) in cells(record).iter().zip(COLUMNS).enumerate() {
            let colour = self.coloured.then(|| colour(column, cell)).flatten();
            self.line.push_str(colour.unwrap_or_default());
            self.line.push_str(cell);
            self.line
                .push_str(if colour.is_some() { PLAIN } else { "" });
            if place == last {
                self.line.push('\n');
            } else if self.aligned {
                let gap = width.saturating_sub(cell.chars().count());
                let _infallible = write!(self.line, "{:gap$} ", "");
            } else {
                self.line.push('\t');
            }
        }
        out.extend_from_slice(self.line.as_bytes());
        Ok(())
    }
}

fn cells(record: &Record) -> [String; 9] {
    let tls = record.tls.as_ref();
    let cell = |text: Option<&str>| escaped(text.filter(|t| !t.is_empty()).unwrap_or(NOTHING));
    [
        cell(Some(&record.target)),
        record.result(),
        cell(tls.and_then(|tls| tls.version.as_deref())),
        cell(tls.and_then(|tls| tls.group.as_deref())),
        cell(tls.and_then(|tls| tls.alpn.as_deref())),
        NOTHING.to_owned(),
        NOTHING.to_owned(),
        format!("{:.1}", record.ms.total),
        cell(Some(&note(record))),
    ]
}

fn note(record: &Record) -> String {
    record
        .error
        .as_ref()
        .map(|failure| failure.detail.clone())
        .unwrap_or_default()
}

fn colour(column: &str, cell: &str) -> Option<&'static str> {
    match (column, cell) {
        (_, NOTHING) => None,
        ("result", "ok") | ("verdict", "trusted") => Some(GREEN),
        ("result", _) => Some(RED),
        ("verdict", _) => Some(YELLOW),
        _ => None,
    }
}
