//! `weak`: a key or a signature that is too weak.

use super::{Row, Value};
use crate::cert::Problem;

pub(super) const ROW: Row = Row {
    name: "weak",
    value: Value::None,
    help: "weak_key or weak_signature",
    make: |_value| {
        Ok(Box::new(|record| {
            let weak = [Problem::WeakKey, Problem::WeakSignature];
            let mut verdicts = record.presented().filter_map(|presented| presented.trust);
            verdicts.any(|trust| weak.iter().any(|word| trust.problems.contains(word)))
        }))
    },
};
