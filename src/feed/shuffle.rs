//! A bounded window of lines that leave it in a random order.

use crate::feed::input::Line;

/// A window of lines that returns them in random order.
///
/// The same seed gives the same order of the same lines.
#[derive(Debug)]
pub struct Shuffle {
    window: Vec<Line>,
    size: usize,
    random: fastrand::Rng,
}

impl Shuffle {
    /// A window of `size` lines.
    pub fn new(size: usize, seed: u64) -> Self {
        Self { window: Vec::new(), size, random: fastrand::Rng::with_seed(seed) }
    }

    /// Puts a line into the window; takes one out if the window was full.
    pub fn swap(&mut self, line: Line) -> Option<Line> {
        self.window.push(line);
        if self.window.len() > self.size { self.pop() } else { None }
    }

    /// Takes a line out of the window, until it is empty.
    pub fn pop(&mut self) -> Option<Line> {
        let length = self.window.len();
        (length > 0).then(|| self.window.swap_remove(self.random.usize(..length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::input::Place;

    fn order(size: usize, seed: u64, count: u64) -> Vec<u64> {
        let mut shuffle = Shuffle::new(size, seed);
        let line = |number| Line { place: Place { line: number, number }, text: Ok(String::new()) };
        let mut lines: Vec<_> = (1..=count).filter_map(|n| shuffle.swap(line(n))).collect();
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
    fn a_line_leaves_at_most_a_window_early() {
        for (place, number) in (1_u64..).zip(order(10, 1, 500)) {
            assert!(number <= place + 10, "{number} came at {place}");
        }
        assert_eq!(order(1_000_000, 1, 3).len(), 3);
    }
}
