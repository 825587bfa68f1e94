//! The limits of `--rate`, `--per-address` and `--per-prefix`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// Dials that are late by up to this much are made up for at once. Older ones are not made up for.
const CATCH_UP: Duration = Duration::from_millis(10);

/// How often, and how many at once, a sweep may dial. `None` means no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct DialLimits {
    /// Dials per second.
    pub rate: Option<NonZero<u32>>,
    /// Dials at once to one address.
    pub per_address: Option<NonZero<usize>>,
    /// Dials at once to one /24 (IPv4) or /48 (IPv6).
    pub per_prefix: Option<NonZero<usize>>,
}

/// Keeps a sweep to its [`DialLimits`].
#[derive(Debug)]
pub struct Limiter {
    rate: Option<Rate>,
    /// Per-address limits come before per-prefix limits: a target that waits for its address must
    /// not hold a slot of its prefix meanwhile.
    places: Vec<Arc<PlaceLimit>>,
}

/// Permission to hold one connection to an address. Dropping it gives the permission back.
#[derive(Debug)]
pub struct HostSlot {
    address: IpAddr,
    _held: Vec<Held>,
}

impl Limiter {
    /// A limiter for `limits`.
    pub fn new(limits: DialLimits) -> Self {
        let places = [(limits.per_address, [32, 128]), (limits.per_prefix, [24, 48])];
        let places = places.into_iter().filter_map(|(most, lengths)| {
            Some(Arc::new(PlaceLimit { most: most?, lengths, busy: Mutex::default() }))
        });
        Self { rate: limits.rate.map(Rate::new), places: places.collect() }
    }

    /// Whether there is any limit, so that a dial may have to wait.
    pub fn has_limits(&self) -> bool {
        self.rate.is_some() || !self.places.is_empty()
    }

    /// A slot at `address`, if one is free now.
    pub fn try_host_slot(&self, address: IpAddr) -> Option<HostSlot> {
        let held = self.places.iter().map(|limit| {
            let place = limit.place(address);
            // The semaphores are never closed, so an error means that no permit is free now.
            let permit = limit.semaphore(place).try_acquire_owned().ok()?;
            Some(Held::new(limit, place, permit))
        });
        Some(HostSlot { address, _held: held.collect::<Option<_>>()? })
    }

    /// Waits for a slot at `address`.
    ///
    /// The caller must not hold anything that the holders of slots may wait for.
    pub async fn host_slot(&self, address: IpAddr) -> HostSlot {
        let mut held = Vec::new();
        for limit in &self.places {
            let place = limit.place(address);
            // The semaphores are never closed, so this does not fail.
            if let Ok(permit) = limit.semaphore(place).acquire_owned().await {
                held.push(Held::new(limit, place, permit));
            }
        }
        HostSlot { address, _held: held }
    }

    /// Waits until the rate allows the next dial.
    pub async fn tick(&self) {
        if let Some(rate) = &self.rate {
            sleep_until(rate.next_tick()).await;
        }
    }
}

impl HostSlot {
    /// Whether this is a slot at `address`.
    pub fn is_at(&self, address: IpAddr) -> bool {
        self.address == address
    }
}

/// Ticks at a steady rate. Late ones are made up for, up to [`CATCH_UP`].
#[derive(Debug)]
struct Rate {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Rate {
    fn new(per_second: NonZero<u32>) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        Self { interval, next: Mutex::new(Instant::now()) }
    }

    fn next_tick(&self) -> Instant {
        let mut next = lock(&self.next);
        let earliest = Instant::now().checked_sub(CATCH_UP);
        let at = earliest.map_or(*next, |earliest| earliest.max(*next));
        *next = at + self.interval;
        at
    }
}

/// A limit for each address, or for each prefix.
#[derive(Debug)]
struct PlaceLimit {
    most: NonZero<usize>,
    /// Prefix lengths of a place, for IPv4 and for IPv6.
    lengths: [u8; 2],
    /// Only places where somebody holds a slot or waits for one.
    busy: Mutex<HashMap<IpNet, Arc<Semaphore>>>,
}

