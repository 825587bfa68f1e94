//! The dials of one target, each from its first packet to its last.

#![expect(clippy::manual_async_fn, reason = "async functions have room for their arguments twice")]

use tokio::time::Instant;

use super::{Prober, Work};
use crate::config::Config;
use crate::deadline::Wait;
use crate::dial::starttls::{Conversation, Protocol};
use crate::dial::tap::Tap;
use crate::dial::upgrade::upgrade;
use crate::failure::{Failure, Kind, Stage};
use crate::report::record::{Starttls, Tls, milliseconds};
use crate::tls::drain::{End, drain};
use crate::tls::handshake::{Hello, Session, Unfinished};
use crate::tls::hello::Flight;
use crate::tls::plaintext::ask;

/// The content type of a handshake record, with which every ServerHello begins.
const HANDSHAKE: u8 = 22;

/// How one dial ended without a session.
pub(super) struct Unanswered {
    pub(super) failure: Failure,
    /// Whether the peer sent a byte of TLS.
    pub(super) answered: bool,
    /// Whether what it sent began with a ServerHello.
    pub(super) saw_hello: bool,
}

impl From<Failure> for Unanswered {
    /// Nothing was said that could have been answered.
    fn from(failure: Failure) -> Self {
        Self { failure, answered: false, saw_hello: false }
    }
}

/// What to say once the connection stands.
pub(super) enum Speech<'a> {
    /// A whole handshake, and what comes after it.
    Handshake(Hello),
    /// A hello of our own making; the answer is read in plain text.
    Plain(&'a [u8], &'a mut Flight),
}

impl Prober {
    /// Dials until the target has shown what it can: mostly once.
    pub(super) fn dial(&self, work: &mut Work<'_>) -> impl Future<Output = Result<(), Failure>> {
        async move {
            match self.dial_once(Speech::Handshake(Hello::Full), work).await {
                Ok(()) => Ok(()),
                // What no hello has brought about, another one does not mend.
                Err(first) if first.failure.stage != Stage::Handshake => Err(first.failure),
                Err(first) => Box::pin(self.dial_again(first, work)).await,
            }
        }
    }

    async fn dial_again(&self, first: Unanswered, work: &mut Work<'_>) -> Result<(), Failure> {
        match self.dial_smaller(first, work).await {
            Err(unanswered) if self.config.legacy => {
                Err(Box::pin(self.explain(unanswered, work)).await)
            }
            result => result.map_err(|unanswered| unanswered.failure),
        }
    }

    /// Dials with a smaller hello, if the full one was met with silence.
    ///
    /// Some servers and middleboxes stall or reset when a ClientHello does not fit into one segment,
    /// which a post-quantum key share sees to.
    async fn dial_smaller(&self, first: Unanswered, work: &mut Work<'_>) -> Result<(), Unanswered> {
        let met_with_silence = !first.answered
            && first.failure.stage == Stage::Handshake
            && matches!(first.failure.kind, Kind::Reset | Kind::Eof | Kind::Timeout);
        if !met_with_silence || !self.client.has_classical() {
            return Err(first);
        }
        tracing::debug!(
            target = work.record.target,
            "no answer; again without post-quantum groups"
        );
        match self.dial_once(Speech::Handshake(Hello::Classical), work).await {
            // Half a limit of silence is no timeout yet: what the second dial met is the truth, and
            // so is our own shortage.
            Err(second)
                if first.failure.kind == Kind::Timeout
                    && matches!(second.failure.stage, Stage::Handshake | Stage::Local)
                    && !second.answered =>
            {
                Err(second)
            }
            Err(second) if !second.answered => Err(first),
            answered => {
                work.record.tls.get_or_insert_default().pq_intolerant = Some(true);
                answered
            }
        }
    }

