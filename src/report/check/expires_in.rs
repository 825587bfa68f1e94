//! `expires-in=30d`: the leaf's validity ends within that time.

use std::time::SystemTime;

use super::Row;

pub(super) const ROW: Row = Row {
    name: "expires-in",
    value: Some("30d"),
    help: "the leaf expires within that time, or has expired",
    make: |value| {
        let within = humantime::parse_duration(value)
            .map_err(|_error| "not a time; write 30d or 36h".to_owned())?;
        Ok(Box::new(move |record| {
            let not_after = record.cert.as_ref().and_then(|cert| cert.not_after.as_deref());
            let end = not_after.and_then(|text| humantime::parse_rfc3339(text).ok());
            let soon = SystemTime::from(record.time).checked_add(within);
            end.zip(soon).is_some_and(|(end, soon)| end < soon)
        }))
    },
};
