//! One part of a list that several sweeps share.

use std::fmt;
use std::str::FromStr;

use crate::limits::MAX_SHARDS;

/// Part I of N: the targets whose number satisfies `(number - 1) % N == I`.
///
/// Every target is in exactly one of the N shards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// The whole list.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Whether the target with this number (counted from 1) is in the shard.
    pub fn has(self, number: u64) -> bool {
        number.wrapping_sub(1) % self.count == self.index
    }

    /// The position (counted from 0) of a target within the shard, if it is in it.
    pub fn position(self, number: u64) -> Option<u64> {
        self.has(number).then(|| number.saturating_sub(1) / self.count)
    }

    /// The number of the target at this position.
    pub fn number(self, position: u64) -> u64 {
        position.saturating_mul(self.count).saturating_add(self.index + 1)
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

/// The text is not of the form `I/N`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidShard;

impl FromStr for Shard {
    type Err = InvalidShard;

    /// Parses `I/N`, I from 0 to N-1.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (index, count) = text.split_once('/').ok_or(InvalidShard)?;
        match (index.parse(), count.parse()) {
            (Ok(index), Ok(count)) if index < count && count <= MAX_SHARDS => {
                Ok(Self { index, count })
            }
            _ => Err(InvalidShard),
        }
    }
}

impl fmt::Display for InvalidShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write I/N: I from 0 to N-1, N from 1 to {MAX_SHARDS}")
    }
}

impl std::error::Error for InvalidShard {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_shard() {
        assert_eq!("0/1".parse(), Ok(Shard::WHOLE));
        assert_eq!("999999/1000000".parse(), Ok(Shard { index: 999_999, count: 1_000_000 }));
        for text in ["", "1", "/", "0/0", "1/1", "7/7", "-1/2", "0/1000001", "0/2/3", "a/b"] {
            assert_eq!(text.parse::<Shard>(), Err(InvalidShard), "{text}");
        }
    }

    #[test]
    fn every_target_is_in_one_shard() {
        for count in [1, 2, 7, 64] {
            let shards: Vec<_> = (0..count).map(|index| Shard { index, count }).collect();
            for number in 1..=1000 {
                let holders: Vec<_> = shards.iter().filter(|shard| shard.has(number)).collect();
                assert_eq!(holders.len(), 1, "{number}: {holders:?}");
            }
        }
        assert!(Shard { index: 0, count: 64 }.has(1));
        for shard in [Shard::WHOLE, Shard { index: 3, count: 7 }] {
            for position in 0..100 {
                assert_eq!(shard.position(shard.number(position)), Some(position));
            }
        }
        assert_eq!(Shard { index: 3, count: 7 }.position(3), None);
    }
}
