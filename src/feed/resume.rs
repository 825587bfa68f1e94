//! The targets that an earlier run has finished, and the check that they belong to this list.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use roaring::RoaringTreemap;

use crate::escape::{escaped_lossy, is_plain, without_formula};
use crate::feed::input::Line;
use crate::feed::shard::Shard;
use crate::limits::ECHO_LIMIT;
use crate::plural::count;

/// The number of positions in a block. The echoes of a block are compared as one sum of hashes.
const BLOCK: u64 = 1024;

/// The number of characters of an echo that are compared. An escape that begins within them ends
/// within [`ECHO_LIMIT`], so formats that cut echoes at different places still compare equal.
const COMPARED: usize = ECHO_LIMIT - 16;

/// The targets that an earlier run has finished: a bit for each target of the shard.
#[derive(Debug, Default)]
pub struct Done {
    shard: Shard,
    /// Positions within the shard.
    positions: RoaringTreemap,
    /// A finished target that is not in the shard.
    stray: Option<u64>,
    /// The comparison with the input. `None` once the input is known to be the same list.
    check: Option<Check>,
}

/// The state of the comparison with the input.
#[derive(Debug, Default)]
struct Check {
    /// The hashes of the finished targets, added up by block of positions.
    sums: HashMap<u64, u64>,
    /// The end (exclusive) of the block that the input has reached.
    next: u64,
    /// How many finished targets of that block the input has not reached yet.
    left: u64,
    /// The hashes of those targets, added up.
    sum: u64,
    /// Unfinished targets of that block. They are dialled only once the block has been compared.
    held: Vec<Line>,
}

/// The input is not the list that the finished targets come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OtherList {
    /// The input has other targets at these numbers.
    Differs {
        /// The first number of the block that differs.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A finished target is of another shard.
    OtherShard {
        /// Its number.
        number: u64,
    },
    /// The input ended before all finished targets were found in it.
    Ends {
        /// How many were not found.
        missing: u64,
    },
}

impl Done {
    /// An empty set of finished targets for this shard.
    pub fn of(shard: Shard) -> Self {
        Self { shard, ..Self::default() }
    }

    /// Adds a finished target. Idempotent.
    pub fn add(&mut self, number: u64, target: &str) {
        let Some(position) = self.shard.position(number) else {
            self.stray.get_or_insert(number);
            return;
        };
        if self.positions.insert(position) {
            let sums = &mut self.check.get_or_insert_default().sums;
            let sum = sums.entry(position / BLOCK).or_default();
            *sum = sum.wrapping_add(hash(number, target));
        }
    }

    /// How many targets are finished.
    pub fn count(&self) -> u64 {
        self.positions.len() + u64::from(self.stray.is_some())
    }

    /// Hands `line` on to `take` unless it is finished. Returns false when `take` wants no more.
    ///
    /// Lines belong to the shard and come in the order of their numbers. Until the list is known to
    /// be the right one, the lines of each block of 1,024 positions are held back until the block
    /// is compared.
    ///
    /// # Errors
    /// The line belongs to another list. Nothing of its block is handed on.
    pub fn pass(
        &mut self,
        line: Line,
        take: &mut dyn FnMut(Line) -> bool,
    ) -> Result<bool, OtherList> {
        let number = line.place.number;
        self.check_shard()?;
        let position = self.shard.position(number).ok_or(OtherList::OtherShard { number })?;
        let is_done = self.positions.contains(position);
        let Some(check) = &mut self.check else {
            return Ok(is_done || take(line));
        };
        if position >= check.next {
            check.enter(position / BLOCK, &self.positions, self.shard)?;
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
                    (0, _) => Err(check.differs_before(check.next, self.shard)),
                    _ => Ok(true),
                }
            }
        }
    }

    /// Ends the comparison at the end of the input. From now on the list is known to be the right
    /// one.
    ///
    /// # Errors
    /// Some finished targets were not found in the input.
    pub fn finish(&mut self) -> Result<(), OtherList> {
        self.check_shard()?;
        if let Some(check) = &self.check {
            let missing = check.left + self.positions.range_cardinality(check.next..);
            if missing > 0 {
                return Err(OtherList::Ends { missing });
            }
        }
        self.check = None;
        Ok(())
    }

    fn check_shard(&self) -> Result<(), OtherList> {
        self.stray.map_or(Ok(()), |number| Err(OtherList::OtherShard { number }))
    }
}

