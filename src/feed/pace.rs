//! How many targets are worked on at once.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::limits::ASIDE_LIMIT;

/// The permits of a sweep: one for every target that is dialled, and a bounded number of targets
/// besides that wait for a name server or for their turn at a crowded address.
#[derive(Clone, Debug)]
pub struct Permits(Arc<Semaphores>);

#[derive(Debug)]
struct Semaphores {
    targets: Semaphore,
    dials: Semaphore,
    in_order: bool,
}

/// A target's right to be worked on; it ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    permits: Permits,
    may_dial: bool,
}

impl Permits {
    /// Permits for `concurrency` dials at once.
    ///
    /// One at a time means in order, so with a concurrency of 1 nobody stands aside.
    pub fn new(concurrency: usize) -> Self {
        Self(Arc::new(Semaphores {
            targets: Semaphore::new(concurrency + ASIDE_LIMIT),
            dials: Semaphore::new(concurrency),
            in_order: concurrency == 1,
        }))
    }

    /// Waits for a turn.
    pub async fn turn(&self) -> Turn {
        take(&self.0.targets).await;
        let mut turn = Turn { permits: self.clone(), may_dial: false };
        turn.step_back().await;
        turn
    }
}

impl Turn {
    /// Lets another target dial until [`Turn::step_back`]: what waits for anything but its peer
    /// must not hold up the others, and must not hold what it waits for others to give back.
    pub fn step_aside(&mut self) {
        if !self.permits.0.in_order {
            self.give_back_the_dial();
        }
    }

    /// Waits to go on.
    pub async fn step_back(&mut self) {
        if !self.may_dial {
            take(&self.permits.0.dials).await;
            self.may_dial = true;
        }
    }

    fn give_back_the_dial(&mut self) {
        if self.may_dial {
            self.permits.0.dials.add_permits(1);
            self.may_dial = false;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.give_back_the_dial();
        self.permits.0.targets.add_permits(1);
    }
}

/// Takes a permit that is given back by hand. The semaphores are never closed, so there always is
/// one in the end.
async fn take(semaphore: &Semaphore) {
    if let Ok(permit) = semaphore.acquire().await {
        permit.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_stands_aside_lets_another_go() {
        let permits = Permits::new(2);
        let mut first = permits.turn().await;
        let second = permits.turn().await;
        assert_eq!(permits.0.dials.available_permits(), 0);
        first.step_aside();
        let third = permits.turn().await;
        drop(second);
        first.step_back().await;
        assert_eq!(permits.0.dials.available_permits(), 0);
        assert_eq!(permits.0.targets.available_permits(), ASIDE_LIMIT);
        drop((first, third));
        assert_eq!(permits.0.dials.available_permits(), 2);
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
        assert_eq!(permits.0.dials.available_permits(), 2);
        assert_eq!(permits.0.targets.available_permits(), 0);
    }

    #[tokio::test]
    async fn one_at_a_time_stays_in_order() {
        let permits = Permits::new(1);
        let mut only = permits.turn().await;
        only.step_aside();
        assert_eq!(permits.0.dials.available_permits(), 0);
    }
}
