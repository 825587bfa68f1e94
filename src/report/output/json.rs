//! One JSON object a line.

use std::borrow::Cow;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::escape::{is_plain, is_printable_ascii};
use crate::report::output::pick::{Taker, Tree, pick};
use crate::report::output::{Format, Layout, Reader, other_version};
use crate::report::record::{Record, VERSION};
use crate::report::schema::Fields;

struct Json {
    fields: Option<Fields>,
    tree: Tree,
}

pub(super) fn format(layout: &Layout) -> Box<dyn Format> {
    let tree = layout.fields.as_ref().map(|fields| Tree::new(fields.names()));
    Box::new(Json { fields: layout.fields.clone(), tree: tree.unwrap_or_default() })
}

impl Format for Json {
    fn append(&self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match &self.fields {
            None => record.serialize(&mut serializer(out))?,
            Some(_) => {
                let mut object = Object { out, starts: Vec::new() };
                object.out.push(b'{');
                pick(record, &self.tree, &mut object)?;
                out.push(b'}');
            }
        }
        out.push(b'\n');
        Ok(())
    }

    fn reader(&self) -> Option<Box<dyn Reader>> {
        let has = |name: &str| {
            self.fields.as_ref().is_none_or(|fields| fields.names().iter().any(|n| n == name))
        };
        let beginning = if self.fields.is_none() { "{\"v\":1,\"line\":" } else { "{\"" };
        (has("number") && has("target")).then(|| Box::new(JsonReader { beginning }) as _)
    }
}

struct JsonReader {
    beginning: &'static str,
}

/// The fields of a line that resuming needs; all others are skipped.
#[derive(Deserialize)]
struct Finished<'a> {
    /// None where `--fields` left it out.
    v: Option<u32>,
    number: u64,
    #[serde(borrow)]
    target: Cow<'a, str>,
}

impl Reader for JsonReader {
    fn read<'a>(&'a mut self, line: &'a [u8]) -> io::Result<Option<(u64, Cow<'a, str>)>> {
        let Finished { v, number, target } = serde_json::from_slice(line)?;
        match v.filter(|version| *version != VERSION) {
            Some(other) => Err(other_version(other)),
            None => Ok(Some((number, target))),
        }
    }

    fn is_beginning(&mut self, torn: &[u8]) -> bool {
        let beginning = self.beginning.as_bytes();
        torn.iter().zip(beginning).all(|(found, expected)| found == expected)
    }
}

/// Writes values as they stand in a line of JSON.
pub(super) fn serializer(out: &mut Vec<u8>) -> Serializer<&mut Vec<u8>, impl Formatter> {
    Serializer::with_formatter(out, Harmless)
}

/// An object that is being written, and the objects inside it.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    /// Where each object that is still open begins in `out`, with its name.
    starts: Vec<usize>,
}

impl Object<'_> {
    /// Writes the name of a field. Names need no escaping.
    fn name(&mut self, name: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

impl Taker for Object<'_> {
    fn leaf(
        &mut self,
        name: &str,
        _places: &[usize],
        value: &(impl Serialize + ?Sized),
    ) -> serde_json::Result<()> {
        self.name(name);
        value.serialize(&mut serializer(self.out))
    }

    fn enter(&mut self, name: &str) {
        self.starts.push(self.out.len());
        self.name(name);
        self.out.push(b'{');
    }

    /// Leaves out an object of which nothing was picked.
    fn leave(&mut self) {
        let start = self.starts.pop().unwrap_or_default();
        match self.out.last() {
            Some(b'{') => self.out.truncate(start),
            _ => self.out.push(b'}'),
        }
    }
}

/// Escapes characters that JSON allows unescaped, but that a terminal would obey.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if is_printable_ascii(fragment) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(|c| !is_plain(c)) {
            let (plain, from) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}
