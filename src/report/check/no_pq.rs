//! `no-pq`: the key exchange is not post-quantum.

use super::{Row, Value};
use crate::names::Group;
use crate::tls::posture::is_post_quantum;

pub(super) const ROW: Row = Row {
    name: "no-pq",
    value: Value::None,
    help: "the key exchange is not post-quantum",
    make: |_value| {
        Ok(Box::new(|record| {
            let group = record.tls.as_ref().and_then(|tls| tls.group.as_deref());
            group.is_some_and(|name| !Group::of_any_name(name).is_some_and(is_post_quantum))
        }))
    },
};
