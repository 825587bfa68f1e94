//! How many targets are worked on at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::ASIDE_LIMIT;

/// The permits of a sweep: one for every target that is dialled, and a bounded number of places
/// for those that wait for a name server meanwhile.
#[derive(Clone, Debug)]
pub struct Permits {
    dials: Arc<Semaphore>,
    aside: Arc<Semaphore>,
}

/// A target's right to be worked on; it ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    permits: Permits,
    dial: Option<OwnedSemaphorePermit>,
    aside: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// Permits for `concurrency` dials at once.
    ///
    /// One at a time means in order, so with a concurrency of 1 nobody stands aside.
    pub fn new(concurrency: usize) -> Self {
        let aside = if concurrency == 1 { 0 } else { ASIDE_LIMIT };
        Self {
            dials: Arc::new(Semaphore::new(concurrency)),
            aside: Arc::new(Semaphore::new(aside)),
        }
    }

    /// Waits for a turn.
    pub async fn turn(&self) -> Turn {
        Turn { permits: self.clone(), dial: acquire(&self.dials).await, aside: None }
    }
}

impl Turn {
    /// Lets another target dial until [`Turn::step_back`], if there is a place to stand aside: a
    /// dead name server must not hold up targets that need none.
    pub fn step_aside(&mut self) {
        self.aside = Arc::clone(&self.permits.aside).try_acquire_owned().ok();
        if self.aside.is_some() {
            self.dial = None;
        }
    }

    /// Waits to go on.
    pub async fn step_back(&mut self) {
        if self.dial.is_none() {
            self.dial = acquire(&self.permits.dials).await;
            self.aside = None;
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
        assert_eq!(permits.aside.available_permits(), ASIDE_LIMIT);
        drop((first, third));
        assert_eq!(permits.dials.available_permits(), 2);
    }

    #[tokio::test]
    async fn one_at_a_time_stays_in_order() {
        let permits = Permits::new(1);
        let mut only = permits.turn().await;
        only.step_aside();
        assert_eq!(permits.dials.available_permits(), 0);
    }
}
