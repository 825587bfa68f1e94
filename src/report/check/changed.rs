//! `changed`, `changed=cert.spki_sha256`: something differs from the baseline.

use super::{Row, Value};
use crate::report::changed::Field;

/// What stands for a field in the condition for targets that the baseline does not have.
const NEW: &str = "new";

pub(super) const ROW: Row = Row {
    name: "changed",
    value: Value::Optional("FIELD"),
    help: "something differs from `--baseline`, or the target is new; with a field (or `new`), only that",
    make: |field| {
        if field.is_empty() {
            return Ok(Box::new(|record| {
                record.changed.as_ref().is_some_and(|changed| changed.is_any())
            }));
        }
        if field == NEW {
            return Ok(Box::new(|record| {
                record.changed.as_ref().is_some_and(|changed| changed.new == Some(true))
            }));
        }
        let Some(field) = Field::ALL.into_iter().find(|known| known.name() == field) else {
            let known = Field::ALL.map(Field::name).join(", ");
            return Err(format!("what may change is {NEW}, {known}"));
        };
        Ok(Box::new(move |record| {
            let changed = record.changed.as_ref();
            changed.is_some_and(|changed| changed.fields().any(|(known, _)| known == field))
        }))
    },
};
