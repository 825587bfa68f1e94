//! The leaves of the record as columns, under a header.

use std::io;

use serde_json::Value;

use crate::escape::escaped;
use crate::report::output::{Format, Layout, json};
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
}

/// Strings as they are but for what would break a line, arrays joined by blanks, the rest as JSON.
fn cell(value: &Value) -> io::Result<String> {
    match value {
        Value::String(text) => Ok(escaped(text)),
        Value::Array(items) => {
            Ok(items.iter().map(cell).collect::<io::Result<Vec<_>>>()?.join(" "))
        }
        other => json::text(other),
    }
}
