//! Limits how many questions wait in the socket of a name server.
//!
//! On Linux, a socket whose owner asks for no more room takes 277 small datagrams (`net.core.rmem_default`,
//! 208 KiB), and fewer from some network cards. What comes while it is full is lost, and is asked again only
//! when its try is over. So few questions are on their way at the same time. One that has been on its way
//! for a while is taken to be read: the server waits for others, as resolvers do for most names.
//!
//! How long this takes is told by the answers. As long as they all take as long as the quickest one, the
//! server reads at once. If they take longer, questions may wait in its socket. If they do not come, more time
//! is allowed, until fewer than one of about 90 do not.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Questions that are on their way at most.
pub(super) const MOST: usize = 128;

/// How long a question is on its way at most, in microseconds. With `MOST`, a server that reads at once gets
/// 64,000 questions a second, any other one 6,400, and one that loses questions 800.
const SHORTEST: u32 = 2_000;
const LONG: u32 = 20_000;
const LONGEST: u32 = 160_000;

/// An answer counts as one of so many, and as one of fewer when it took longer than those before: questions
/// queue up quickly.
const ANSWERS: u32 = 64;
const ANSWERS_WHILE_LONGER: u32 = 8;

/// The questions to one server that it may not have read yet.
pub(super) struct Unread {
    places: Semaphore,
    /// The time of the quickest answer, in microseconds, like all that follows.
    quickest: AtomicU32,
    /// How much longer than that the latest answers took, on average.
    longer: AtomicU32,
    /// How long a question may be on its way at most; more than `LONG` at a server that loses some.
    most: AtomicU32,
}

impl Unread {
    pub(super) fn new() -> Self {
        Self {
            places: Semaphore::new(MOST),
            quickest: u32::MAX.into(),
            longer: LONG.into(),
            most: LONG.into(),
        }
    }

    /// Waits until a question may be sent. It is on its way until the place is dropped.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so this does not fail.
        self.places.acquire().await.ok()
    }

    /// After this time, a question is taken to be read.
    pub(super) fn limit(&self) -> Duration {
        let longer = self.longer.load(Ordering::Relaxed);
        let most = self.most.load(Ordering::Relaxed);
        Duration::from_micros((2 * longer).clamp(SHORTEST, most).into())
    }

    /// A question was answered after this time.
    //
    // Of two changes at the same time one may be lost. That changes little.
    pub(super) fn answered(&self, after: Duration) {
        let after = u32::try_from(after.as_micros()).unwrap_or(u32::MAX);
        let quickest = self.quickest.fetch_min(after, Ordering::Relaxed).min(after);
        let longer = self.longer.load(Ordering::Relaxed);
        let this = (after - quickest).min(LONGEST);
        let longer = match this.checked_sub(longer) {
            Some(growth) => longer + growth / ANSWERS_WHILE_LONGER,
            None => longer - (longer - this) / ANSWERS,
        };
        self.longer.store(longer, Ordering::Relaxed);
        let most = self.most.load(Ordering::Relaxed);
        if most > LONG {
            self.most.store((most - most / ANSWERS).max(LONG), Ordering::Relaxed);
        }
    }

    /// A question got no answer in time. It may have been lost.
    pub(super) fn unanswered(&self) {
        let most = self.most.load(Ordering::Relaxed);
        self.most.store((2 * most).min(LONGEST), Ordering::Relaxed);
        self.longer.store(LONGEST, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(micros: u32) -> Duration {
        Duration::from_micros(micros as u64)
    }

    #[test]
    fn answers_that_take_longer_allow_more_time() {
        let unread = Unread::new();
        assert_eq!(unread.limit(), micros(LONG));
        // A server far away that reads at once.
        (0..1000).for_each(|_| unread.answered(micros(50_000)));
        assert_eq!(unread.limit(), micros(SHORTEST));
        // Questions queue up.
        (0..1000).for_each(|_| unread.answered(micros(55_000)));
        assert!((micros(8_000)..=micros(11_000)).contains(&unread.limit()), "{:?}", unread.limit());
        (0..1000).for_each(|_| unread.answered(Duration::from_secs(5)));
        assert_eq!(unread.limit(), micros(LONG));
    }

    #[test]
    fn silence_allows_more_time_and_answers_take_it_back() {
        let unread = Unread::new();
        (0..1000).for_each(|_| unread.answered(micros(50_000)));
        unread.unanswered();
        assert_eq!(unread.limit(), micros(2 * LONG));
        (0..100).for_each(|_| unread.unanswered());
        assert_eq!(unread.limit(), micros(LONGEST));
        // One silence in 100 answers does not add up.
        for _ in 0..100 {
            (0..100).for_each(|_| unread.answered(micros(50_000)));
            unread.unanswered();
        }
        assert_eq!(unread.limit(), micros(2 * LONG));
        (0..1000).for_each(|_| unread.answered(micros(50_000)));
        assert_eq!(unread.limit(), micros(SHORTEST));
    }
}
