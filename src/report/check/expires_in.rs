//! `expires-in=30d`, `expires-in=30%`: the path ends within that time.

use std::time::{Duration, SystemTime};

use super::{Row, Value};
use crate::report::record::Presented;

pub(super) const ROW: Row = Row {
    name: "expires-in",
    value: Value::Required("30d"),
    help: "the path ends within that time (or `30%` of the leaf's lifetime), or has ended",
    make: |value| {
        let within = Within::parse(value)?;
        Ok(Box::new(move |record| {
            let now = SystemTime::from(record.time);
            record.presented().any(|presented| {
                let span = match within {
                    Within::Time(span) => Some(span),
                    Within::Share(share) => lifetime(presented).map(|time| time.mul_f64(share)),
                };
                end(presented).is_some_and(|end| match end.duration_since(now) {
                    Ok(left) => span.is_some_and(|span| left < span),
                    Err(_has_ended) => true,
                })
            })
        }))
    },
};

enum Within {
    Time(Duration),
    /// Of the leaf's lifetime: between 0 and 1.
    Share(f64),
}

impl Within {
    fn parse(value: &str) -> Result<Self, String> {
        if let Some(percent) = value.strip_suffix('%') {
            let percent = percent.trim_end().parse::<f64>();
            return match percent {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Share(percent / 100.0)),
                _ => Err("not a share; write a number from 0 to 100, such as 30%".to_owned()),
            };
        }
        if value.bytes().all(|byte| byte.is_ascii_digit()) {
            // Elsewhere that is seconds. Whoever writes it here means days, and would be told of
            // certificates that end within half a minute.
            return Err(format!("a number without a unit; write {value}d for days, or {value}s"));
        }
        humantime::parse_duration(value)
            .map(Self::Time)
            .map_err(|_error| "not a time; write 30d, 36h or 30%".to_owned())
    }
}

/// When the path ends. Where there is no verdict, the leaf.
fn end(presented: Presented<'_>) -> Option<SystemTime> {
    let path = presented.trust.and_then(|trust| trust.not_after.as_deref());
    let leaf = presented.cert.and_then(|cert| cert.not_after.as_deref());
    // What cannot be read is before 1970, and ended as surely as in 1970.
    path.or(leaf).map(|text| moment(text).unwrap_or(SystemTime::UNIX_EPOCH))
}

fn lifetime(presented: Presented<'_>) -> Option<Duration> {
    let cert = presented.cert?;
    let [from, until] = [&cert.not_before, &cert.not_after].map(|text| text.as_deref());
    match moment(from?) {
        // A certificate that ends before it begins, or before 1970, has no lifetime.
        Some(from) => moment(until?)?.duration_since(from).ok(),
        None => Some(Duration::from_secs(86_400 * u64::try_from(cert.lifetime_days?).ok()?)),
    }
}

/// `None` before 1970: humantime reads nothing of that.
fn moment(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}
