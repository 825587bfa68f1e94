//! How many targets are worked on at once.

use std::num::NonZero;
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::limits::{ASIDE_LIMIT, BULKY_LIMIT};

/// The permits of a sweep: one for every target that is dialled, and a bounded number for targets
/// that wait for a name server or for a slot at a busy address.
#[derive(Clone, Debug)]
pub struct Permits(Arc<Semaphores>);

#[derive(Debug)]
struct Semaphores {
    targets: Semaphore,
    dials: Semaphore,
    bulky: Semaphore,
    /// For the one target that may hold more large records than there are places.
    beyond: Semaphore,
    in_order: bool,
}

/// Permission to work on one target. Dropping it gives the permission to another target.
#[derive(Debug)]
pub struct Permit {
    permits: Permits,
    may_dial: bool,
    /// Places for large records that it holds.
    bulky: usize,
    /// Whether the record that is being made may be large.
    may_be_bulky: bool,
    /// Whether each of its records may be large, without a place.
    is_beyond: bool,
}

impl Permits {
    /// Permits for `concurrency` dials at once.
    ///
    /// With a concurrency of 1, no target ever overtakes another: the output keeps the order of the
    /// input.
    pub fn new(concurrency: NonZero<usize>) -> Self {
        let dials = concurrency.get().min(Semaphore::MAX_PERMITS - ASIDE_LIMIT);
        Self(Arc::new(Semaphores {
            targets: Semaphore::new(dials + ASIDE_LIMIT),
            dials: Semaphore::new(dials),
            bulky: Semaphore::new(BULKY_LIMIT),
            beyond: Semaphore::new(1),
            in_order: concurrency == NonZero::<usize>::MIN,
        }))
    }

    /// Waits for permission to work on a target and to dial it.
    pub async fn acquire(&self) -> Permit {
        take(&self.0.targets).await;
        let mut permit = self.undialled();
        permit.reacquire_dial().await;
        permit
    }

    fn undialled(&self) -> Permit {
        let permits = self.clone();
        Permit { permits, may_dial: false, bulky: 0, may_be_bulky: false, is_beyond: false }
    }

    /// Permission to work on a target and to dial it, if there is one now.
    pub fn try_acquire(&self) -> Option<Permit> {
        try_take(&self.0.targets)?;
        let mut permit = self.undialled();
        try_take(&self.0.dials)?;
        permit.may_dial = true;
        Some(permit)
    }
}

impl Permit {
    /// Lets another target dial until [`Permit::reacquire_dial`].
    ///
    /// A target that waits for something other than its peer must not hold up the others, and must
    /// not keep what it waits for the others to give back.
    pub(crate) fn release_dial(&mut self) {
        if !self.permits.0.in_order {
            self.give_back_the_dial();
        }
    }

    /// Waits for permission to dial, unless it is held already.
    pub(crate) async fn reacquire_dial(&mut self) {
        if !self.may_dial {
            take(&self.permits.0.dials).await;
            self.may_dial = true;
        }
    }

    /// Waits for permission to make a large record, which is held until the permit is dropped: when
    /// the output has taken the record. Without it, a reader that stalls would let as many large
    /// records pile up as there are targets.
    ///
    /// A target with several addresses keeps its records to the last. One such target at a time may
    /// go beyond the limit, for if each of them waited for the others, none would end.
    pub(crate) async fn acquire_bulk(&mut self) {
        if self.may_be_bulky || self.is_beyond {
            return;
        }
        tokio::select! {
            biased;
            () = take(&self.permits.0.bulky) => self.bulky += 1,
            () = take(&self.permits.0.beyond), if self.bulky > 0 => self.is_beyond = true,
        }
        self.may_be_bulky = true;
    }

    /// Begins the record of the target's next address.
    pub(crate) fn begin_record(&mut self) {
        self.may_be_bulky = false;
    }

