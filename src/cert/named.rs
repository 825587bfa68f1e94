//! A certificate with its names, by which it is found.

use std::borrow::Cow;

use super::canonical;
use super::reading::Reading;

/// A certificate with its names in canonical form, in which names are compared. They are given without
/// the header of their SEQUENCE, and are absent where they cannot be read.
pub(super) struct Named<'a> {
    pub(super) reading: Reading<'a>,
    pub(super) subject: Option<Cow<'a, [u8]>>,
    pub(super) issuer: Option<Cow<'a, [u8]>>,
}

impl<'a> Named<'a> {
    pub(super) fn new(der: &'a [u8]) -> Self {
        let reading = Reading::new(der);
        let canonical = |name: Option<&'a [u8]>| name.and_then(canonical::of_name);
        Self { subject: canonical(reading.subject), issuer: canonical(reading.issuer), reading }
    }
}
