//! Time limits for every wait. No other module calls a timeout function.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::TryFutureExt;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::failure::{Failure, Kind, Stage};

/// Pause before trying again when this machine ran out of descriptors, ports or memory.
pub const SHORTAGE_PAUSE: Duration = Duration::from_millis(20);

/// A wait whose end is noticed later than this was cut short by this machine: the process was stopped,
/// the machine was suspended, or its cores were busy.
const STANDSTILL: Duration = Duration::from_millis(50);

/// The longest that each wait may last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// From a name to its addresses.
    pub resolve: Duration,
    /// One attempt at one address.
    pub connect: Duration,
    /// The plaintext dialogue before the handshake, once for each connection.
    pub starttls: Duration,
    /// The handshake; retries with a smaller hello share this limit.
    pub handshake: Duration,
    /// Reading what the peer sends after the handshake.
    pub read: Duration,
    /// The whole target.
    pub total: Duration,
}

/// The waits that have a limit of their own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// For the addresses of a name.
    Resolve,
    /// For one address to answer.
    Connect,
    /// For the peer to agree to TLS.
    Starttls,
    /// For the handshake to complete.
    Handshake,
    /// For the peer to finish what it sends.
    Read,
}

/// When a target, and each wait for it, must end. Copied into every step.
#[derive(Clone, Copy, Debug)]
pub struct Deadline<'a> {
    limits: &'a Limits,
    start: Instant,
    given_up: Option<&'a AtomicBool>,
}

/// A wait that ended by its deadline.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expired {
    /// The wait that was cut short.
    pub wait: Wait,
    /// The limit that struck.
    pub limit: Duration,
    /// True when the limit was that of the whole target.
    pub whole: bool,
}

impl<'a> Deadline<'a> {
    /// The deadline of a target whose work begins now.
    pub fn start(limits: &'a Limits) -> Self {
        Self { limits, start: Instant::now(), given_up: None }
    }

    /// When a wait that begins now must end: at its own limit or at the target's, the earlier.
    pub fn of(&self, wait: Wait) -> Instant {
        self.end().min(Instant::now() + self.limits.of(wait))
    }

    /// Waits for `future` no longer than the limit of `wait` and what is left of the target's.
    ///
    /// # Errors
    /// [`Expired`] says which of the two struck.
    pub fn run<F: Future>(
        &self,
        wait: Wait,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Expired>> + use<'a, F> {
        self.run_until(wait, self.of(wait), future)
    }

    /// Like [`Deadline::run`], for a wait that began earlier or ends sooner: it ends at `until`.
    ///
    /// Time in which this machine stood still does not count as the peer's. A wait whose end is noticed
    /// too late goes on for as long as that was late, so that an answer which has come meanwhile is
    /// read. A wait that begins after its end has the limit of its kind.
    ///
    /// # Errors
    /// [`Expired`] says whether the wait's own limit struck or the target's.
    pub fn run_until<F: Future>(
        &self,
        wait: Wait,
        until: Instant,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Expired>> + use<'a, F> {
        let (limits, whole) = (self.limits, self.end() <= until);
        let (now, until) = (Instant::now(), until.min(self.end()));
        let until = if late(now, until).is_some() { now + limits.of(wait) } else { until };
        // An async function would store `future` twice, and a limit is larger than what leads to it.
        let timeout = PeerTimeout { given_up: self.given_up, ..PeerTimeout::new(until, future) };
        timeout.map_err(move |Late| limits.expired(wait, whole))
    }

    /// What ends a wait that must end at `until`, or earlier with the target.
    pub fn expired(&self, wait: Wait, until: Instant) -> Expired {
        self.limits.expired(wait, self.end() <= until)
    }

    /// Sleeps for `pause`, if the target's time allows; false when it does not.
    pub async fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        if until >= self.end() {
            return false;
        }
        sleep_until(until).await;
        true
    }

    /// Extends the deadline by the time that the target spent in one of our own queues.
    pub fn later_by(self, waited: Duration) -> Self {
        Self { start: self.start + waited, ..self }
    }

    /// The same deadline, which also expires as soon as `given_up` is set. Nobody is woken by that: whoever
    /// sets it polls the wait.
    pub fn or_given_up<'b>(self, given_up: &'b AtomicBool) -> Deadline<'b>
    where
        'a: 'b,
    {
        Deadline { given_up: Some(given_up), ..self }
    }

    /// How much later this deadline ends than `other`.
    pub fn later_than(&self, other: &Self) -> Duration {
        self.end().duration_since(other.end())
    }

    /// True when the target's time is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.end()
    }

    /// How long the target has been worked on.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// When the target's time is over. Worked out each time, because every step has a copy of this.
    fn end(&self) -> Instant {
        self.start + self.limits.total
    }
}