impl PlaceLimit {
    fn place(&self, address: IpAddr) -> IpNet {
        let [v4, v6] = self.lengths;
        let address = address.to_canonical();
        let length = if address.is_ipv4() { v4 } else { v6 };
        IpNet::new(address, length).map_or_else(|_too_long| address.into(), |net| net.trunc())
    }

    fn semaphore(&self, place: IpNet) -> Arc<Semaphore> {
        let mut busy = lock(&self.busy);
        Arc::clone(busy.entry(place).or_insert_with(|| {
            Arc::new(Semaphore::new(self.most.get().min(Semaphore::MAX_PERMITS)))
        }))
    }

    /// Removes a place where nobody holds a slot and nobody waits for one.
    fn forget_if_idle(&self, place: IpNet) {
        let mut busy = lock(&self.busy);
        if busy.get(&place).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            busy.remove(&place);
        }
    }
}

/// A permit of one place.
#[derive(Debug)]
struct Held {
    limit: Arc<PlaceLimit>,
    place: IpNet,
    permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    fn new(limit: &Arc<PlaceLimit>, place: IpNet, permit: OwnedSemaphorePermit) -> Self {
        Self { limit: Arc::clone(limit), place, permit: Some(permit) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.permit = None;
        self.limit.forget_if_idle(self.place);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(per_address: Option<usize>, per_prefix: Option<usize>) -> Limiter {
        let [per_address, per_prefix] = [per_address, per_prefix].map(|n| n.and_then(NonZero::new));
        Limiter::new(DialLimits { rate: None, per_address, per_prefix })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn an_address_and_a_prefix_have_so_many_slots_and_no_more() {
        let limiter = limited(Some(1), Some(2));
        let first = limiter.host_slot(ip("192.0.2.1")).await;
        assert!(limiter.try_host_slot(ip("192.0.2.1")).is_none());
        assert!(limiter.try_host_slot(ip("::ffff:192.0.2.1")).is_none(), "the same address");
        let second = limiter.try_host_slot(ip("192.0.2.2")).unwrap();
        assert!(limiter.try_host_slot(ip("192.0.2.3")).is_none(), "the prefix is full");
        assert!(limiter.try_host_slot(ip("192.0.3.3")).is_some());
        drop(first);
        assert!(limiter.try_host_slot(ip("192.0.2.1")).is_some());
        drop(second);
        assert!(limiter.places.iter().all(|limit| lock(&limit.busy).is_empty()), "forgotten");
    }

    #[tokio::test]
    async fn a_prefix_of_ipv6_has_48_bits() {
        let limiter = limited(None, Some(1));
        let _first = limiter.host_slot(ip("2001:db8:1:2::1")).await;
        assert!(limiter.try_host_slot(ip("2001:db8:1:ffff::1")).is_none());
        assert!(limiter.try_host_slot(ip("2001:db8:2::1")).is_some());
    }

    #[tokio::test]
    async fn a_dropped_slot_goes_to_the_one_that_waits() {
        let limiter = Arc::new(limited(Some(1), None));
        let first = limiter.host_slot(ip("192.0.2.1")).await;
        let waiting = Arc::clone(&limiter);
        let second = tokio::spawn(async move { waiting.host_slot(ip("192.0.2.1")).await });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap().is_at(ip("192.0.2.1")));
        assert!(lock(&limiter.places[0].busy).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn ticks_are_evenly_spaced() {
        for rate in [1, 7, 1000, 20_000] {
            let limits = DialLimits { rate: NonZero::new(rate), ..DialLimits::default() };
            let limiter = Limiter::new(limits);
            let start = Instant::now();
            for _ in 0..=rate * 3 {
                limiter.tick().await;
            }
            let took = start.elapsed().as_secs_f64();
            assert!((2.98..3.02).contains(&took), "{rate}: {took}");
        }
    }
}
