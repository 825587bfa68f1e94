//! How long something took, many times over, in 16 KiB.

use serde::Serialize;

/// Bits that are kept of a time in microseconds besides its first: to within 1.6 %.
const PRECISION: u32 = 6;
/// Up to 2^37 µs, which is more than a day.
const BUCKETS: usize = (37 - PRECISION as usize) << PRECISION;

/// The upper ends of coarse buckets, in seconds; the last has none.
const ENDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The distribution of a time.
#[derive(Clone, Debug)]
pub struct Latency {
    buckets: Vec<u64>,
    coarse: [u64; ENDS.len() + 1],
    count: u64,
    sum: f64,
    max: f64,
}

/// What most, and the slowest, took: in milliseconds, to within 1.6 %, `max` exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
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
        Self { buckets: vec![0; BUCKETS], coarse: [0; _], count: 0, sum: 0.0, max: 0.0 }
    }
}

impl Latency {
    /// Records a time in milliseconds.
    pub fn record(&mut self, milliseconds: f64) {
        let coarse = ENDS.partition_point(|end| *end < milliseconds / 1000.0);
        let buckets = [self.buckets.get_mut(bucket_of(milliseconds)), self.coarse.get_mut(coarse)];
        buckets.into_iter().flatten().for_each(|bucket| *bucket += 1);
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

    /// How many took no longer than so many seconds, exactly, for a few of them from a millisecond
    /// to half a minute.
    pub fn at_most(&self) -> impl Iterator<Item = (f64, u64)> {
        ENDS.into_iter().zip(self.coarse).scan(0, |passed, (end, count)| {
            *passed += count;
            Some((end, *passed))
        })
    }

    /// The percentiles so far.
    pub fn percentiles(&self) -> Percentiles {
        let any = self.count > 0;
        let percentile = |percent| any.then(|| self.percentile(percent));
        Percentiles {
            count: self.count,
            p50: percentile(50),
            p90: percentile(90),
            p99: percentile(99),
            max: any.then_some(self.max),
        }
    }

    fn percentile(&self, percent: u64) -> f64 {
        let rank = (self.count * percent).div_ceil(100);
        let mut passed = 0;
        let place = self.buckets.iter().position(|bucket| {
            passed += bucket;
            passed >= rank
        });
        place.map_or(self.max, |place| end_of(place).min(self.max))
    }
}

impl Serialize for Latency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.percentiles().serialize(serializer)
    }
}

/// One bucket for each microsecond at first; twice as wide whenever the time has doubled.
fn bucket_of(milliseconds: f64) -> usize {
    let micros = (milliseconds * 1000.0).round() as u64;
    let shift = micros.max(1 << PRECISION).ilog2() - PRECISION;
    let bucket = (u64::from(shift) << PRECISION) + (micros >> shift);
    usize::try_from(bucket).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The longest time of a bucket, in milliseconds.
fn end_of(bucket: usize) -> f64 {
    let shift = (bucket >> PRECISION).saturating_sub(1);
    let next = (bucket - (shift << PRECISION) + 1) << shift;
    (next - 1) as f64 / 1000.0
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
                assert!((-0.001..=0.016).contains(&off), "{unit}: {exact} is off by {off}");
            }
            assert_eq!((found.count, found.max), (1000, Some(1000.0 * unit)));
        }
    }

    #[test]
    fn every_bucket_begins_where_another_ends() {
        for bucket in 0..BUCKETS - 1 {
            assert_eq!(bucket_of(end_of(bucket)), bucket);
            assert_eq!(bucket_of(end_of(bucket) + 0.001), bucket + 1);
        }
    }

    #[test]
    fn nothing_is_too_long_to_count() {
        let mut latency = Latency::default();
        latency.record(f64::MAX);
        assert_eq!(latency.percentiles().p50, Some(end_of(BUCKETS - 1)));
        latency.record(30_000.0);
        assert_eq!(latency.at_most().last(), Some((30.0, 1)));
        assert_eq!(latency.count(), 2);
        assert_eq!(Latency::default().percentiles(), Percentiles::default());
    }
}