impl Limits {
    fn of(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Resolve => self.resolve,
            Wait::Connect => self.connect,
            Wait::Starttls => self.starttls,
            Wait::Handshake => self.handshake,
            Wait::Read => self.read,
        }
    }

    fn expired(&self, wait: Wait, whole: bool) -> Expired {
        let limit = if whole { self.total } else { self.of(wait) };
        Expired { wait, limit, whole }
    }
}

/// Waits for `future` no longer than `limit`; nothing when that is over.
pub async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    timeout_at(Instant::now() + limit, future).await.ok()
}

/// The same for the answer of a peer: time in which this machine stood still does not count.
pub async fn answered_within<F: Future>(limit: Duration, answer: F) -> Option<F::Output> {
    PeerTimeout::new(Instant::now() + limit, answer).await.ok()
}

pin_project! {
    /// Waits for a peer.
    ///
    /// tokio wakes the timers before it looks at the sockets when a process goes on after a stop. So the
    /// answers of all peers would come too late, although they have arrived.
    struct PeerTimeout<'a, F> {
        #[pin]
        answer: F,
        #[pin]
        end: Sleep,
        given_up: Option<&'a AtomicBool>,
    }
}

/// The answer did not come in time, or is not waited for any longer.
struct Late;

impl<F> PeerTimeout<'_, F> {
    fn new(until: Instant, answer: F) -> Self {
        Self { answer, end: sleep_until(until), given_up: None }
    }
}

impl<F: Future> Future for PeerTimeout<'_, F> {
    type Output = Result<F::Output, Late>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(answer) = this.answer.poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        if this.given_up.is_some_and(|given_up| given_up.load(Ordering::Relaxed)) {
            return Poll::Ready(Err(Late));
        }
        while this.end.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let Some(standstill) = late(now, this.end.deadline()) else {
                return Poll::Ready(Err(Late));
            };
            this.end.as_mut().reset(now + standstill);
        }
        Poll::Pending
    }
}

/// How late it is, if that is so late that this machine must have stood still.
fn late(now: Instant, until: Instant) -> Option<Duration> {
    Some(now.saturating_duration_since(until)).filter(|late| *late > STANDSTILL)
}

/// The time of day, read once and moved on by the monotonic clock: steps of the system's clock
/// change neither the order of records nor a verdict. The monotonic clock stands still while this
/// machine is suspended, so that time is added: a certificate may end meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    time: SystemTime,
    start: Instant,
    suspended: fn() -> Duration,
    /// What `suspended` said at the start.
    suspended_before: Duration,
}

/// No suspension is shorter. What seems to be shorter is the time between the readings of two clocks.
const SHORTEST_SUSPENSION: Duration = Duration::from_secs(1);

impl Clock {
    /// A clock that shows `time` now.
    pub fn start(time: SystemTime) -> Self {
        Self::start_with(time, suspended)
    }

    fn start_with(time: SystemTime, suspended: fn() -> Duration) -> Self {
        Self { time, start: Instant::now(), suspended, suspended_before: suspended() }
    }

    /// The time of day.
    pub fn now(&self) -> SystemTime {
        let suspended = (self.suspended)().saturating_sub(self.suspended_before);
        let is_real = suspended >= SHORTEST_SUSPENSION;
        self.time + self.start.elapsed() + if is_real { suspended } else { Duration::ZERO }
    }

