//! Columns for `cut` and `awk`, separated by tabs; on a terminal a table.

use std::borrow::Cow;
use std::io;

use crate::cert::{Certificate, Problem};
use crate::escape::{escaped, escaped_or_same};
use crate::plural::count;
use crate::report::enumeration::Report;
use crate::report::output::{Format, Layout};
use crate::report::record::Record;
use crate::signature::MIN_STRONG_RSA_BITS;

/// The columns in a pipe.
pub const COLUMNS: [&str; 9] =
    ["target", "result", "version", "group", "alpn", "days", "verdict", "ms", "note"];

/// What does not apply.
pub(super) const NOTHING: &str = "-";

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

struct Text {
    colours: Colours,
}

pub(super) fn format(layout: &Layout) -> Box<dyn Format> {
    Box::new(Text { colours: Colours(layout.coloured) })
}

impl Format for Text {
    fn append(&self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let cells = cells(record);
        for (place, column) in COLUMNS.into_iter().enumerate() {
            let cell = cells.of(column);
            if place > 0 {
                out.push(b'\t');
            }
            match self.colours.of(column, cell) {
                None => out.extend_from_slice(cell.as_bytes()),
                colour => out.extend_from_slice(coloured(cell, colour).as_bytes()),
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

/// The text of a record in each column.
pub(super) struct Cells<'a>([(&'static str, Cow<'a, str>); 10]);

impl Cells<'_> {
    pub(super) fn of(&self, column: &str) -> &str {
        let cell = self.0.iter().find(|(name, _)| *name == column);
        cell.map_or(NOTHING, |(_, text)| text)
    }
}

pub(super) fn cells(record: &Record) -> Cells<'_> {
    let tls = record.tls.as_ref();
    // Those of the whole path; without a verdict, those of the leaf.
    let days_left = record.trust.as_ref().and_then(|trust| trust.days_left);
    let days_left = days_left.or_else(|| record.cert.as_ref()?.days_left);
    let or_nothing = |text: Option<String>| text.map_or(Cow::Borrowed(NOTHING), Cow::Owned);
    Cells([
        ("target", cell(Some(&record.target))),
        ("address", or_nothing(record.addr.map(|address| address.to_string()))),
        ("result", record.result().into()),
        ("version", cell(tls.and_then(|tls| tls.version.as_deref()))),
        ("group", cell(tls.and_then(|tls| tls.group.as_deref()))),
        ("alpn", cell(tls.and_then(|tls| tls.alpn.as_deref()))),
        ("days", or_nothing(days_left.map(|days| days.to_string()))),
        ("verdict", cell(record.trust.as_ref().map(|trust| trust.verdict.as_str()))),
        ("ms", format!("{:.1}", record.ms.total).into()),
        ("note", note(record)),
    ])
}

/// Text that the record has, made harmless.
fn cell(text: Option<&str>) -> Cow<'_, str> {
    escaped_or_same(text.filter(|text| !text.is_empty()).unwrap_or(NOTHING))
}

/// What the reader should notice first: why the target failed, all problems, what `--enumerate`
/// found, what has changed, and the conditions that were met.
fn note(record: &Record) -> Cow<'_, str> {
    let problems = record.trust.iter().flat_map(|trust| &trust.problems);
    let problems = problems.map(|problem| explained(*problem, record)).collect();
    match note_with(problems, record) {
        Cow::Borrowed(note) => cell(Some(note)),
        Cow::Owned(note) => cell(Some(&note)).into_owned().into(),
    }
}

/// The note for a row that shows the verdict too, which the note then does not repeat. `None` when
/// there is no verdict.
pub(super) fn why(record: &Record) -> Option<String> {
    let trust = record.trust.as_ref()?;
    let problems = trust.problems.iter().filter_map(|problem| {
        let is_said = problem.as_str() == trust.verdict.as_str();
        if is_said { fact(*problem, record) } else { Some(explained(*problem, record)) }
    });
    Some(escaped(&note_with(problems.collect(), record)))
}

