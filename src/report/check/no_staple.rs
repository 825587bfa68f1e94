//! `no-staple`: no OCSP response was stapled.

use super::{Row, Value};

pub(super) const ROW: Row = Row {
    name: "no-staple",
    value: Value::None,
    help: "no OCSP response was stapled",
    make: |_value| {
        Ok(Box::new(|record| record.tls.as_ref().and_then(|tls| tls.ocsp_stapled) == Some(false)))
    },
};
