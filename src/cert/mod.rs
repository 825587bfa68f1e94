//! From DER to facts and a verdict. No I/O and no clock: `now` is an argument.
//!
//! [`Judge::examine`] is the way in. Behind it the files stand in the order in which they build
//! on each other: a lenient reading of the DER serves both the facts, which should survive a bad
//! certificate, and the mending by which webpki is brought to name every fault.

mod contain;
mod der;
mod text;

mod oid;
mod pem_file;

mod canonical;
mod name;
mod named;
mod reading;

mod bounded;
mod critical;
mod facts;
mod problem;
mod roots;
mod well_formed;

mod link;
mod meter;

mod algorithms;
mod constraints;
mod crl;
mod crlite;
mod leaf;
mod mend;
mod path;
mod rewrite;
mod rules;
mod verdict;

mod issuer;
mod ocsp;

mod cache;
mod judge;

pub use crl::{CrlError, CrlStatus, Crls};
pub use crlite::{Crlite, CrliteError, CrliteStatus};
pub use facts::Certificate;
pub use judge::{Examined, Judge, Presented, Wanted};
pub use ocsp::{Ocsp, Signature, Status};
pub use problem::{Problem, Trusted, Verdict};
pub use roots::{Roots, RootsError};
pub use text::pem;
pub use verdict::{Revocation, RevokedBy, Trust};

pub use crate::limits::{MAX_CERTIFICATES, MAX_INTERMEDIATES, MAX_KEPT_CERTIFICATES, MAX_NAMES};

#[cfg(test)]
mod sample;