impl Check {
    fn enter(
        &mut self,
        block: u64,
        positions: &RoaringTreemap,
        shard: Shard,
    ) -> Result<(), OtherList> {
        let start = block * BLOCK;
        if self.left > 0 || positions.range_cardinality(self.next..start) > 0 {
            return Err(self.differs_before(start, shard));
        }
        self.next = start + BLOCK;
        self.left = positions.range_cardinality(start..self.next);
        self.sum = self.sums.remove(&block).unwrap_or_default();
        Ok(())
    }

    fn differs_before(&self, end: u64, shard: Shard) -> OtherList {
        let first = shard.number(self.next.saturating_sub(BLOCK));
        OtherList::Differs { first, last: shard.number(end - 1) }
    }
}

fn hash(number: u64, target: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(number);
    hasher.write(compared(target).as_bytes());
    hasher.finish()
}

/// The part of a target's echo that is hashed. It is the same for a line of the input, which is
/// not escaped, and for a record, whose echo may be escaped (text, CSV) and cut.
fn compared(target: &str) -> Cow<'_, str> {
    let is_formula = target.starts_with(|c: char| !c.is_alphanumeric());
    if target.len() <= COMPARED && !is_formula && target.chars().all(is_plain) {
        return Cow::Borrowed(target);
    }
    let escaped = without_formula(escaped_lossy(target.as_bytes(), ECHO_LIMIT));
    Cow::Owned(escaped.chars().take(COMPARED).collect())
}

impl fmt::Display for OtherList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { first, last } => {
                write!(f, "targets {first} to {last} of the output are not those of the input")
            }
            Self::OtherShard { number } => {
                write!(f, "target {number} of the output is of another --shard")
            }
            Self::Ends { missing } => {
                write!(f, "{} of the output not in the input", count(*missing, "target"))
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
        for wrong in [1, 1024, 1025, 1500, 2048] {
            let mut done = done((1..3000).filter(|number| number % 3 != 0).chain([wrong]));
            let lines =
                (1..3000).map(|number| (number, target(number + u64::from(number == wrong))));
            let (taken, end) = passed(&mut done, lines);
            let first = (wrong - 1) / BLOCK * BLOCK + 1;
            assert_eq!(end, Err(OtherList::Differs { first, last: first + BLOCK - 1 }));
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
    fn positions_are_counted_within_the_shard() {
        let shard: Shard = "3/1000".parse().unwrap();
        let numbers = |count| (0..count).map(|position| position * 1000 + 4);
        let mut done = Done::of(shard);
        numbers(3000).for_each(|number| done.add(number, &target(number)));
        assert_eq!((done.count(), done.positions.max()), (3000, Some(2999)));
        assert_eq!(done.check.as_ref().unwrap().sums.len(), 3);
        let other = list(numbers(3000)).map(|(number, text)| match number {
            2_000_004 => (number, "other.test".to_owned()),
            _ => (number, text),
        });
        let end = passed(&mut done, other).1;
        assert_eq!(end, Err(OtherList::Differs { first: 1_024_004, last: 2_047_004 }));

        let mut done = Done::of(shard);
        numbers(3000).for_each(|number| done.add(number, &target(number)));
        let (taken, end) = passed(&mut done, list(numbers(3002)));
        assert_eq!((taken, end), (vec![3_000_004, 3_001_004], Ok(())));
    }

    #[test]
    fn a_finished_target_of_another_shard_is_an_error_at_once() {
        let mut done = Done::of("3/1000".parse().unwrap());
        done.add(5, "a.test");
        let stray = Err(OtherList::OtherShard { number: 5 });
        assert_eq!(done.count(), 1, "there is something to compare");
        assert_eq!(passed(&mut done, list([4])), (vec![], stray));
        assert_eq!(done.finish(), stray);
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
        assert_eq!([taken(3), taken(4), taken(1025)], [vec![1, 2], vec![4], vec![1025]]);
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
        fn escaping_and_cutting_do_not_matter(
            text in "\\PC{0,40}|[\0-\u{2fff}]{0,300}|[=+@\u{ff1d}-][\0-\u{2fff}]{220,300}",
        ) {
            let cut = escaped_lossy(text.as_bytes(), ECHO_LIMIT);
            let escaped = escaped(&text);
            prop_assert_eq!(compared(&text), compared(&cut));
            prop_assert_eq!(compared(&text), compared(&escaped));
            let cells = [cut, escaped].map(without_formula);
            cells.iter().try_for_each(|cell| {
                prop_assert_eq!(compared(&text), compared(cell));
                Ok(())
            })?;
        }
    }
}
