//! The leaves of the record as columns, under a header.

use std::borrow::Cow;
use std::io;
use std::ops::Range;

use csv_core::ReadRecordResult;
use serde::Serialize;
use serde_json::Value;

use crate::escape::{escaped, without_formula};
use crate::report::output::pick::{Taker, Tree, pick};
use crate::report::output::{Format, Layout, Reader, json, other_version};
use crate::report::record::{Record, VERSION};
use crate::report::schema::Fields;

struct Csv {
    fields: Fields,
    tree: Tree,
    has_header: bool,
    writer: csv_core::Writer,
}

pub(super) fn format(layout: &Layout) -> Box<dyn Format> {
    let fields = layout.fields.clone().unwrap_or_else(Fields::all);
    Box::new(Csv {
        tree: Tree::new(fields.names()),
        fields,
        has_header: !layout.no_header,
        writer: csv_core::Writer::new(),
    })
}

impl Format for Csv {
    fn begin(&self, lines: &mut Vec<u8>) {
        if self.has_header {
            lines.splice(..0, header(&self.fields).into_bytes());
        }
    }

    fn append(&self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let mut cells = Cells {
            text: Vec::with_capacity(1024),
            places: vec![0..0; self.fields.names().len()],
            value: Vec::new(),
        };
        pick(record, &self.tree, &mut cells)?;
        let mut writer = self.writer.clone();
        let Cells { text, places, .. } = cells;
        // A cell may be doubled and quoted, and a delimiter may close the quotes of the cell before it.
        let most = places.iter().map(|cell| 2 * cell.len() + 4).sum::<usize>() + 4;
        append(out, most, |mut room| {
            let whole = room.len();
            for (place, cell) in places.into_iter().enumerate() {
                if place > 0 {
                    let written = writer.delimiter(room).1;
                    room = room.get_mut(written..).unwrap_or_default();
                }
                let written = writer.field(text.get(cell).unwrap_or_default(), room).2;
                room = room.get_mut(written..).unwrap_or_default();
            }
            let written = writer.terminator(room).1;
            whole - room.len() + written
        });
        Ok(())
    }

    fn reader(&self) -> Option<Box<dyn Reader>> {
        let names = self.fields.names();
        let place = |name: &str| names.iter().position(|n| n == name);
        Some(Box::new(CsvReader {
            number: place("number")?,
            target: place("target")?,
            version: place("v"),
            header: header(&self.fields),
            columns: names.len(),
            parser: csv_core::Reader::new(),
            text: Vec::new(),
            ends: vec![0; names.len() + 1],
        }))
    }
}

/// The line of field names, none of which needs quotes.
fn header(fields: &Fields) -> String {
    fields.names().join(",") + "\n"
}

