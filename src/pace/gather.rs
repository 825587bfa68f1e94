//! Decides whether a thread sleeps briefly before it waits for more work.
//!
//! Each wake-up costs a system call on both sides, and the caches are cold. With many targets in
//! work, a thread saves that by sleeping for a moment and then finding many things to do. A client
//! that sends its next line only after the answer to the last one must not be delayed by this.

use std::time::Duration;

/// A wait shorter than this did not block: the next thing to do was there already.
const NO_WAIT: Duration = Duration::from_micros(20);

/// Decides before each wait whether to sleep first.
#[derive(Clone, Copy, Debug)]
pub struct Gathering {
    crowd: u64,
    nap: Duration,
    last_wait: Option<Duration>,
}

impl Gathering {
    /// Sleeps for `nap` when at least `crowd` targets are in work and something happens more often
    /// than that.
    pub const fn new(crowd: u64, nap: Duration) -> Self {
        Self { crowd, nap, last_wait: None }
    }

    /// How long to sleep before waiting, when so many targets are in work.
    ///
    /// `None` with fewer targets than `crowd`, after a long wait (rare wake-ups cost nothing), and when
    /// the last wait did not block: then this thread is behind and must not sleep.
    pub fn nap(&self, in_work: u64) -> Option<Duration> {
        let came_soon = |wait: &Duration| (NO_WAIT..self.nap).contains(wait);
        let is_crowd = in_work >= self.crowd;
        self.last_wait.filter(came_soon).filter(|_| is_crowd).map(|_| self.nap)
    }

    /// Records how long the last wait was.
    pub fn waited(&mut self, wait: Duration) {
        self.last_wait = Some(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAP: Duration = Duration::from_micros(500);

    fn nap(last_wait: Option<Duration>, in_work: u64) -> bool {
        let mut gathering = Gathering::new(200, NAP);
        last_wait.iter().for_each(|wait| gathering.waited(*wait));
        gathering.nap(in_work).is_some()
    }

    #[test]
    fn a_crowd_is_served_in_batches() {
        assert!(nap(Some(NAP / 2), 200));
        assert!(nap(Some(NAP / 2), 100_000));
    }

    #[test]
    fn few_targets_are_served_one_by_one() {
        assert!(!nap(Some(NAP / 2), 199));
    }

    #[test]
    fn a_lone_lockstep_client_waits_for_nothing() {
        // The output counts one other target in work as a crowd. This client has none.
        let mut gathering = Gathering::new(1, NAP);
        for wait in [NAP / 10, NAP / 2, NAP * 2].repeat(100) {
            gathering.waited(wait);
            assert_eq!(gathering.nap(0), None);
        }
    }

    #[test]
    fn a_thread_that_is_late_does_not_sleep() {
        assert!(!nap(Some(Duration::ZERO), 200));
        assert!(!nap(Some(NAP), 200), "a wake-up now and then costs nothing");
        assert!(!nap(None, 200), "nothing has happened yet");
    }
}
