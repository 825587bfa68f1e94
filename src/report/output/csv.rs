//! The leaves of the record as columns, under a header.

use std::io;

use serde_json::Value;

use crate::escape::escaped;
use crate::report::output::{Format, Layout};
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
        let cells = self.pointers.iter().map(|at| whole.pointer(at).map(cell).unwrap_or_default());
        writer.write_record(cells)?;
        writer.flush()
    }
}

/// Strings as they are but for what would break a line, arrays joined by blanks.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => escaped(text),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
