//! `untrusted`: the peer is not one that a strict client trusts.

use super::{Row, Value};
use crate::report::record::Presented;

pub(super) const ROW: Row = Row {
    name: "untrusted",
    value: Value::None,
    help: "the verdict is not `trusted`, or the peer did not prove who it is",
    make: |_value| {
        Ok(Box::new(|record| {
            // A legacy session may have no certificate.
            let is_legacy = record.tls.as_ref().is_some_and(|tls| tls.legacy == Some(true));
            let is_untrusted = |presented: Presented<'_>| match presented.trust {
                Some(trust) => !trust.verdict.is_trusted(),
                // A peer that signs falsely gets no verdict.
                None => presented.signature_verified == Some(false),
            };
            is_legacy && record.trust.is_none() || record.presented().any(is_untrusted)
        }))
    },
};
