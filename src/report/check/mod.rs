//! The conditions of `--fail-on`: pure functions on the record.
//!
//! A condition about something that was not observed is not met, with two exceptions: `error` speaks of
//! targets without a finished handshake, and a `profile` of rules that could not be judged.

mod changed;
mod checks;
mod error;
mod expires_in;
mod min_tls;
mod no_pq;
mod no_staple;
mod pin;
mod problem;
mod profile;
mod row;
mod untrusted;
mod weak;

#[cfg(test)]
mod tests;

pub use checks::{Checks, InvalidCheck};
use row::{Condition, shows_a_peer};
pub use row::{Row, Value};

/// The conditions, except for the words of the problems, which are conditions as well.
pub const CHECKS: &[Row] = &[
    error::ROW,
    untrusted::ROW,
    expires_in::ROW,
    min_tls::ROW,
    weak::ROW,
    no_pq::ROW,
    no_staple::ROW,
    pin::ROW,
    changed::ROW,
    profile::ROW,
];
