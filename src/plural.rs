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

/// How far an end is away, from the days that are left. They are rounded down: what ended an hour ago has −1.
pub fn days_left(days: i64) -> String {
    match days {
        0 => "less than a day left".to_owned(),
        1.. => format!("{} left", count(days, "day")),
        -1 => "ended less than a day ago".to_owned(),
        _ => format!("ended {} ago", count(days.unsigned_abs() - 1, "day")),
    }
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

    #[test]
    fn days_are_left_or_are_over() {
        for (days, text) in [
            (2, "2 days left"),
            (1, "1 day left"),
            (0, "less than a day left"),
            (-1, "ended less than a day ago"),
            (-2, "ended 1 day ago"),
            (-400, "ended 399 days ago"),
        ] {
            assert_eq!(days_left(days), text);
        }
    }
}
