//! `no-pq`: the key exchange is not post-quantum.

use super::{Row, Value};
use crate::names::Group;
use crate::tls::posture::{Posture, is_post_quantum};

pub(super) const ROW: Row = Row {
    name: "no-pq",
    value: Value::None,
    help: "the key exchange is not post-quantum",
    make: |_value| {
        Ok(Box::new(|record| {
            let Some(tls) = &record.tls else { return false };
            match tls.group.as_deref() {
                Some(name) => !Group::of_any_name(name).is_some_and(is_post_quantum),
                // RSA, and Diffie-Hellman without a named group, have no group.
                None => tls.key_exchange == Some(Posture::Classical),
            }
        }))
    },
};
