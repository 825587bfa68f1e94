//! Keeps the connection to a silent peer open while other hellos are sent over connections beside it.
//!
//! A peer may be silent because it never answers a hello that does not fit into one segment, or only
//! because it is slow. Which of the two it is shows at the end of the handshake's time, when it is too
//! late to send another hello. So both are waited for, and the first connection that is answered with
//! what may count ends the other. An alert does not: the peer may take this hello for a fault, or refuse a
//! second connection, and still answer the first.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::Either;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::connection::{Connection, Context};
use super::{Attempt, Dial, Patience, Prober, Speech, Visit, narration};
use crate::deadline::Wait;
use crate::dial::signals::Signals;
use crate::failure::Failure;
use crate::pace::limiter::HostSlot;

/// A connection whose peer has been silent so far.
pub(super) struct Standby<'a> {
    signals: Arc<Signals>,
    attempt: Pin<Box<dyn Future<Output = Attempt> + Send + 'a>>,
    /// Where, among the attempts, one without an answer stands for it.
    index: usize,
    _place: SemaphorePermit<'a>,
    _slot: HostSlot,
}

impl Prober {
    /// Makes a connection and adds what came of it to the attempts. While `standby` holds another
    /// connection, the first of the two that is answered ends the other.
    ///
    /// What waits for the connect holds nothing of what waits for an answer.
    #[expect(clippy::manual_async_fn, reason = "an async fn stores its arguments twice")]
    pub(super) fn dial<'a, 'v: 'a>(
        &'a self,
        dial: &Dial,
        visit: &mut Visit<'v>,
        standby: &mut Option<Box<Standby<'a>>>,
    ) -> impl Future<Output = ()> + Send {
        async move {
            if let Some(silent) = standby.take() {
                *standby = Box::pin(self.dial_beside(silent, dial, visit)).await;
                return;
            }
            match Box::pin(self.open(&visit.context, dial)).await {
                Err(failure) => visit.push(Attempt::unopened(dial, &visit.context, failure)),
                Ok(connection) if dial.patience == Patience::Standby => {
                    *standby = Box::pin(self.speak_until_silence(connection, dial, visit)).await;
                }
                Ok(connection) => {
                    let attempt = Box::pin(self.speak(connection, &visit.context, dial)).await;
                    visit.push(attempt);
                }
            }
        }
    }

    /// Speaks over a connection, and waits until that has ended or the peer has been silent for half of
    /// the handshake's time.
    fn speak_until_silence<'a, 'v: 'a>(
        &'a self,
        connection: Box<Connection>,
        dial: &Dial,
        visit: &mut Visit<'v>,
    ) -> impl Future<Output = Option<Box<Standby<'a>>>> + Send {
        let signals = Arc::new(Signals { stands_by: true, ..Signals::default() });
        let context = Box::new(visit.context);
        let mut attempt = self.speak_with(Arc::clone(&signals), connection, dial.clone(), context);
        async move {
            let silence = poll_fn(|cx| match attempt.as_mut().poll(cx) {
                Poll::Ready(attempt) => Poll::Ready(Err(attempt)),
                Poll::Pending => match signals.silence.get() {
                    Some(end) => Poll::Ready(Ok(*end)),
                    None => Poll::Pending,
                },
            });
            let end = match silence.await {
                Ok(end) => end,
                Err(attempt) => {
                    visit.push(attempt);
                    return None;
                }
            };
            // Two connections take two descriptors, and two slots at the address.
            let place = self.standbys.try_acquire().ok();
            let slot = self.limiter.try_host_slot(dial.address.ip());
            let (Some(place), Some(slot)) = (place, slot) else {
                signals.given_up.store(true, Ordering::Relaxed);
                visit.push(attempt.await);
                return None;
            };
            let index = visit.attempts.len();
            visit.push_silent(dial, end);
            Some(Box::new(Standby { signals, attempt, index, _place: place, _slot: slot }))
        }
    }

    /// Makes a connection beside one that is silent. Returns that one if nothing came of either that may
    /// count.
    ///
    /// Of two answers only one is read at a time, because two would take the memory of two. The other waits
    /// in the socket until it is known whether this one may count.
    async fn dial_beside<'a, 'v: 'a>(
        &'a self,
        mut silent: Box<Standby<'a>>,
        dial: &Dial,
        visit: &mut Visit<'v>,
    ) -> Option<Box<Standby<'a>>> {
        let signals = Arc::<Signals>::default();
        let deadline = visit.context.deadline.or_given_up(&signals.given_up);
        let context = Context { deadline, signals: Some(&signals), ..visit.context };
        let mut attempt = pin!(self.attempt(&context, dial));
        // What a hello of our own shows is known only when its answer has been read.
        let is_handshake = matches!(dial.speech, Speech::Handshake(_));
        let race = poll_fn(|cx| {
            if !signals.is_answered() {
                if let Poll::Ready(first) = silent.attempt.as_mut().poll(cx) {
                    return Poll::Ready(Either::Left(first));
                }
                if silent.signals.is_server_hello() {
                    signals.given_up.store(true, Ordering::Relaxed);
                }
            }
            if !silent.signals.is_answered() || signals.given_up.load(Ordering::Relaxed) {
                if let Poll::Ready(second) = attempt.as_mut().poll(cx) {
                    return Poll::Ready(Either::Right(second));
                }
                if is_handshake && signals.is_server_hello() {
                    silent.signals.given_up.store(true, Ordering::Relaxed);
                    if let Poll::Ready(first) = silent.attempt.as_mut().poll(cx) {
                        return Poll::Ready(Either::Left(first));
                    }
                }
            }
            Poll::Pending
        });
        match race.await {
            Either::Left(first) => {
                signals.given_up.store(first.may_count_alone(), Ordering::Relaxed);
                let second = attempt.await;
                silent.ended(first, Some(second), visit);
                None
            }
            Either::Right(second) if second.may_count_alone() => {
                silent.signals.given_up.store(true, Ordering::Relaxed);
                let first = silent.attempt.as_mut().await;
                narration::ended(visit.asked, &first);
                visit.attempts.replace(silent.index, first);
                visit.push(second);
                None
            }
            Either::Right(second) => {
                visit.push(second);
                Some(silent)
            }
        }
    }

    /// Speaks over a connection, as a future that owns all that it needs. The context comes in a box,
    /// because a future keeps room for what it was given beside what it makes of it.
    fn speak_with<'a>(
        &'a self,
        signals: Arc<Signals>,
        connection: Box<Connection>,
        dial: Dial,
        given: Box<Context<'a>>,
    ) -> Pin<Box<dyn Future<Output = Attempt> + Send + 'a>> {
        Box::pin(async move {
            let deadline = given.deadline.or_given_up(&signals.given_up);
            let context = Context { deadline, signals: Some(&signals), ..*given };
            drop(given);
            self.speak(connection, &context, &dial).await
        })
    }
}