    fn give_back_the_dial(&mut self) {
        if self.may_dial {
            self.permits.0.dials.add_permits(1);
            self.may_dial = false;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back_the_dial();
        self.permits.0.bulky.add_permits(self.bulky);
        if self.is_beyond {
            self.permits.0.beyond.add_permits(1);
        }
        self.permits.0.targets.add_permits(1);
    }
}

/// Takes a permit of a semaphore, to be given back with `add_permits`.
async fn take(semaphore: &Semaphore) {
    // The semaphores are never closed, so this does not fail.
    if let Ok(permit) = semaphore.acquire().await {
        permit.forget();
    }
}

/// Takes a permit of a semaphore if one is free now, to be given back with `add_permits`.
fn try_take(semaphore: &Semaphore) -> Option<()> {
    semaphore.try_acquire().ok().map(SemaphorePermit::forget)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn permits(concurrency: usize) -> Permits {
        Permits::new(NonZero::new(concurrency).unwrap())
    }

    #[tokio::test]
    async fn a_released_dial_goes_to_another_target() {
        let permits = permits(2);
        let mut first = permits.acquire().await;
        let second = permits.acquire().await;
        assert_eq!(permits.0.dials.available_permits(), 0);
        first.release_dial();
        let third = permits.acquire().await;
        drop(second);
        first.reacquire_dial().await;
        assert_eq!(permits.0.dials.available_permits(), 0);
        assert_eq!(permits.0.targets.available_permits(), ASIDE_LIMIT);
        drop((first, third));
        assert_eq!(permits.0.dials.available_permits(), 2);
    }

    #[tokio::test]
    async fn any_concurrency_makes_permits() {
        assert!(permits(usize::MAX).try_acquire().is_some());
    }

    #[tokio::test]
    async fn what_is_not_free_now_is_not_taken() {
        let permits = permits(1);
        let only = permits.try_acquire().unwrap();
        assert!(permits.try_acquire().is_none());
        assert_eq!(permits.0.targets.available_permits(), ASIDE_LIMIT);
        drop(only);
        assert!(permits.try_acquire().is_some());
    }

    #[tokio::test]
    async fn the_number_of_targets_that_do_not_dial_is_bounded() {
        let permits = permits(2);
        let mut waiting = Vec::new();
        for _ in 0..ASIDE_LIMIT + 2 {
            let mut permit = permits.acquire().await;
            permit.release_dial();
            waiting.push(permit);
        }
        assert_eq!(permits.0.dials.available_permits(), 2);
        assert_eq!(permits.0.targets.available_permits(), 0);
    }

    #[tokio::test]
    async fn the_number_of_large_records_is_bounded() {
        let permits = permits(BULKY_LIMIT + 1);
        let mut bulky = Vec::new();
        for _ in 0..BULKY_LIMIT {
            let mut permit = permits.acquire().await;
            permit.acquire_bulk().await;
            permit.acquire_bulk().await;
            bulky.push(permit);
        }
        let mut last = permits.acquire().await;
        assert!(last.acquire_bulk().now_or_never().is_none());
        bulky.pop();
        assert!(last.acquire_bulk().now_or_never().is_some());
    }

    #[tokio::test]
    async fn one_target_of_several_addresses_at_a_time_goes_beyond_the_limit() {
        let permits = permits(BULKY_LIMIT);
        let mut bulky = Vec::new();
        for _ in 0..BULKY_LIMIT {
            let mut permit = permits.acquire().await;
            permit.acquire_bulk().await;
            permit.begin_record();
            bulky.push(permit);
        }
        for _ in 0..BULKY_LIMIT {
            assert!(bulky[0].acquire_bulk().now_or_never().is_some());
            bulky[0].begin_record();
            assert!(bulky[1].acquire_bulk().now_or_never().is_none());
        }
        bulky.remove(0);
        // What it held is one place, and the way beyond.
        assert!(bulky[0].acquire_bulk().now_or_never().is_some());
        assert!(bulky[1].acquire_bulk().now_or_never().is_some());
        assert!(bulky[2].acquire_bulk().now_or_never().is_none());
        drop(bulky);
        assert_eq!(permits.0.bulky.available_permits(), BULKY_LIMIT);
        assert_eq!(permits.0.beyond.available_permits(), 1);
    }

    #[tokio::test]
    async fn with_one_permit_targets_stay_in_order() {
        let permits = permits(1);
        let mut only = permits.acquire().await;
        only.release_dial();
        assert_eq!(permits.0.dials.available_permits(), 0);
    }
}