    /// One connection, and everything that is said over it.
    pub(super) fn dial_once(
        &self,
        speech: Speech<'_>,
        work: &mut Work<'_>,
    ) -> impl Future<Output = Result<(), Unanswered>> {
        async move {
            // On the heap, one after the other: a dial that is still connecting should not pay for a
            // handshake, nor one in its handshake for the connect.
            let mut tap = Box::new(Tap::new(Box::pin(self.connect(work)).await?));
            let result = Box::pin(self.speak(speech, work, &mut tap)).await;
            tap.send_the_rest();
            let record = &mut *work.record;
            record.sent = Some(record.sent.unwrap_or(0) + tap.sent());
            record.received = Some(record.received.unwrap_or(0) + tap.received());
            let ended_by_us = match &result {
                Ok(()) => {
                    let end = record.read.as_ref().map(|read| read.end);
                    matches!(end, Some(End::Timeout | End::Limit))
                }
                Err(unanswered) => unanswered.failure.kind == Kind::Timeout,
            };
            if ended_by_us {
                tap.abort();
            }
            result
        }
    }

    async fn speak(
        &self,
        speech: Speech<'_>,
        work: &mut Work<'_>,
        tap: &mut Tap,
    ) -> Result<(), Unanswered> {
        if let Some(protocol) = work.starttls {
            self.upgrade(protocol, work, tap).await?;
        }
        let result = match speech {
            Speech::Handshake(hello) => self.handshake(hello, work, tap).await,
            Speech::Plain(hello, flight) => {
                let until = work.end_of_handshake();
                let asked =
                    work.deadline.run_until(Wait::Handshake, until, ask(tap, hello, flight));
                asked.await.unwrap_or_else(|expired| Err(expired.into()))
            }
        };
        result.map_err(|failure| {
            let saw_hello = tap.first().first() == Some(&HANDSHAKE);
            work.saw_hello |= saw_hello;
            Unanswered {
                failure: failure.in_view_of(tap.first()),
                answered: tap.is_answered(),
                saw_hello,
            }
        })
    }

    async fn upgrade(
        &self,
        protocol: &'static Protocol,
        work: &mut Work<'_>,
        tap: &mut Tap,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        let mut conversation = Conversation::new(protocol, &work.identity.checked.to_str());
        let upgraded = work.deadline.run(Wait::Starttls, upgrade(tap, &mut conversation)).await;
        let took = start.elapsed();
        work.record.ms.starttls = Some(milliseconds(took));
        // The dialogue has a limit of its own: a handshake under way has lost no time by it.
        work.until = work.until.map(|until| until + took);
        work.record.starttls = Some(Box::new(Starttls {
            protocol: protocol.name.to_owned(),
            banner: conversation.banner(),
        }));
        upgraded?
    }

    async fn handshake(
        &self,
        hello: Hello,
        work: &mut Work<'_>,
        tap: &mut Tap,
    ) -> Result<(), Failure> {
        let (start, until) = (Instant::now(), work.end_of_handshake());
        let silence = (hello == Hello::Full && self.client.has_classical())
            .then(|| start + until.duration_since(start) / 2);
        let handshake =
            self.client.handshake(hello, work.identity, tap, &work.deadline, (silence, until));
        let handshake = handshake.await.map(Box::new);
        work.record.ms.handshake = Some(milliseconds(start.elapsed()));
        match handshake {
            Ok(mut session) => {
                work.record.tls = Tls::observed(Some(&session.agreed), &session.seen).map(Box::new);
                self.read(&mut session, work).await;
                self.judge(&session.seen, work);
                Ok(())
            }
            Err(Unfinished { failure, seen }) => {
                work.record.tls = Tls::observed(None, &seen).map(Box::new);
                self.judge(&seen, work);
                Err(failure)
            }
        }
    }

    async fn read(&self, session: &mut Session<'_>, work: &mut Work<'_>) {
        let start = Instant::now();
        let Config { goodbye, read_limit, .. } = self.config;
        let read = drain(session, goodbye, read_limit, &work.deadline).await;
        work.record.read = Some(Box::new(read));
        work.record.ms.read = Some(milliseconds(start.elapsed()));
    }
}
