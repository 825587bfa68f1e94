//! How fast, and how many at once at one place: what the dialled networks are spared.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// How far dials that came too late for their moment may be made up for at once.
const CATCH_UP: Duration = Duration::from_millis(10);

/// The limits that a sweep keeps to; none: no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Dials a second; at least 1.
    pub rate: Option<u32>,
    /// Dials at once to one address; at least 1.
    pub per_address: Option<usize>,
    /// Dials at once to one /24 (IPv4) or /48 (IPv6); at least 1.
    pub per_prefix: Option<usize>,
}

/// Keeps a sweep to its [`Settings`].
#[derive(Debug)]
pub struct Politeness {
    rate: Option<Rate>,
    /// The narrow before the wide: who waits at an address holds up nobody else in its prefix.
    crowds: Vec<Arc<Crowds>>,
}

/// The right to one connection to an address at a time; it ends when this is dropped.
#[derive(Debug)]
pub struct Slot {
    address: IpAddr,
    _held: Vec<Held>,
}

impl Politeness {
    /// Keeps to `settings`.
    pub fn new(settings: Settings) -> Self {
        let crowds = [(settings.per_address, [32, 128]), (settings.per_prefix, [24, 48])];
        let crowds = crowds.into_iter().filter_map(|(limit, lengths)| {
            Some(Arc::new(Crowds { limit: limit?, lengths, at: Mutex::default() }))
        });
        Self { rate: settings.rate.map(Rate::new), crowds: crowds.collect() }
    }

    /// Whether anybody may ever have to wait.
    pub fn has_limits(&self) -> bool {
        self.rate.is_some() || !self.crowds.is_empty()
    }

    /// A slot at `address`, if nobody has to be waited for.
    pub fn try_slot(&self, address: IpAddr) -> Option<Slot> {
        let held = self.crowds.iter().map(|crowds| {
            let place = crowds.place(address);
            let permit = crowds.semaphore(place).try_acquire_owned().ok()?;
            Some(Held::new(crowds, place, permit))
        });
        Some(Slot { address, _held: held.collect::<Option<_>>()? })
    }

    /// Waits for a slot at `address`.
    ///
    /// Whoever waits must not hold anything that the holders of slots wait for.
    pub async fn slot(&self, address: IpAddr) -> Slot {
        let mut held = Vec::new();
        for crowds in &self.crowds {
            let place = crowds.place(address);
            // The semaphores are never closed.
            if let Ok(permit) = crowds.semaphore(place).acquire_owned().await {
                held.push(Held::new(crowds, place, permit));
            }
        }
        Slot { address, _held: held }
    }

    /// Waits for the moment of the next dial.
    pub async fn moment(&self) {
        if let Some(rate) = &self.rate {
            sleep_until(rate.next()).await;
        }
    }
}

impl Slot {
    /// Whether it is one at `address`.
    pub fn is_at(&self, address: IpAddr) -> bool {
        self.address == address
    }
}

/// Evenly spaced moments.
#[derive(Debug)]
struct Rate {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, next: Mutex::new(Instant::now()) }
    }

    fn next(&self) -> Instant {
        let mut next = lock(&self.next);
        let earliest = Instant::now().checked_sub(CATCH_UP);
        let at = earliest.map_or(*next, |earliest| earliest.max(*next));
        *next = at + self.interval;
        at
    }
}

/// Who is at which place, for one size of place.
#[derive(Debug)]
struct Crowds {
    limit: usize,
    /// Of the prefix that makes a place: IPv4, IPv6.
    lengths: [u8; 2],
    /// Only places where somebody is or waits.
    at: Mutex<HashMap<IpNet, Arc<Semaphore>>>,
}

impl Crowds {
    fn place(&self, address: IpAddr) -> IpNet {
        let [v4, v6] = self.lengths;
        let address = address.to_canonical();
        let length = if address.is_ipv4() { v4 } else { v6 };
        IpNet::new(address, length).map_or_else(|_too_long| address.into(), |net| net.trunc())
    }

    fn semaphore(&self, place: IpNet) -> Arc<Semaphore> {
        let mut at = lock(&self.at);
        Arc::clone(at.entry(place).or_insert_with(|| Arc::new(Semaphore::new(self.limit))))
    }

    /// Forgets a place where nobody is and nobody waits.
    fn leave(&self, place: IpNet) {
        let mut at = lock(&self.at);
        if at.get(&place).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            at.remove(&place);
        }
    }
}

/// A place among a crowd.
#[derive(Debug)]
struct Held {
    crowds: Arc<Crowds>,
    place: IpNet,
    permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    fn new(crowds: &Arc<Crowds>, place: IpNet, permit: OwnedSemaphorePermit) -> Self {
        Self { crowds: Arc::clone(crowds), place, permit: Some(permit) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.permit = None;
        self.crowds.leave(self.place);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(per_address: Option<usize>, per_prefix: Option<usize>) -> Politeness {
        Politeness::new(Settings { rate: None, per_address, per_prefix })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn an_address_and_a_prefix_take_so_many_and_no_more() {
        let politeness = limited(Some(1), Some(2));
        let first = politeness.slot(ip("192.0.2.1")).await;
        assert!(politeness.try_slot(ip("192.0.2.1")).is_none());
        assert!(politeness.try_slot(ip("::ffff:192.0.2.1")).is_none(), "the same address");
        let second = politeness.try_slot(ip("192.0.2.2")).unwrap();
        assert!(politeness.try_slot(ip("192.0.2.3")).is_none(), "the prefix is full");
        assert!(politeness.try_slot(ip("192.0.3.3")).is_some());
        drop(first);
        assert!(politeness.try_slot(ip("192.0.2.1")).is_some());
        drop(second);
        assert!(politeness.crowds.iter().all(|crowds| lock(&crowds.at).is_empty()), "forgotten");
    }

    #[tokio::test]
    async fn a_prefix_of_ipv6_has_48_bits() {
        let politeness = limited(None, Some(1));
        let _first = politeness.slot(ip("2001:db8:1:2::1")).await;
        assert!(politeness.try_slot(ip("2001:db8:1:ffff::1")).is_none());
        assert!(politeness.try_slot(ip("2001:db8:2::1")).is_some());
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_another_leaves() {
        let politeness = Arc::new(limited(Some(1), None));
        let first = politeness.slot(ip("192.0.2.1")).await;
        let waiting = Arc::clone(&politeness);
        let second = tokio::spawn(async move { waiting.slot(ip("192.0.2.1")).await });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap().is_at(ip("192.0.2.1")));
        assert!(lock(&politeness.crowds[0].at).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn moments_are_evenly_spaced() {
        for rate in [1, 7, 1000, 20_000] {
            let politeness = Politeness::new(Settings { rate: Some(rate), ..Settings::default() });
            let start = Instant::now();
            for _ in 0..=rate * 3 {
                politeness.moment().await;
            }
            let took = start.elapsed().as_secs_f64();
            assert!((2.98..3.02).contains(&took), "{rate}: {took}");
        }
    }
}
