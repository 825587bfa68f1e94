//! `min-tls=1.3`: the protocol version is an older one.

use super::{Row, Value};
use crate::names::Version;

/// The versions by the numbers that people use, in order.
const VERSIONS: [(&str, Version); 4] = [
    ("1.0", Version::TLS_1_0),
    ("1.1", Version::TLS_1_1),
    ("1.2", Version::TLS_1_2),
    ("1.3", Version::TLS_1_3),
];

pub(super) const ROW: Row = Row {
    name: "min-tls",
    value: Value::Required("1.3"),
    help: "the protocol version is older",
    make: |value| {
        let (_, least) = VERSIONS
            .iter()
            .find(|(name, _)| *name == value)
            .ok_or_else(|| "not a version; write 1.0, 1.1, 1.2 or 1.3".to_owned())?;
        Ok(Box::new(|record| {
            let version = record.tls.as_ref().and_then(|tls| tls.version.as_deref());
            version.is_some_and(|version| {
                let good = VERSIONS.iter().filter(|(_, known)| known >= least);
                good.map(|(_, known)| known.name()).all(|name| name != version)
            })
        }))
    },
};
