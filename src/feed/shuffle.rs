//! A bounded window of lines that leave it in a random order.

use crate::feed::input::Line;
use crate::limits::SHUFFLE_BYTES;

/// A window of lines that returns them in random order.
///
/// The same seed gives the same order of the same lines.
#[derive(Debug)]
pub struct Shuffle {
    window: Vec<Line>,
    size: usize,
    /// Bytes that the lines of the window take.
    bytes: usize,
    seed: u64,
    random: fastrand::Rng,
}

impl Shuffle {
    /// A window of `size` lines, or of fewer if they take more than [`SHUFFLE_BYTES`].
    pub fn new(size: usize, seed: u64) -> Self {
        Self { window: Vec::new(), size, bytes: 0, seed, random: fastrand::Rng::with_seed(seed) }
    }

    /// The seed, with which the order is the same again.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Puts a line into the window.
    pub fn push(&mut self, line: Line) {
        self.bytes += line.bytes();
        self.window.push(line);
    }

    /// Takes a line out of the window if the window holds more than it may.
    pub fn pop_excess(&mut self) -> Option<Line> {
        let is_over = self.window.len() > self.size || self.bytes > SHUFFLE_BYTES;
        if is_over { self.pop() } else { None }
    }

    /// Takes a line out of the window, until it is empty.
    pub fn pop(&mut self) -> Option<Line> {
        let length = self.window.len();
        let line = (length > 0).then(|| self.window.swap_remove(self.random.usize(..length)))?;
        self.bytes = self.bytes.saturating_sub(line.bytes());
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::input::Place;

    fn order(size: usize, seed: u64, count: u64) -> Vec<u64> {
        let mut shuffle = Shuffle::new(size, seed);
        let line = |number| Line { place: Place { line: number, number }, text: Ok(String::new()) };
        let mut lines = Vec::new();
        for number in 1..=count {
            shuffle.push(line(number));
            lines.extend(shuffle.pop_excess());
        }
        lines.extend(std::iter::from_fn(|| shuffle.pop()));
        lines.iter().map(|line| line.place.number).collect()
    }

    #[test]
    fn the_seed_decides_on_the_order_and_nothing_is_lost() {
        let shuffled = order(100, 7, 1000);
        assert_eq!(shuffled, order(100, 7, 1000));
        assert_ne!(shuffled, order(100, 8, 1000));
        let mut sorted = shuffled.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (1..=1000).collect::<Vec<_>>());
        let in_place = (1..).zip(&shuffled).filter(|(place, number)| place == *number).count();
        assert!(in_place < 50, "{in_place} of 1000 stayed where they were");
    }

    #[test]
    fn long_lines_make_the_window_smaller() {
        let mut shuffle = Shuffle::new(1_000_000, 1);
        let line = |number, length| Line {
            place: Place { line: number, number },
            text: Ok("x".repeat(length)),
        };
        let mut left = 0;
        for number in 1..=20_000 {
            // Short ones first, or each long one could leave in exchange for a short one.
            shuffle.push(line(number, if number <= 10_000 { 1 } else { 16_000 }));
            left += std::iter::from_fn(|| shuffle.pop_excess()).count();
            assert!(shuffle.window.iter().map(Line::bytes).sum::<usize>() <= SHUFFLE_BYTES);
        }
        assert_eq!(left + std::iter::from_fn(|| shuffle.pop()).count(), 20_000);
        assert_eq!(shuffle.bytes, 0);
    }

    #[test]
    fn a_line_leaves_at_most_a_window_early() {
        for (place, number) in (1_u64..).zip(order(10, 1, 500)) {
            assert!(number <= place + 10, "{number} came at {place}");
        }
        assert_eq!(order(1_000_000, 1, 3).len(), 3);
    }
}
