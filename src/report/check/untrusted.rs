//! `untrusted`: the verdict names a problem.

use super::Row;

pub(super) const ROW: Row = Row {
    name: "untrusted",
    value: None,
    help: "the verdict is not `trusted`",
    make: |_value| {
        Ok(Box::new(|record| record.trust.as_ref().is_some_and(|t| !t.verdict.is_trusted())))
    },
};
