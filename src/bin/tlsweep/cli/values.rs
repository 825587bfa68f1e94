//! Values of flags: times, bytes, counts.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tlsweep::config;

/// How many things may be done at once.
pub(super) fn at_once(text: &str) -> Result<NonZero<usize>> {
    let number = text.parse().ok().filter(|number: &NonZero<usize>| number.get() <= 1_000_000);
    number.context("not a number from 1 to 1000000")
}

/// How many things may be done in a second.
pub(super) fn per_second(text: &str) -> Result<NonZero<u32>> {
    let number = text.parse().ok().filter(|number: &NonZero<u32>| number.get() <= 1_000_000);
    number.context("not a number from 1 to 1000000")
}

/// A limit: from a millisecond to a day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) Duration);

impl FromStr for Span {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        time(text, config::LIMIT_MAX).map(Self)
    }
}

/// How long a sweep may last: from a millisecond to a year.
pub(super) fn max_time(text: &str) -> Result<Duration> {
    time(text, config::MAX_TIME_MAX)
}

/// A time; a number without a unit is seconds.
fn time(text: &str, max: Duration) -> Result<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let text = if is_number { format!("{text}s") } else { text.to_owned() };
    let time = humantime::parse_duration(&text).context("not a time; write 300ms, 5s or 1m")?;
    if !(Duration::from_millis(1)..=max).contains(&time) {
        bail!("not a time from 1ms to {}", humantime::format_duration(max));
    }
    Ok(time)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes(pub(super) u64);

/// Units of [`Bytes`], the largest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

impl FromStr for Bytes {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()));
        number
            .parse::<u64>()
            .ok()
            .zip(factor)
            .and_then(|(number, (_, factor))| number.checked_mul(*factor))
            .map(Self)
            .context("not a number of bytes; write 4096, 64KiB or 1MiB")
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        let (name, factor) = exact.unwrap_or(&("", 1));
        write!(f, "{}{name}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn bytes_and_spans_read_what_they_write() {
        for text in ["64KiB", "1MiB", "4097", "0"] {
            assert_eq!(text.parse::<Bytes>().unwrap().to_string(), text);
        }
        for text in ["300ms", "5s", "1m"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["", "KiB", "-1", "1.5MiB", "99999999999999999999", "99999999999GiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        for text in ["", "0", "0s", "99999999", "5 parsecs", "2days", "-1s", "1us"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        for (text, seconds) in [("15", 15), ("2m", 120)] {
            assert_eq!(text.parse::<Span>().unwrap().0, Duration::from_secs(seconds));
        }
    }
}
