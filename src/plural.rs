//! Counts with the right singular or plural.

use std::fmt::Display;

/// `1 target`, `2 targets`, `2 addresses`.
pub fn count(n: impl Display + PartialEq + From<u8>, what: &str) -> String {
    let plural = match what.ends_with('s') {
        _ if n == 1.into() => "",
        true => "es",
        false => "s",
    };
    format!("{n} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!([count(0, "dial"), count(1, "dial")], ["0 dials", "1 dial"]);
        assert_eq!(count(-1_i64, "day"), "-1 days");
        assert_eq!([count(1, "address"), count(2, "address")], ["1 address", "2 addresses"]);
    }
}
