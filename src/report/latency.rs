//! The distribution of a duration in constant memory.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

/// The longest time that is told from longer ones, in microseconds: more than a day.
const LONGEST: u64 = 1 << 37;
/// Decimal digits that are kept of a time: it is known to within 1 %.
const DIGITS: u8 = 2;

/// The upper ends of coarse buckets, in seconds; the last has none.
const ENDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The distribution of a time.
#[derive(Clone, Debug)]
pub struct Latency {
    /// In microseconds. `None` cannot happen, because the bounds of the histogram are valid.
    fine: Option<Histogram<u64>>,
    coarse: [u64; ENDS.len() + 1],
    count: u64,
    sum: f64,
    max: f64,
}

/// What most, and the slowest, took: in milliseconds, to within 1 %, `max` exactly.
#[derive(Clone, Copy, Debug, Default, JsonSchema, PartialEq, Serialize)]
pub struct Percentiles {
    /// Times that were recorded; without any, there is nothing else.
    pub count: u64,
    /// Half took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// Nine of ten took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// 99 of a hundred took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
    /// None took longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

impl Default for Latency {
    fn default() -> Self {
        // The bounds are constants, so there is a histogram; without one there would be no percentiles.
        let fine = Histogram::new_with_max(LONGEST, DIGITS).ok();
        Self { fine, coarse: [0; _], count: 0, sum: 0.0, max: 0.0 }
    }
}

impl Latency {
    /// Records a time in milliseconds.
    pub fn record(&mut self, milliseconds: f64) {
        let coarse = ENDS.partition_point(|end| *end < milliseconds / 1000.0);
        if let Some(count) = self.coarse.get_mut(coarse) {
            *count += 1;
        }
        if let Some(fine) = &mut self.fine {
            fine.saturating_record((milliseconds * 1000.0).round() as u64);
        }
        self.count += 1;
        self.sum += milliseconds;
        self.max = self.max.max(milliseconds);
    }

    /// Times that were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together, in milliseconds.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Exact cumulative counts for a few bounds, from a millisecond to half a minute.
    pub fn at_most(&self) -> impl Iterator<Item = (f64, u64)> {
        ENDS.into_iter().zip(self.coarse).scan(0, |passed, (end, count)| {
            *passed += count;
            Some((end, *passed))
        })
    }

    /// The percentiles so far.
    pub fn percentiles(&self) -> Percentiles {
        let any = self.count > 0;
        let percentile = |percent| self.percentile(percent).filter(|_| any);
        Percentiles {
            count: self.count,
            p50: percentile(50.0),
            p90: percentile(90.0),
            p99: percentile(99.0),
            max: any.then_some(self.max),
        }
    }

    fn percentile(&self, percent: f64) -> Option<f64> {
        let micros = self.fine.as_ref()?.value_at_percentile(percent);
        Some((micros as f64 / 1000.0).min(self.max))
    }
}

impl Serialize for Latency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.percentiles().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_as_precise_as_they_say() {
        for unit in [0.001, 0.37, 12.5, 8000.0] {
            let mut latency = Latency::default();
            (1..=1000).rev().for_each(|n| latency.record(f64::from(n) * unit));
            let found = latency.percentiles();
            for (found, exact) in [(found.p50, 500.0), (found.p90, 900.0), (found.p99, 990.0)] {
                let off = found.unwrap() / (exact * unit) - 1.0;
                // A time itself is only known to the microsecond.
                assert!((-0.001..=0.01).contains(&off), "{unit}: {exact} is off by {off}");
            }
            assert_eq!((found.count, found.max), (1000, Some(1000.0 * unit)));
        }
    }

    #[test]
    fn nothing_is_too_long_to_count() {
        let mut latency = Latency::default();
        latency.record(f64::MAX);
        assert!(latency.percentiles().p50 >= Some(LONGEST as f64 / 1000.0));
        latency.record(30_000.0);
        assert_eq!(latency.at_most().last(), Some((30.0, 1)));
        assert_eq!(latency.count(), 2);
        assert_eq!(Latency::default().percentiles(), Percentiles::default());
    }
}
