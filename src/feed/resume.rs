//! What an earlier run has finished, and whether that is part of this list.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use roaring::RoaringTreemap;

use crate::escape::{escaped_lossy, is_plain};
use crate::feed::input::Line;
use crate::limits::ECHO_LIMIT;

/// Targets whose echoes are compared together, by the sum of their hashes.
const BLOCK: u64 = 1024;

/// Characters of an echo that are compared: an escape that begins within them ends within
/// [`ECHO_LIMIT`], so that it does not matter where a format cuts.
const COMPARED: usize = ECHO_LIMIT - 16;

/// The targets that an earlier run has finished: a bit each.
#[derive(Debug, Default)]
pub struct Done {
    numbers: RoaringTreemap,
    /// Until the input has been found to be the list that the targets are of.
    check: Option<Check>,
}

/// How far the comparison with the input has come.
#[derive(Debug, Default)]
struct Check {
    /// The hashes of the finished targets, added up by block.
    sums: HashMap<u64, u64>,
    /// The first number beyond the block that the input is in.
    next: u64,
    /// Finished targets of that block that the input has not come by yet.
    left: u64,
    /// What the sum lacks without them.
    sum: u64,
    /// Unfinished targets of that block: not to be dialled before the block is found to be right.
    held: Vec<Line>,
}

/// The input is not the list that the finished targets are of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OtherList {
    /// There are other targets under these numbers.
    Differs {
        /// The first number of the block that differs.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The input ends before it has come by so many finished targets.
    Ends {
        /// How many.
        missing: u64,
    },
}

impl Done {
    /// Takes note of a finished target; more than once is as good as once.
    pub fn add(&mut self, number: u64, target: &str) {
        if self.numbers.insert(number) {
            let sums = &mut self.check.get_or_insert_default().sums;
            let sum = sums.entry(number / BLOCK).or_default();
            *sum = sum.wrapping_add(hash(number, target));
        }
    }

    /// How many targets are finished.
    pub fn count(&self) -> u64 {
        self.numbers.len()
    }

    /// Hands `line` on to `take` unless it is finished; false when nobody wants any more.
    ///
    /// Lines come in order of their numbers. As long as their list is not known to be the right one,
    /// those of the same 1,024 numbers wait for each other.
    ///
    /// # Errors
    /// The line belongs to another list; nothing is handed on from where that begins.
    pub fn pass(
        &mut self,
        line: Line,
        take: &mut dyn FnMut(Line) -> bool,
    ) -> Result<bool, OtherList> {
        let number = line.place.number;
        let is_done = self.numbers.contains(number);
        let Some(check) = &mut self.check else {
            return Ok(is_done || take(line));
        };
        if number >= check.next {
            check.enter(number / BLOCK, &self.numbers)?;
        }
        match (is_done, check.left) {
            (false, 0) => Ok(take(line)),
            (false, _) => {
                check.held.push(line);
                Ok(true)
            }
            (true, _) => {
                check.left = check.left.saturating_sub(1);
                check.sum = check.sum.wrapping_sub(hash(number, line.first_field()));
                match (check.left, check.sum) {
                    (0, 0) => Ok(check.held.drain(..).all(&mut *take)),
                    (0, _) => Err(check.differs_before(check.next)),
                    _ => Ok(true),
                }
            }
        }
    }

    /// The input is at its end; from now on it is known to be the right list.
    ///
    /// # Errors
    /// The input has not come by all that is finished.
    pub fn finish(&mut self) -> Result<(), OtherList> {
        if let Some(check) = &self.check {
            let missing = check.left + self.numbers.range_cardinality(check.next..);
            if missing > 0 {
                return Err(OtherList::Ends { missing });
            }
        }
        self.check = None;
        Ok(())
    }
}

impl Check {
    fn enter(&mut self, block: u64, numbers: &RoaringTreemap) -> Result<(), OtherList> {
        let start = block * BLOCK;
        if self.left > 0 || numbers.range_cardinality(self.next..start) > 0 {
            return Err(self.differs_before(start));
        }
        self.next = start + BLOCK;
        self.left = numbers.range_cardinality(start..self.next);
        self.sum = self.sums.remove(&block).unwrap_or_default();
        Ok(())
    }

    fn differs_before(&self, end: u64) -> OtherList {
        OtherList::Differs { first: self.next.saturating_sub(BLOCK).max(1), last: end - 1 }
    }
}

fn hash(number: u64, target: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(number);
    hasher.write(compared(target).as_bytes());
    hasher.finish()
}

/// What is the same of a target in the input, where it is not escaped yet, and in a record, where it
/// may be, and cut.
fn compared(target: &str) -> Cow<'_, str> {
    if target.len() <= COMPARED && target.chars().all(is_plain) {
        return Cow::Borrowed(target);
    }
    Cow::Owned(escaped_lossy(target.as_bytes(), ECHO_LIMIT).chars().take(COMPARED).collect())
}

impl fmt::Display for OtherList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { first, last } => {
                write!(f, "targets {first} to {last} of the output are not those of the input")
            }
            Self::Ends { missing } => {
                write!(f, "{missing} targets of the output are not in the input")
            }
        }
    }
}

