//! What a search for a path comes to.

use webpki::Error;

use super::super::problem::Problem;
use super::super::roots::Root;

/// What stands at the top of a path.
#[derive(Clone, Copy)]
pub(super) enum Top<'a> {
    Root(&'a Root),
    /// The certificate that was sent in this place, where no root is known.
    Sent(usize),
}

/// A path.
pub(super) struct Found<'a> {
    /// The places of the certificates above the leaf, from the leaf up.
    pub(super) issuers: Vec<usize>,
    pub(super) top: Option<Top<'a>>,
}

/// Why webpki found no path.
pub(super) struct Refused {
    pub(super) error: Error,
    /// The problem, if it is known.
    pub(super) fault: Option<Problem>,
}

impl<'a> Found<'a> {
    pub(super) fn root(&self) -> Option<&'a Root> {
        match self.top {
            Some(Top::Root(root)) => Some(root),
            _ => None,
        }
    }
}
