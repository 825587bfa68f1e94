//! The leaves of the record as columns, under a header.

use std::borrow::Cow;
use std::io;

use csv_core::ReadRecordResult;
use serde_json::Value;

use crate::escape::{escaped, without_formula};
use crate::report::output::{Format, Layout, Reader, json};
use crate::report::record::Record;
use crate::report::schema::Fields;

struct Csv {
    fields: Fields,
    /// JSON pointers of the fields.
    pointers: Vec<String>,
    header_due: bool,
}

pub(super) fn format(layout: &Layout) -> Box<dyn Format> {
    let fields = layout.fields.clone().unwrap_or_else(Fields::all);
    let pointer = |name: &String| format!("/{}", name.replace('.', "/"));
    Box::new(Csv {
        pointers: fields.names().iter().map(pointer).collect(),
        fields,
        header_due: !layout.no_header,
    })
}

impl Format for Csv {
    fn append(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        if std::mem::take(&mut self.header_due) {
            writer.write_record(self.fields.names())?;
        }
        let whole = serde_json::to_value(record)?;
        for pointer in &self.pointers {
            writer.write_field(whole.pointer(pointer).map_or_else(|| Ok(String::new()), cell)?)?;
        }
        writer.write_record(None::<&[u8]>)?;
        writer.flush()
    }

    fn reader(&self) -> Option<Box<dyn Reader>> {
        let names = self.fields.names();
        let place = |name: &str| names.iter().position(|n| n == name);
        Some(Box::new(CsvReader {
            number: place("number")?,
            target: place("target")?,
            header: names.join(",") + "\n",
            columns: names.len(),
            parser: csv_core::Reader::new(),
            text: Vec::new(),
            ends: vec![0; names.len() + 1],
        }))
    }
}

struct CsvReader {
    number: usize,
    target: usize,
    header: String,
    columns: usize,
    parser: csv_core::Reader,
    /// The cells of a line, one behind the other, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl CsvReader {
    /// How many cells `line` has, as far as they fit.
    fn parse(&mut self, line: &[u8]) -> usize {
        self.parser.reset();
        self.text.resize(self.text.len().max(line.len()), 0);
        match self.parser.read_record(line, &mut self.text, &mut self.ends) {
            (ReadRecordResult::Record, _, _, cells) => cells,
            _ => 0,
        }
    }

    fn cell(&self, place: usize) -> Option<&str> {
        let start = place.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        str::from_utf8(self.text.get(start?..*self.ends.get(place)?)?).ok()
    }

    fn finished(&self) -> Option<(u64, Cow<'_, str>)> {
        Some((self.cell(self.number)?.parse().ok()?, Cow::Borrowed(self.cell(self.target)?)))
    }
}

impl Reader for CsvReader {
    fn read<'a>(&'a mut self, line: &'a [u8]) -> io::Result<Option<(u64, Cow<'a, str>)>> {
        if line == self.header.as_bytes() {
            return Ok(None);
        }
        let cells = self.parse(line);
        let finished = self.finished().filter(|_| cells == self.columns);
        finished.map(Some).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "neither these columns nor their header")
        })
    }

    fn is_beginning(&mut self, torn: &[u8]) -> bool {
        if self.header.as_bytes().starts_with(torn) {
            return true;
        }
        let cells = self.parse(&[torn, b"\n"].concat());
        cells > self.number.max(self.target) && self.finished().is_some()
    }
}

/// Text as it is but for what would break a line or be run by a spreadsheet, arrays joined by blanks,
/// the rest as JSON.
fn cell(value: &Value) -> io::Result<String> {
    match value {
        Value::String(_) | Value::Array(_) => Ok(without_formula(text(value)?)),
        other => json::text(other),
    }
}

fn text(value: &Value) -> io::Result<String> {
    match value {
        Value::String(text) => Ok(escaped(text)),
        Value::Array(items) => {
            Ok(items.iter().map(text).collect::<io::Result<Vec<_>>>()?.join(" "))
        }
        other => json::text(other),
    }
}
