//! The TLS cipher suites registry.

use std::sync::LazyLock;

/// Every suite that IANA names, signalling values included, sorted by number.
pub(super) static SUITES: LazyLock<Vec<(u16, &str)>> = LazyLock::new(|| {
    let rows = include_str!("suites.txt").lines().filter_map(|row| row.split_once(' '));
    rows.filter_map(|(number, name)| Some((u16::from_str_radix(number, 16).ok()?, name))).collect()
});
