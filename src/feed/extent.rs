//! How much of a list has been read, in targets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of the reading of a list, which any thread may look at while it goes on.
#[derive(Clone, Debug, Default)]
pub struct Extent(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    /// Bytes of the lines that were handed on.
    position: Arc<AtomicU64>,
    /// Bytes of the line that is being handed on: a range of addresses takes a while.
    line: AtomicU64,
    /// Targets so far, whether or not they are swept.
    numbered: AtomicU64,
    /// Further targets of the line that is being handed on.
    left: AtomicU64,
    /// Targets before the first one that is swept.
    skipped: AtomicU64,
    has_ended: AtomicU64,
}

impl Extent {
    /// Where the bytes that were read are counted.
    pub(super) fn position(&self) -> &Arc<AtomicU64> {
        &self.0.position
    }

    /// A line of so many bytes and targets is handed on.
    pub(super) fn begin_line(&self, bytes: usize, targets: u64) {
        self.0.line.store(bytes as u64 + 1, Ordering::Relaxed);
        self.0.left.store(targets, Ordering::Relaxed);
    }

    /// One of its targets is handed on.
    pub(super) fn pass_target(&self) {
        self.0.numbered.fetch_add(1, Ordering::Relaxed);
        self.0.left.fetch_sub(1, Ordering::Relaxed);
    }

    /// The line is handed on as a whole.
    pub(super) fn end_line(&self) {
        self.0.line.store(0, Ordering::Relaxed);
    }

    /// Nothing more will be read.
    pub(super) fn end(&self) {
        self.0.has_ended.store(1, Ordering::Relaxed);
    }

    /// The first target that is swept is at hand: those before it do not count.
    pub fn begin_sweep(&self) {
        let before = self.0.numbered.load(Ordering::Relaxed).saturating_sub(1);
        self.0.skipped.store(before, Ordering::Relaxed);
    }

    /// The part of the targets that was read, from 0 to 1, of a list of `size` bytes: those that are
    /// still to come are estimated from the bytes that are. 1 only at the end of the list.
    pub fn part_read(&self, size: u64) -> Option<f64> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let Counters { position, line, numbered, left, skipped, has_ended } = &*self.0;
        if has_ended.load(Ordering::Relaxed) > 0 {
            return Some(1.0);
        }
        let numbered = load(numbered);
        let known = numbered + load(left);
        let bytes = load(position) + load(line);
        if known == 0.0 || bytes == 0.0 {
            return None;
        }
        let to_come = (size as f64 - bytes).max(0.0) * known / bytes;
        let before = load(skipped);
        Some(((numbered - before) / (known + to_come - before)).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_little_by_little() {
        let extent = Extent::default();
        assert_eq!(extent.part_read(14), None);
        extent.begin_line(13, 1000);
        for n in 1..=1000 {
            extent.pass_target();
            assert_eq!(extent.part_read(14), Some(f64::from(n) / 1000.0));
        }
    }

    #[test]
    fn of_several_ranges_the_next_ones_are_thought_to_be_alike() {
        let extent = Extent::default();
        let mut last = 0.0;
        for _range in 0..4 {
            extent.begin_line(13, 1000);
            for _target in 0..1000 {
                extent.pass_target();
                let part = extent.part_read(4 * 14).unwrap();
                assert!(part > last && part - last < 0.0003, "{last} to {part}");
                last = part;
            }
            extent.end_line();
            extent.position().fetch_add(14, Ordering::Relaxed);
        }
        extent.end();
        assert_eq!(extent.part_read(4 * 14), Some(1.0));
    }

    #[test]
    fn what_is_done_already_does_not_count() {
        let extent = Extent::default();
        for target in 1..=150 {
            extent.begin_line(9, 1);
            extent.pass_target();
            if target == 101 {
                extent.begin_sweep();
            }
            extent.end_line();
            extent.position().fetch_add(10, Ordering::Relaxed);
        }
        let part = extent.part_read(2000).unwrap();
        assert!((part - 0.5).abs() < 0.001, "{part}");
    }
}