fn note_with(problems: Vec<String>, record: &Record) -> Cow<'_, str> {
    let error = record.error.as_ref().map(|failure| failure.detail.as_str());
    let mut notes = Vec::new();
    notes.extend(Some(problems.join(" ")).filter(|problems| !problems.is_empty()));
    notes.extend(record.enumeration.as_deref().map(Report::line));
    let alert = record.read.as_ref().and_then(|read| read.alert.as_ref());
    notes.extend(alert.map(|alert| format!("then the alert {alert}")));
    notes.extend(record.changed.as_ref().and_then(|changed| changed.line()));
    let met = record.failed_checks.as_ref().filter(|met| !met.is_empty());
    notes.extend(met.map(|met| format!("fails {}", met.join(" "))));
    match error {
        // Most records of targets that fail have nothing else to say.
        Some(error) if notes.is_empty() => Cow::Borrowed(error),
        _ => {
            notes.splice(..0, error.map(str::to_owned));
            Cow::Owned(notes.join("; "))
        }
    }
}

/// A problem, with the fact that it is about where the record has it.
pub(super) fn explained(problem: Problem, record: &Record) -> String {
    match fact(problem, record) {
        Some(fact) => format!("{} ({fact})", problem.as_str()),
        None => problem.as_str().to_owned(),
    }
}

/// The fact that a problem is about, where the record has it.
fn fact(problem: Problem, record: &Record) -> Option<String> {
    let cert = record.cert.as_deref();
    match problem {
        Problem::NameMismatch => {
            cert.and_then(|cert| names(cert, 3)).map(|names| format!("it is for {names}"))
        }
        Problem::Revoked => record
            .trust
            .as_ref()
            .and_then(|trust| trust.revoked_by)
            .map(|source| format!("says the {}", source.as_str())),
        Problem::UnknownIssuer => {
            cert.and_then(|cert| cert.issuer.as_ref()).map(|issuer| format!("by {issuer}"))
        }
        Problem::Expired => cert
            .filter(|cert| cert.days_left.is_some_and(|days| days < 0))
            .and_then(|cert| cert.not_after.as_deref().and_then(|time| time.get(..DATE)))
            .map(|date| format!("on {date}")),
        // The weak key may be that of an issuer, too.
        Problem::WeakKey => cert
            .filter(|cert| cert.key.as_deref() == Some("RSA"))
            .filter(|cert| cert.key_bits.is_some_and(|bits| bits < MIN_STRONG_RSA_BITS))
            .and_then(Certificate::key_and_size),
        Problem::ValidityTooLong => cert
            .and_then(|cert| cert.lifetime_days)
            .map(|days| format!("for {}", count(days, "day"))),
        Problem::NotYetValid => cert
            .and_then(|cert| cert.not_before.as_deref().and_then(|time| time.get(..DATE)))
            .map(|date| format!("before {date}")),
        _ => None,
    }
}

/// Characters of a timestamp that are its date.
const DATE: usize = 10;

/// The first names of a certificate.
pub(super) fn names(cert: &Certificate, shown: usize) -> Option<String> {
    let names = cert.names.as_ref().filter(|names| !names.is_empty())?;
    let list = names.iter().take(shown).map(String::as_str).collect::<Vec<_>>().join(", ");
    match cert.names_count.unwrap_or(names.len()).saturating_sub(shown) {
        0 => Some(list),
        more => Some(format!("{list} and {more} more")),
    }
}

/// Whether cells are coloured, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colours(pub(super) bool);

impl Colours {
    pub(super) fn of(self, column: &str, cell: &str) -> Option<&'static str> {
        match (column, cell) {
            _ if !self.0 => None,
            (_, NOTHING) => None,
            ("result", "ok") | ("verdict", "trusted") => Some(GREEN),
            ("result", _) => Some(RED),
            ("verdict", _) => Some(YELLOW),
            ("days", days) => match days.parse() {
                Ok(..14) => Some(RED),
                Ok(14..30) => Some(YELLOW),
                Ok(30_i64..) => None,
                Err(_no_number) => None,
            },
            _ => None,
        }
    }

    pub(super) fn with(self, text: &str, colour: Option<&'static str>) -> String {
        coloured(text, colour.filter(|_| self.0))
    }

    pub(super) fn bold(self, text: &str) -> String {
        coloured(text, self.0.then_some(BOLD))
    }
}

pub(super) fn coloured(text: &str, colour: Option<&str>) -> String {
    match colour {
        Some(colour) => format!("{colour}{text}{PLAIN}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_red_under_14_and_yellow_under_30() {
        for (days, colour) in [
            ("-3", Some(RED)),
            ("0", Some(RED)),
            ("13", Some(RED)),
            ("14", Some(YELLOW)),
            ("29", Some(YELLOW)),
            ("30", None),
            ("-", None),
        ] {
            assert_eq!(Colours(true).of("days", days), colour, "{days}");
            assert_eq!(Colours(false).of("days", days), None, "{days}");
        }
    }
}
