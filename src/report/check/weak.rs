//! `weak`: a key or a signature that is too weak.

use super::Row;
use crate::cert::Problem;

pub(super) const ROW: Row = Row {
    name: "weak",
    value: None,
    help: "weak_key or weak_signature",
    make: |_value| {
        Ok(Box::new(|record| {
            let weak = [Problem::WeakKey, Problem::WeakSignature];
            let trust = record.trust.as_ref();
            trust.is_some_and(|trust| weak.iter().any(|word| trust.problems.contains(word)))
        }))
    },
};
