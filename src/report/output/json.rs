//! One JSON object a line.

use std::borrow::Cow;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::ser::Formatter;
use serde_json::{Map, Serializer, Value};

use crate::escape::{is_plain, is_printable_ascii};
use crate::report::output::{Format, Layout, Reader};
use crate::report::record::Record;
use crate::report::schema::Fields;

struct Json {
    fields: Option<Fields>,
}

pub(super) fn format(layout: &Layout) -> Box<dyn Format> {
    Box::new(Json { fields: layout.fields.clone() })
}

impl Format for Json {
    fn append(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let mut serializer = Serializer::with_formatter(&mut *out, Harmless);
        match &self.fields {
            None => record.serialize(&mut serializer)?,
            Some(fields) => {
                let whole = serde_json::to_value(record)?;
                let chosen = chosen(&whole, "", fields.names());
                chosen.unwrap_or_else(|| Value::Object(Map::new())).serialize(&mut serializer)?;
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

/// What a line is read back for; the rest is passed over.
#[derive(Deserialize)]
struct Finished<'a> {
    number: u64,
    #[serde(borrow)]
    target: Cow<'a, str>,
}

impl Reader for JsonReader {
    fn read<'a>(&'a mut self, line: &'a [u8]) -> io::Result<Option<(u64, Cow<'a, str>)>> {
        let Finished { number, target } = serde_json::from_slice(line)?;
        Ok(Some((number, target)))
    }

    fn is_beginning(&mut self, torn: &[u8]) -> bool {
        let beginning = self.beginning.as_bytes();
        torn.iter().zip(beginning).all(|(found, expected)| found == expected)
    }
}

/// `value` as it stands in a line of JSON.
pub(super) fn text(value: &Value) -> io::Result<String> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, Harmless))?;
    String::from_utf8(out).map_err(io::Error::other)
}

/// The part of `value` that the dotted `names` choose; nothing when that is nothing.
fn chosen(value: &Value, name: &str, names: &[String]) -> Option<Value> {
    match value {
        _ if names.iter().any(|chosen| chosen == name) => Some(value.clone()),
        Value::Object(object) => {
            let kept = object.iter().filter_map(|(key, inner)| {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                Some((key.clone(), chosen(inner, &name, names)?))
            });
            let kept: Map<_, _> = kept.collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        _ => None,
    }
}

/// Escapes what JSON does not make one escape: a terminal would obey it.
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