struct CsvReader {
    number: usize,
    target: usize,
    /// None where `--fields` left it out.
    version: Option<usize>,
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
        let is_whole = cells == self.columns;
        let version = self.version.filter(|_| is_whole).and_then(|place| self.cell(place));
        let version = version.map_or(Ok(VERSION), str::parse);
        if let Some(other) = version.as_ref().ok().filter(|version| **version != VERSION) {
            return Err(other_version(*other));
        }
        let finished = self.finished().filter(|_| is_whole && version.is_ok());
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

/// Lets `write` append to `out`, which has room for so many bytes.
fn append(out: &mut Vec<u8>, room: usize, write: impl FnOnce(&mut [u8]) -> usize) {
    let end = out.len();
    out.resize(end + room, 0);
    let written = out.get_mut(end..).map_or(0, write);
    out.truncate(end + written);
}

/// The cells of a line, in the order in which they come.
struct Cells {
    text: Vec<u8>,
    /// Where in `text` the cell of each column stands.
    places: Vec<Range<usize>>,
    /// A value as JSON.
    value: Vec<u8>,
}

impl Taker for Cells {
    fn leaf(
        &mut self,
        _name: &str,
        places: &[usize],
        value: &(impl Serialize + ?Sized),
    ) -> serde_json::Result<()> {
        self.value.clear();
        value.serialize(&mut json::serializer(&mut self.value))?;
        let start = self.text.len();
        match (as_it_is(&self.value), self.value.first()) {
            (Some(text), _) => self.text.extend_from_slice(text.as_bytes()),
            (None, Some(b'"' | b'[')) => {
                let cell = without_formula(text(&serde_json::from_slice(&self.value)?)?);
                self.text.extend_from_slice(cell.as_bytes());
            }
            (None, _) => self.text.extend_from_slice(&self.value),
        }
        for place in places {
            if let Some(place) = self.places.get_mut(*place) {
                *place = start..self.text.len();
            }
        }
        Ok(())
    }
}

/// What stands between the quotation marks of nearly every text, and of the elements of nearly every list:
/// printable ASCII without a backslash and, in a list, without a blank.
fn as_it_is(value: &[u8]) -> Option<Cow<'_, str>> {
    let elements = value.strip_prefix(b"[\"").and_then(|it| it.strip_suffix(b"\"]"));
    let text = elements.or_else(|| value.strip_prefix(b"\"")?.strip_suffix(b"\""))?;
    let least = if elements.is_some() { b'!' } else { b' ' };
    let is_harmless = |byte: &u8| (least..=b'~').contains(byte) && *byte != b'\\';
    let begins_well = text.first().is_none_or(|first| !b"=+-@".contains(first));
    let text = str::from_utf8(text).ok().filter(|_| begins_well && text.iter().all(is_harmless))?;
    if elements.is_none() {
        return Some(text.into());
    }
    // JSON would have put a backslash before a quotation mark in a text. So after the replacement one is left
    // only where an element is not a text.
    let joined = text.replace("\",\"", " ");
    (!joined.contains('"')).then_some(joined.into())
}

/// Text as it is but for what would break a line, arrays joined by blanks, the rest as JSON. A blank in
/// an element is escaped, so that it parts no element in two.
fn text(value: &Value) -> serde_json::Result<String> {
    match value {
        Value::String(text) => Ok(escaped(text)),
        Value::Array(items) => {
            // What is JSON has its own quotation marks.
            let element = |item: &Value| match item {
                Value::String(element) => Ok(escaped(element).replace(' ', r"\x20")),
                item => text(item),
            };
            Ok(items.iter().map(element).collect::<serde_json::Result<Vec<_>>>()?.join(" "))
        }
        other => {
            let mut out = Vec::new();
            other.serialize(&mut json::serializer(&mut out))?;
            Ok(String::from_utf8_lossy(&out).into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_blank_inside_an_element_is_not_one_between_two() {
        for (array, cell) in [
            (json!(["a b", "c"]), r"a\x20b c"),
            (json!(["a", "b", "c"]), "a b c"),
            (json!([{"subject": "CN=a b"}]), r#"{"subject":"CN=a b"}"#),
            (json!("a b"), "a b"),
        ] {
            assert_eq!(text(&array).unwrap(), cell);
        }
    }

    #[test]
    fn what_is_taken_as_it_is_is_what_would_be_made_of_it() {
        let values = [
            json!("plain text"),
            json!(""),
            json!("=1"),
            json!("a\"b"),
            json!("ä"),
            json!([]),
            json!([""]),
            json!(["", ""]),
            json!(["a", "b", "c"]),
            json!(["a,b", "c"]),
            json!([",", "a"]),
            json!(["a", ","]),
            json!(["", ",", ""]),
            json!(["a", 1, ",", "b"]),
            json!(["a b", "c"]),
            json!(["-a", "b"]),
            json!(["a", "-b"]),
            json!(["a\\", "b"]),
            json!(["a", 1, "b"]),
            json!(["a", null, "b"]),
            json!(["a", ["b", "c"], "d"]),
            json!(["a", {"b": "c"}, "d"]),
        ];
        let taken = values.iter().filter(|value| {
            let json = value.to_string();
            let taken = as_it_is(json.as_bytes());
            let made = without_formula(text(value).unwrap());
            taken.inspect(|taken| assert_eq!(**taken, made, "{value}")).is_some()
        });
        assert_eq!(taken.count(), 10);
    }
}