impl Standby<'_> {
    /// Waits for the rest of its time, because there is nothing else to be tried.
    pub(super) async fn outlast(mut self, visit: &mut Visit<'_>) {
        let first = self.attempt.as_mut().await;
        self.ended(first, None, visit);
    }

    /// Adds its outcome to the attempts, and that of the connection beside it. An answer counts as the
    /// later of the two.
    fn ended(self, first: Attempt, second: Option<Attempt>, visit: &mut Visit<'_>) {
        if first.is_answered {
            visit.attempts.remove(self.index);
            second.into_iter().chain([first]).for_each(|attempt| visit.push(attempt));
        } else {
            narration::ended(visit.asked, &first);
            visit.attempts.replace(self.index, first);
            second.into_iter().for_each(|attempt| visit.push(attempt));
        }
    }
}

impl Visit<'_> {
    fn push(&mut self, attempt: Attempt) {
        narration::ended(self.asked, &attempt);
        self.add(attempt);
    }

    fn add(&mut self, attempt: Attempt) {
        self.context.handshake_end = attempt.handshake_end;
        self.attempts.push(attempt);
    }

    /// Adds an attempt that was not answered, in place of one that is under way.
    fn push_silent(&mut self, dial: &Dial, end: Instant) {
        let expired = self.context.deadline.expired(Wait::Handshake, end);
        let mut attempt = Attempt::new(dial, Err(Failure::from(expired)));
        attempt.times.connect = Some(Duration::ZERO);
        attempt.handshake_end = Some(end);
        narration::silent(self.asked);
        self.add(attempt);
    }
}
