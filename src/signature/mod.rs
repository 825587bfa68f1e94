//! Signatures: which of them can be checked, and what came of the check.
//!
//! The handshake, the certificate path and the OCSP staple all ask here. A signature is called
//! invalid only when its key and its algorithm are ones that can be checked; everything else is
//! `Checked::Unsupported`. aws-lc verifies what it can; the `rsa` crate verifies the RSA
//! signatures that aws-lc refuses (short keys, MD5, PSS with an unusual salt).

mod algorithm;
mod check;
mod key;
mod proof;
mod rsa;

pub(crate) use algorithm::Algorithm;
pub(crate) use check::{Checked, check, is_slow};
pub(crate) use key::MIN_STRONG_RSA_BITS;
pub use key::Unsupported;
pub(crate) use key::{Key, Spki, spki_of, without_tls12};
pub use proof::{Held, Proof, SignedHandshake, Unproven, WrongScheme};

#[cfg(test)]
mod tests;