    /// How long it has been running, without the time in which this machine was suspended.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// How long this machine has been suspended since it was booted.
fn suspended() -> Duration {
    let zero = TimeSpec::new(0, 0);
    // Every kernel that runs this has both clocks.
    let since_boot = |clock| clock_gettime(clock).unwrap_or(zero);
    // libfaketime may put both before the boot, so only their difference is a duration.
    let suspended = since_boot(ClockId::CLOCK_BOOTTIME) - since_boot(ClockId::CLOCK_MONOTONIC);
    suspended.max(zero).into()
}

impl Wait {
    /// The stage that a failure of this wait belongs to; none for the read, whose deadline is the
    /// end of a successful target.
    pub fn stage(self) -> Option<Stage> {
        match self {
            Self::Resolve => Some(Stage::Resolve),
            Self::Connect => Some(Stage::Connect),
            Self::Starttls => Some(Stage::Starttls),
            Self::Handshake => Some(Stage::Handshake),
            Self::Read => None,
        }
    }
}

impl From<Expired> for Failure {
    fn from(expired: Expired) -> Self {
        let stage = expired.wait.stage().unwrap_or(Stage::Handshake);
        Self::new(stage, Kind::Timeout, expired.to_string())
    }
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = humantime::format_duration(self.limit);
        if self.whole {
            return write!(f, "the target's {limit} were over");
        }
        match self.wait {
            Wait::Resolve => write!(f, "no answer from the name server within {limit}"),
            Wait::Connect => write!(f, "no answer to the connection request within {limit}"),
            Wait::Starttls => write!(f, "no go-ahead for TLS within {limit}"),
            Wait::Handshake => write!(f, "the handshake was not complete within {limit}"),
            Wait::Read => write!(f, "the peer was not done within {limit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    const LIMITS: Limits = Limits {
        resolve: Duration::from_secs(5),
        connect: Duration::from_secs(5),
        starttls: Duration::from_secs(10),
        handshake: Duration::from_secs(10),
        read: Duration::from_secs(2),
        total: Duration::from_secs(12),
    };

    #[tokio::test(start_paused = true)]
    async fn the_stage_limit_strikes_and_names_its_stage() {
        let deadline = Deadline::start(&LIMITS);
        let expired = deadline.run(Wait::Connect, std::future::pending::<()>()).await;
        let failure = Failure::from(expired.unwrap_err());
        assert_eq!((failure.stage, failure.kind), (Stage::Connect, Kind::Timeout));
        assert_eq!(deadline.elapsed(), LIMITS.connect);
    }

    #[tokio::test(start_paused = true)]
    async fn the_total_strikes_inside_a_stage_and_names_that_stage() {
        let deadline = Deadline::start(&LIMITS);
        assert!(deadline.pause(Duration::from_secs(7)).await);
        let expired = deadline.run(Wait::Handshake, std::future::pending::<()>()).await;
        let expired = expired.unwrap_err();
        assert!(expired.whole);
        assert_eq!(Failure::from(expired).stage, Stage::Handshake);
        assert_eq!(deadline.elapsed(), LIMITS.total);
    }

    async fn is_pending(future: &mut Pin<&mut impl Future>) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }

    /// As after SIGCONT: the timers are woken first, and the answer is there with the next poll.
    #[tokio::test(start_paused = true)]
    async fn a_standstill_does_not_count() {
        let deadline = Deadline::start(&LIMITS);
        let (answer, answered) = tokio::sync::oneshot::channel();
        let mut wait = std::pin::pin!(deadline.run(Wait::Connect, answered));
        assert!(is_pending(&mut wait).await);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(is_pending(&mut wait).await);
        answer.send("late").unwrap();
        assert_eq!(wait.await.unwrap().unwrap(), "late");
        // The total is over, but not by the target's fault.
        let handshake = deadline.run(Wait::Handshake, tokio::time::sleep(LIMITS.handshake / 2));
        assert!(handshake.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_standstill_does_not_keep_a_silent_peer_waiting_for_ever() {
        let deadline = Deadline::start(&LIMITS);
        let mut wait = std::pin::pin!(deadline.run(Wait::Connect, std::future::pending::<()>()));
        assert!(is_pending(&mut wait).await);
        tokio::time::advance(LIMITS.connect + Duration::from_secs(2)).await;
        assert!(wait.await.is_err());
        assert_eq!(deadline.elapsed(), LIMITS.connect + Duration::from_secs(4));
        let handshake = deadline.run(Wait::Handshake, std::future::pending::<()>()).await;
        assert!(handshake.unwrap_err().whole);
        assert_eq!(deadline.elapsed(), LIMITS.total);
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_beyond_the_total() {
        let deadline = Deadline::start(&LIMITS);
        assert!(!deadline.pause(LIMITS.total).await);
        assert_eq!(deadline.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspension_moves_the_time_of_day_and_ends_no_wait() {
        static SUSPENDED: AtomicU64 = AtomicU64::new(5_000_000);
        let suspended = || Duration::from_millis(SUSPENDED.load(Ordering::Relaxed));
        let clock = Clock::start_with(SystemTime::UNIX_EPOCH, suspended);
        let deadline = Deadline::start(&LIMITS);
        let time = || clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();

        tokio::time::advance(Duration::from_secs(3)).await;
        // Two clocks cannot be read at the same moment.
        SUSPENDED.fetch_add(20, Ordering::Relaxed);
        assert_eq!(time(), Duration::from_secs(3));
        SUSPENDED.store(5_000_000 + 8 * 3_600_000, Ordering::Relaxed);
        assert_eq!(time(), Duration::from_secs(3 + 8 * 3600));
        assert_eq!(
            (clock.elapsed(), deadline.elapsed()),
            (Duration::from_secs(3), Duration::from_secs(3))
        );
        assert!(!deadline.is_over());
    }

    #[test]
    fn what_this_machine_says_of_suspensions_stands_still() {
        let (one, other) = (suspended(), suspended());
        assert!(one.abs_diff(other) < SHORTEST_SUSPENSION, "{one:?} {other:?}");
    }
}
