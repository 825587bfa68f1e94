//! The most frequent of any number of labels, in bounded memory.

use std::collections::HashMap;

/// Counts labels by the algorithm of Misra and Gries: exactly as long as there are no more than twice
/// as many as it keeps, and never too high.
#[derive(Debug)]
pub(super) struct Frequent {
    kept: usize,
    counts: HashMap<String, u64>,
    too_low: u64,
}

impl Frequent {
    /// Keeps the `kept` most frequent labels.
    pub(super) fn new(kept: usize) -> Self {
        Self { kept, counts: HashMap::new(), too_low: 0 }
    }

    pub(super) fn add(&mut self, label: &str) {
        match self.counts.get_mut(label) {
            Some(count) => *count += 1,
            None => _ = self.counts.insert(label.to_owned(), 1),
        }
        if self.counts.len() <= 2 * self.kept {
            return;
        }
        let mut counts: Vec<_> = self.counts.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let first_left_out = counts.get(self.kept).copied().unwrap_or_default();
        self.too_low += first_left_out;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(first_left_out);
            *count > 0
        });
    }

    /// By how much a count may be too low.
    pub(super) fn too_low(&self) -> u64 {
        self.too_low
    }

    /// The first `shown` labels, the most frequent first.
    pub(super) fn top(&self, shown: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.counts.iter().map(|(label, n)| (label.as_str(), *n)).collect();
        all.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
        all.truncate(shown);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_while_there_is_room() {
        let mut frequent = Frequent::new(2);
        for label in ["a", "b", "c", "d", "a", "b", "a"] {
            frequent.add(label);
        }
        assert_eq!(frequent.top(3), [("a", 3), ("b", 2), ("c", 1)]);
        assert_eq!(frequent.too_low(), 0);
    }

    #[test]
    fn frequent_labels_survive_any_number_of_others() {
        let mut frequent = Frequent::new(10);
        for number in 0..10_000 {
            frequent.add(&number.to_string());
            if number % 4 == 0 {
                frequent.add("often");
            }
        }
        let (label, count) = frequent.top(1)[0];
        assert_eq!(label, "often");
        assert!(count <= 2_500 && count + frequent.too_low() >= 2_500, "{count}");
        assert!(frequent.counts.len() <= 20);
    }
}
