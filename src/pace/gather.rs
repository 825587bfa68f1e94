//! Whether a thread lets work gather before it waits for it.
//!
//! Being woken costs a system call on both sides and caches that went cold. A thread that serves a
//! crowd is therefore better off to sleep for a moment and to find many things to do. A client that
//! sends its next line only when it has the answer to the last one must not wait for that.

use std::time::Duration;

/// A wait that was shorter was none: the next thing to do was there already.
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
    /// `None` with fewer targets than a crowd, after a long wait (being woken now and then costs
    /// nothing), and when the last wait was none: this thread is late, and must not sleep.
    pub fn nap(&self, in_work: u64) -> Option<Duration> {
        let came_soon = |wait: &Duration| (NO_WAIT..self.nap).contains(wait);
        let is_crowd = in_work >= self.crowd;
        self.last_wait.filter(came_soon).filter(|_| is_crowd).map(|_| self.nap)
    }

    /// Takes note of how long the last wait was.
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