impl std::error::Error for OtherList {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::escape::escaped;
    use crate::feed::input::Place;

    fn line(number: u64, text: &str) -> Line {
        Line { place: Place { line: number, number }, text: Ok(text.to_owned()) }
    }

    fn target(number: u64) -> String {
        format!("t{number}.test:443")
    }

    fn done(numbers: impl IntoIterator<Item = u64>) -> Done {
        let mut done = Done::default();
        for number in numbers {
            done.add(number, &target(number));
        }
        done
    }

    /// What is handed on of a list, and how that ends.
    fn passed(
        done: &mut Done,
        lines: impl IntoIterator<Item = (u64, String)>,
    ) -> (Vec<u64>, Result<(), OtherList>) {
        let mut taken = Vec::new();
        for (number, text) in lines {
            let result = done.pass(line(number, &text), &mut |line| {
                taken.push(line.place.number);
                true
            });
            if let Err(error) = result {
                return (taken, Err(error));
            }
        }
        let end = done.finish();
        (taken, end)
    }

    fn list(numbers: impl IntoIterator<Item = u64>) -> impl Iterator<Item = (u64, String)> {
        numbers.into_iter().map(|number| (number, target(number)))
    }

    #[test]
    fn of_another_list_nothing_is_handed_on_from_its_first_block() {
        for wrong in [1, 1023, 1024, 1500, 2047] {
            let mut done = done((1..3000).filter(|number| number % 3 != 0).chain([wrong]));
            let lines =
                (1..3000).map(|number| (number, target(number + u64::from(number == wrong))));
            let (taken, end) = passed(&mut done, lines);
            let block = wrong / BLOCK;
            let first = (block * BLOCK).max(1);
            assert_eq!(end, Err(OtherList::Differs { first, last: (block + 1) * BLOCK - 1 }));
            assert!(taken.iter().all(|number| *number < first), "{wrong}: {taken:?}");
            assert_eq!(taken.len() as u64, (first - 1) / 3);
        }
    }

    #[test]
    fn a_shorter_list_is_another_and_a_longer_one_is_not() {
        let end = passed(&mut done(1..=2000), list(1..=1990)).1;
        assert_eq!(end, Err(OtherList::Ends { missing: 10 }));
        let end = passed(&mut done([5, 90_000]), list(1..=100)).1;
        assert_eq!(end, Err(OtherList::Ends { missing: 1 }));
        let (taken, end) = passed(&mut done(1..=2000), list(1..=2100));
        assert_eq!((taken, end), ((2001..=2100).collect(), Ok(())));
    }

    #[test]
    fn other_shards_are_other_lists() {
        let shard = |index: u64, count| (1..9000).filter(move |number| number % count == index);
        for count in [2, 7, 4000] {
            let end = passed(&mut done(shard(0, count).take(50)), list(shard(0, count))).1;
            assert_eq!(end, Ok(()), "{count}");
            let (taken, end) = passed(&mut done(shard(0, count).take(50)), list(shard(1, count)));
            assert!(end.is_err(), "{count}");
            assert!(taken.iter().all(|number| *number < count), "{count}: {taken:?}");
        }
    }

    #[test]
    fn nothing_waits_that_need_not() {
        let mut done = done([3, 2050]);
        let mut taken = |number| {
            let mut taken = Vec::new();
            let take = &mut |line: Line| {
                taken.push(line.place.number);
                true
            };
            done.pass(line(number, &target(number)), take).unwrap();
            taken
        };
        assert_eq!([taken(1), taken(2)], [[0; 0]; 2]);
        assert_eq!([taken(3), taken(4), taken(1024)], [vec![1, 2], vec![4], vec![1024]]);
        assert_eq!([taken(2049), taken(2050)], [vec![], vec![2049]]);
    }

    #[test]
    fn who_wants_no_more_gets_no_more() {
        let mut done = done([4]);
        let mut taken = 0;
        for number in 1..4 {
            assert_eq!(done.pass(line(number, &target(number)), &mut |_| unreachable!()), Ok(true));
        }
        let refuse = &mut |_| {
            taken += 1;
            false
        };
        assert_eq!(done.pass(line(4, &target(4)), refuse), Ok(false));
        assert_eq!(taken, 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_is_not_done_is_handed_on_once_and_in_order(
            finished in proptest::collection::btree_set(1_u64..5000, 0..600),
            is_known in any::<bool>(),
        ) {
            let mut done = done(finished.iter().copied());
            prop_assert_eq!(done.count(), finished.len() as u64);
            if is_known {
                passed(&mut done, list(1..5000)).1.unwrap();
            }
            let (taken, end) = passed(&mut done, list(1..5000));
            prop_assert_eq!(end, Ok(()));
            prop_assert_eq!(taken, (1..5000).filter(|n| !finished.contains(n)).collect::<Vec<_>>());
        }

        #[test]
        fn escaping_and_cutting_do_not_matter(text in "\\PC{0,40}|[\0-\u{2fff}]{0,300}") {
            let cut = escaped_lossy(text.as_bytes(), ECHO_LIMIT);
            let escaped = escaped(&text);
            prop_assert_eq!(compared(&text), compared(&cut));
            prop_assert_eq!(compared(&text), compared(&escaped));
        }
    }
}
