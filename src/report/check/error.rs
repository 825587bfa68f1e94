//! `error`: there is no finished handshake.

use super::{Row, Value};

pub(super) const ROW: Row = Row {
    name: "error",
    value: Value::None,
    help: "the handshake did not complete, or the line is no target",
    make: |_value| Ok(Box::new(|record| !record.ok)),
};
