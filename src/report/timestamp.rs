//! A time of day as it is written: RFC 3339, UTC, to the millisecond.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The last millisecond of the year 9999, after which RFC 3339 has no more.
const LAST: u64 = 253_402_300_799_999;

/// Milliseconds since 1970; what was before that is 1970.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).map_or(LAST, |milliseconds| milliseconds.min(LAST)))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(timestamp.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis((*self).into()).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map(Self::from).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_the_millisecond_and_back() {
        let written = r#""2026-11-23T04:05:06.789Z""#;
        let timestamp: Timestamp = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&timestamp).unwrap(), written);
        let finer = SystemTime::from(timestamp) + Duration::from_micros(999);
        assert_eq!(Timestamp::from(finer), timestamp);
    }

    #[test]
    fn what_cannot_be_written_is_as_near_as_can_be() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp::from(before).to_string(), "1970-01-01T00:00:00.000Z");
        let after = UNIX_EPOCH + Duration::from_secs(253_402_300_800);
        assert_eq!(Timestamp::from(after).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn another_text_is_refused() {
        assert!(serde_json::from_str::<Timestamp>(r#""yesterday""#).is_err());
    }
}
