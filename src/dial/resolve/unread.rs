//! Limits how many questions wait in the socket of a name server.
//!
//! On Linux, a socket whose owner asks for no more room takes 277 small datagrams (`net.core.rmem_default`,
//! 208 KiB), and fewer from some network cards. What comes while it is full is lost, and is asked again only
//! when its try is over. So few questions are on their way at once. A question counts as read after a while,
//! because most resolvers take that long only when they wait for other servers.
//!
//! The answers show how long that while must be. If none takes longer than the quickest one, the server reads
//! at once. If some do, questions may wait in its socket. Silence shows nothing: many names have no answer.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Questions that are on their way at most.
pub(super) const PERMITS: usize = 128;

/// After how long a question counts as read, in microseconds. Even if no answer comes, 64,000 or 6,400
/// questions a second are sent. So a server that reads fewer than 6,400 a second may still lose some. With
/// 1,024 questions that wait for permits, the last one waits for 160 ms.
const SHORTEST: u32 = 2_000;
const LONGEST: u32 = 20_000;

/// The weight of an answer in the average: one part of so many, and more if it took longer than the average,
/// because a queue builds up quickly.
const PARTS: u32 = 64;
const PARTS_IF_LONGER: u32 = 8;

/// The questions to one server that it may not have read yet.
pub(super) struct Unread {
    permits: Semaphore,
    /// The time of the quickest answer, in microseconds.
    quickest: AtomicU32,
    /// How much longer than that the latest answers took on average, in microseconds.
    excess: AtomicU32,
}

impl Unread {
    pub(super) fn new() -> Self {
        Self { permits: Semaphore::new(PERMITS), quickest: u32::MAX.into(), excess: LONGEST.into() }
    }

    /// Waits until a question may be sent. It is on its way until the permit is dropped.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so this does not fail.
        self.permits.acquire().await.ok()
    }

    /// After this time, a question counts as read.
    pub(super) fn limit(&self) -> Duration {
        let excess = self.excess.load(Ordering::Relaxed);
        Duration::from_micros((2 * excess).clamp(SHORTEST, LONGEST).into())
    }

    /// A question was answered after this time.
    pub(super) fn answered(&self, after: Duration) {
        let after = u32::try_from(after.as_micros()).unwrap_or(u32::MAX);
        let quickest = self.quickest.fetch_min(after, Ordering::Relaxed).min(after);
        let this = (after - quickest).min(LONGEST);
        let excess = self.excess.load(Ordering::Relaxed);
        let excess = match this.checked_sub(excess) {
            Some(growth) => excess + growth / PARTS_IF_LONGER,
            None => excess - (excess - this) / PARTS,
        };
        // Of two answers at the same time one may not count, which changes an average little.
        self.excess.store(excess, Ordering::Relaxed);
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
        assert_eq!(unread.limit(), micros(LONGEST));
        // A server far away that reads at once.
        (0..1000).for_each(|_| unread.answered(micros(50_000)));
        assert_eq!(unread.limit(), micros(SHORTEST));
        // Questions queue up.
        (0..100).for_each(|_| unread.answered(micros(55_000)));
        let limit = unread.limit();
        assert!((micros(8_000)..=micros(11_000)).contains(&limit), "{limit:?}");
        (0..100).for_each(|_| unread.answered(Duration::from_secs(5)));
        assert_eq!(unread.limit(), micros(LONGEST));
        (0..1000).for_each(|_| unread.answered(micros(50_000)));
        assert_eq!(unread.limit(), micros(SHORTEST));
    }
}
