//! `untrusted`: the peer is not one that a strict client trusts.

use super::Row;

pub(super) const ROW: Row = Row {
    name: "untrusted",
    value: None,
    help: "the verdict is not `trusted`, or the peer did not prove who it is",
    make: |_value| {
        Ok(Box::new(|record| match &record.trust {
            Some(trust) => !trust.verdict.is_trusted(),
            // A peer that signs falsely gets no verdict; a legacy session may have no certificate.
            None => record.tls.as_ref().is_some_and(|tls| {
                tls.signature_verified == Some(false) || tls.legacy == Some(true)
            }),
        }))
    },
};
