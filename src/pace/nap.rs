//! A short sleep of one thread, which others may end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::thread::futex::{Flags, Timespec, wait, wake};

const AWAKE: u32 = 0;
const NAPPING: u32 = 1;
const ENDED: u32 = 2;

/// Where a thread naps. When several do, the end wakes one of them.
///
/// The time is handed to the kernel as a length. [`std::thread::park_timeout`] hands over the moment of
/// the end, which lies far ahead where libfaketime has moved the clock of this process only: a sweep of
/// `faketime '+30 days' tlsweep` would nap for 30 days.
#[derive(Debug, Default)]
pub struct Nap {
    state: AtomicU32,
}

impl Nap {
    /// A place where nobody naps yet.
    pub const fn new() -> Self {
        Self { state: AtomicU32::new(AWAKE) }
    }

    /// Sleeps for `length`, or until [`Nap::end`] is called. Does not sleep when it was called since the
    /// last nap. May end early.
    pub fn take(&self, length: Duration) {
        let begun =
            self.state.compare_exchange(AWAKE, NAPPING, Ordering::AcqRel, Ordering::Acquire);
        // No length that is in use is too long for the kernel.
        if let (Ok(_), Ok(length)) = (begun, Timespec::try_from(length)) {
            // However it ends, the nap is over.
            let _awake = wait(&self.state, Flags::PRIVATE, NAPPING, Some(&length));
        }
        self.state.store(AWAKE, Ordering::Release);
    }

    /// Ends the nap, or keeps the next one from beginning.
    pub fn end(&self) {
        if self.state.swap(ENDED, Ordering::AcqRel) == NAPPING {
            // Nobody is there to be woken when the nap has just ended by itself.
            let _woken = wake(&self.state, Flags::PRIVATE, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use tokio::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_nap_lasts_as_long_as_it_is_to() {
        let begun = Instant::now();
        // A signal may end it early, so it is not the only one.
        (0..3).for_each(|_| Nap::default().take(Duration::from_millis(20)));
        assert!(begun.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn others_end_it() {
        let nap = Arc::new(Nap::new());
        let napping = thread::spawn({
            let nap = Arc::clone(&nap);
            move || nap.take(LONG)
        });
        while nap.state.load(Ordering::Acquire) != NAPPING {
            thread::yield_now();
        }
        let ended = Instant::now();
        nap.end();
        napping.join().unwrap();
        assert!(ended.elapsed() < LONG / 100, "{:?}", ended.elapsed());
    }

    #[test]
    fn what_ends_before_it_begins_does_not_begin() {
        let nap = Nap::default();
        nap.end();
        nap.take(LONG);
        assert_eq!(nap.state.load(Ordering::Acquire), AWAKE);
    }
}
