//! What work costs, in a unit that is the same on every machine.
//!
//! Instructions cannot be counted in most virtual machines, and a clock alone would fail on a slow
//! one. So the processor time of this thread is compared with that of signature checks, which are
//! measured at the same moment on the same core. What seems to cost too much is measured again, in
//! turn with the signatures: its least cost counts, and their highest. A busy machine makes single
//! runs longer, but not the shortest of many, and it makes the signatures longer as well.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::forge::{Fields, Key, name};
use crate::oracle::holds;

/// How often a work is measured before it is said to cost too much.
const RUNS: usize = 15;

/// libFuzzer takes what stands in this section for coverage, so that it keeps what costs more than all
/// before and goes on from there.
#[used]
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static STEPS: [AtomicU8; 128] = [const { AtomicU8::new(0) }; 128];

/// The unit: the check of one Ed25519 signature.
pub struct Unit {
    signed: Vec<u8>,
    key: Key,
}

impl Default for Unit {
    fn default() -> Self {
        let key = Key::ed25519(1);
        let fields = Fields {
            serial: &[1],
            issuer: &name(b"unit"),
            subject: &name(b"unit"),
            not_before: b"20200101000000Z",
            not_after: b"20900101000000Z",
            key: &key,
            extensions: &[],
        };
        Self { signed: fields.signed_by(&key), key }
    }
}

impl Unit {
    /// The result of the work, which was measured.
    ///
    /// # Panics
    /// Each of several runs cost more than `ceiling` units.
    pub fn measured<T>(&self, ceiling: u32, mut work: impl FnMut() -> T) -> T {
        let (result, mut least) = timed(&mut work);
        let mut unit = self.time();
        self.steer(least, unit);
        for _ in 1..RUNS {
            if least <= unit * ceiling {
                return result;
            }
            least = least.min(timed(&mut work).1);
            unit = unit.max(self.time());
        }
        panic!("it costs {least:?}; {ceiling} signature checks take {:?}", unit * ceiling);
    }

    /// What the unit takes now.
    fn time(&self) -> Duration {
        const CHECKS: u32 = 16;
        let checks = || assert!((0..CHECKS).all(|_| holds(&self.signed, &self.key)));
        timed(checks).1 / CHECKS
    }

    /// Tells libFuzzer, in steps of a fifth.
    fn steer(&self, cost: Duration, unit: Duration) {
        let units = cost.as_secs_f64() / unit.as_secs_f64();
        let step = (units.max(1.0).ln() / 1.2_f64.ln()) as usize;
        if let Some(counter) = STEPS.get(step) {
            counter.store(1, Ordering::Relaxed);
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let begun = now();
    let result = work();
    (result, now().saturating_sub(begun))
}
