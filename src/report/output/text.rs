//! Columns for people and for `cut`: aligned and coloured on a terminal, tab-separated elsewhere.

use std::fmt::Write as _;
use std::io;

use crate::escape::escaped;
use crate::report::enumeration::Report;
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
    Box::new(Text { aligned: layout.aligned, coloured: layout.coloured, line: String::new() })
}

impl Format for Text {
    fn append(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        self.line.clear();
        let last = COLUMNS.len() - 1;
        for (place, (cell, (column, width))) in cells(record).iter().zip(COLUMNS).enumerate() {
            let colour = self.coloured.then(|| colour(column, cell)).flatten();
            self.line.push_str(colour.unwrap_or_default());
            self.line.push_str(cell);
            self.line.push_str(if colour.is_some() { PLAIN } else { "" });
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
    // Those of the whole path; without a verdict, those of the leaf.
    let days_left = record.trust.as_ref().and_then(|trust| trust.days_left);
    let days_left = days_left.or_else(|| record.cert.as_ref()?.days_left);
    let cell = |text: Option<&str>| escaped(text.filter(|t| !t.is_empty()).unwrap_or(NOTHING));
    [
        cell(Some(&record.target)),
        record.result(),
        cell(tls.and_then(|tls| tls.version.as_deref())),
        cell(tls.and_then(|tls| tls.group.as_deref())),
        cell(tls.and_then(|tls| tls.alpn.as_deref())),
        days_left.map_or_else(|| NOTHING.to_owned(), |days| days.to_string()),
        cell(record.trust.as_ref().map(|trust| trust.verdict.as_str())),
        format!("{:.1}", record.ms.total),
        cell(Some(&note(record))),
    ]
}

/// What an eye should fall on: why it failed, all that is wrong, what was to be found.
fn note(record: &Record) -> String {
    let mut notes = Vec::new();
    notes.extend(record.error.as_ref().map(|failure| failure.detail.clone()));
    if let Some(trust) = record.trust.as_ref().filter(|trust| trust.problems.len() > 1) {
        let words: Vec<_> = trust.problems.iter().map(|problem| problem.as_str()).collect();
        notes.push(words.join(" "));
    }
    notes.extend(record.enumeration.as_deref().map(Report::line));
    let alert = record.read.as_ref().and_then(|read| read.alert.as_ref());
    notes.extend(alert.map(|alert| format!("then the alert {alert}")));
    let met = record.failed_checks.as_ref().filter(|met| !met.is_empty());
    notes.extend(met.map(|met| format!("fails {}", met.join(" "))));
    notes.join("; ")
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
