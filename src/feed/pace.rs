//! How many targets are worked on at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::ASIDE_LIMIT;

/// The permits of a sweep: one for every target that is dialled, and a bounded number of targets
/// besides that wait for a name server or for their turn at a crowded address.
#[derive(Clone, Debug)]
pub struct Permits {
    targets: Arc<Semaphore>,
    dials: Arc<Semaphore>,
    in_order: bool,
}

/// A target's right to be worked on; it ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    permits: Permits,
    dial: Option<OwnedSemaphorePermit>,
    _target: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// Permits for `concurrency` dials at once.
    ///
    /// One at a time means in order, so with a concurrency of 1 nobody stands aside.
    pub fn new(concurrency: usize) -> Self {
        Self {
            targets: Arc::new(Semaphore::new(concurrency + ASIDE_LIMIT)),
            dials: Arc::new(Semaphore::new(concurrency)),
            in_order: concurrency == 1,
        }
    }

    /// Waits for a turn.
    pub async fn turn(&self) -> Turn {
        let target = acquire(&self.targets).await;
        Turn { permits: self.clone(), dial: acquire(&self.dials).await, _target: target }
    }
}

impl Turn {
    /// Lets another target dial until [`Turn::step_back`]: what waits for anything but its peer
    /// must not hold up the others, and must not hold what it waits for others to give back.
    pub fn step_aside(&mut self) {
        if !self.permits.in_order {
            self.dial = None;
        }
    }

    /// Waits to go on.
    pub async fn step_back(&mut self) {
        if self.dial.is_none() {
            self.dial = acquire(&self.permits.dials).await;
        }
    }
}

/// The semaphores are never closed, so there always is a permit in the end.
async fn acquire(semaphore: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(semaphore).acquire_owned().await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_stands_aside_lets_another_go() {
        let permits = Permits::new(2);
        let mut first = permits.turn().await;
        let second = permits.turn().await;
        assert_eq!(permits.dials.available_permits(), 0);
        first.step_aside();
        let third = permits.turn().await;
        drop(second);
        first.step_back().await;
        assert_eq!(permits.dials.available_permits(), 0);
        assert_eq!(permits.targets.available_permits(), ASIDE_LIMIT);
        drop((first, third));
        assert_eq!(permits.dials.available_permits(), 2);
    }

    #[tokio::test]
    async fn only_so_many_stand_aside() {
        let permits = Permits::new(2);
        let mut aside = Vec::new();
        for _ in 0..ASIDE_LIMIT + 2 {
            let mut turn = permits.turn().await;
            turn.step_aside();
            aside.push(turn);
        }
        assert_eq!(permits.dials.available_permits(), 2);
        assert_eq!(permits.targets.available_permits(), 0);
    }

    #[tokio::test]
    async fn one_at_a_time_stays_in_order() {
        let permits = Permits::new(1);
        let mut only = permits.turn().await;
        only.step_aside();
        assert_eq!(permits.dials.available_permits(), 0);
    }
}
