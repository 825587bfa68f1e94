//! Makes one connection, from the SYN to the last byte. Nothing here decides whether to dial again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::Prober;
use super::attempt::{Attempt, Bytes, Dial, Dialogue, Patience, Speech};
use crate::deadline::{Deadline, Expired, Wait};
use crate::dial::connect::connect;
use crate::dial::signals::Signals;
use crate::dial::starttls::{Conversation, Protocol};
use crate::dial::tap::Tap;
use crate::dial::upgrade::upgrade;
use crate::failure::{Failure, Kind, Stage};
use crate::feed::target::ServerIdentity;
use crate::limits::{FIRST_READ_LIMIT, RENEGOTIATION_LIMIT};
use crate::names::content_type::HANDSHAKE;
use crate::signature::{Proof, Unproven};
use crate::tls::drain::{End, drain};
use crate::tls::handshake::{Agreed, Client, Session, Silence, Unfinished};
use crate::tls::hello::{Answer, Flight};
use crate::tls::legacy::ClientHello;
use crate::tls::plaintext::ask;
use crate::tls::recorder::Seen;
use crate::tls::renegotiation;

/// What the connections of one target have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) identity: &'a ServerIdentity,
    /// The plaintext dialogue that comes before TLS.
    pub(super) starttls: Option<&'static Protocol>,
    pub(super) deadline: Deadline<'a>,
    /// When the handshakes of this try must end. A second one has no limit of its own.
    pub(super) handshake_end: Option<Instant>,
    /// Told when a peer that has [`Patience::Standby`] is silent, and the first byte of its answer.
    pub(super) signals: Option<&'a Arc<Signals>>,
}

/// An open connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// How long it took to open.
    pub(super) took: Duration,
}

impl Context<'_> {
    /// Takes a wait of our own, such as for a permit, out of the target's time.
    pub(super) fn stand_still(&mut self, waited: Duration) {
        self.deadline = self.deadline.later_by(waited);
        self.handshake_end = self.handshake_end.map(|end| end + waited);
    }

    /// What the silence of the peer ends, or tells, in a handshake from `start` to `end`.
    fn silence(&self, patience: Patience, start: Instant, end: Instant) -> Silence<'_> {
        let half = start + end.duration_since(start) / 2;
        match (patience, self.signals) {
            (Patience::Whole, _) => Silence::Ends(end),
            (Patience::Standby, Some(signals)) if signals.stands_by => {
                Silence::Told { at: half, to: &signals.silence }
            }
            (Patience::Half | Patience::Standby, _) => Silence::Ends(half),
        }
    }

    /// When the handshakes of this try must end after a dialogue, which has a limit of its own and does not
    /// use up their time.
    fn handshake_end_after(&self, dialogue: Option<&Held>) -> Option<Instant> {
        let took = dialogue.map_or(Duration::ZERO, |held| held.took);
        self.handshake_end.map(|end| end + took)
    }
}

impl Prober {
    /// Makes one connection and returns its outcome.
    ///
    /// The connect and what follows it are boxed one after the other, so that an attempt that waits
    /// for the connect does not take the memory of a handshake, nor the other way round.
    pub(super) async fn attempt(&self, context: &Context<'_>, dial: &Dial) -> Attempt {
        match Box::pin(self.open(context, dial)).await {
            Err(failure) => Attempt::unopened(dial, context, failure),
            Ok(connection) => Box::pin(self.speak(connection, context, dial)).await,
        }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// There is none, and why.
    pub(super) fn open<'c>(
        &'c self,
        context: &'c Context<'_>,
        dial: &Dial,
    ) -> impl Future<Output = Result<Box<Connection>, Failure>> + use<'c> {
        let begun = Instant::now();
        let source = self.config.source.as_ref();
        connect(dial.address, source, &context.deadline, context.handshake_end)
            .map_ok(move |stream| Box::new(Connection { stream, took: begun.elapsed() }))
    }

    /// Interprets the speech over a connection, and closes it.
    #[expect(clippy::boxed_local, reason = "a caller's future keeps room for whatever it hands on")]
    pub(super) fn speak<'c>(
        &'c self,
        connection: Box<Connection>,
        context: &'c Context<'c>,
        dial: &'c Dial,
    ) -> impl Future<Output = Attempt> + Send + use<'c> {
        let Connection { stream, took: connected } = *connection;
        let mut tap = Tap::new(stream);
        // An async function would store its arguments twice.
        async move {
            let mut held = None;
            if let Some(protocol) = context.starttls {
                held = Some(Box::pin(hold_dialogue(protocol, context, &mut tap)).await);
            }
            let end_of_try = context.handshake_end_after(held.as_deref());
            let mut attempt =
                if let Some(failure) = held.as_mut().and_then(|held| held.failure.take()) {
                    Attempt { handshake_end: end_of_try, ..Attempt::new(dial, Err(failure)) }
                } else {
                    let end = end_of_try.unwrap_or_else(|| context.deadline.of(Wait::Handshake));
                    if let Some(signals) = context.signals {
                        tap.tell_first_byte(Arc::clone(signals));
                    }
                    let mut attempt = match self.question(&dial.speech) {
                        Err(unmade) => Attempt::new(dial, Err(unmade)),
                        Ok(Question::Handshake(ref connector)) => {
                            // In no function of its own: many dials wait here, and the future of a
                            // function stores its arguments.
                            let start = Instant::now();
                            let ends = (context.silence(dial.patience, start, end), &end);
                            let handshake = Client::handshake(
                                connector,
                                context.identity,
                                &mut tap,
                                &context.deadline,
                                ends,
                            );
                            let handshake = handshake.await.map(Box::new);
                            let took = start.elapsed();
                            let mut attempt = match handshake {
                                Ok(session) => {
                                    Box::pin(self.finish(session, dial, &context.deadline)).await
                                }
                                Err(unfinished) => self.failed(unfinished, dial, &tap),
                            };
                            attempt.times.handshake = Some(took);
                            attempt
                        }
                        Ok(Question::Other(other)) => {
                            Box::pin(other.ask(context, dial, end, &mut tap)).await
                        }
                    };
                    attempt.handshake_end = Some(end);
                    attempt.in_view_of(&tap);
                    attempt
                };
            attempt.times.connect = Some(connected);
            if let Some(held) = held {
                attempt.times.starttls = Some(held.took);
                attempt.dialogue = Some(held.dialogue);
            }
            close(tap, &mut attempt);
            attempt
        }
    }

    /// Prepares what a speech says.
    ///
    /// # Errors
    /// There is no such hello.
    fn question<'s>(&self, speech: &'s Speech) -> Result<Question<'s>, Failure> {
        let question = match speech {
            Speech::Handshake(hello) => Ok(Question::Handshake(self.client.connector(*hello))),
            Speech::Tailored(tailored) => self.client.tailored(tailored).map(Question::Handshake),
            Speech::Renegotiation(hello) => {
                let connector = self.client.renegotiating(*hello);
                connector.map(|connector| Question::Other(Other::Renegotiation(connector)))
            }
            Speech::Plain(hello) => Ok(Question::Other(Other::Plain(hello))),
            Speech::Raw(bytes) => Ok(Question::Other(Other::Raw(bytes))),
        };
        question.map_err(|error: rustls::Error| {
            let detail = format!("no hello can be made for this question: {error}");
            Failure::new(Stage::Local, Kind::Resource, detail)
        })
    }

    /// A handshake that failed. A choice in it is believed only where the hello is a configured one.
    fn failed(&self, unfinished: Unfinished, dial: &Dial, tap: &Tap) -> Attempt {
        let mut attempt = Attempt::new(dial, Err(unfinished.failure));
        let agreed = Agreed::before_failure(tap.beginning(), &unfinished.seen);
        // A choice of something else is refused by rustls, and not believed.
        attempt.agreed = agreed.filter(|agreed| match dial.speech {
            Speech::Handshake(hello) => self.client.offers(hello, agreed),
            _ => false,
        });
        attempt.ech_rejection = unfinished.ech_rejection;
        attempt.set_seen(unfinished.seen);
        attempt
    }

    /// The goodbye, and whatever the peer still sends.
    async fn finish(
        &self,
        mut session: Box<Session<'_>>,
        dial: &Dial,
        deadline: &Deadline<'_>,
    ) -> Attempt {
        let start = Instant::now();
        let (goodbye, limit) = (self.config.goodbye, self.config.read_limit);
        let read = drain(&mut session, goodbye, limit, deadline).await;
        let mut attempt = Attempt::new(dial, Ok(()));
        attempt.read = Some(read);
        attempt.times.read = Some(start.elapsed());
        attempt.agreed = Some(session.agreed);
        attempt.set_seen(session.seen);
        attempt
    }
}

/// What to do over a connection once TLS may begin.
enum Question<'a> {
    /// A handshake, then the goodbye and whatever the peer still sends.
    Handshake(TlsConnector),
    Other(Other<'a>),
}

enum Other<'a> {
    Renegotiation(TlsConnector),
    Plain(&'a ClientHello),
    Raw(&'a Bytes),
}

impl Other<'_> {
    async fn ask(self, context: &Context<'_>, dial: &Dial, end: Instant, tap: &mut Tap) -> Attempt {
        match self {
            Self::Renegotiation(connector) => {
                renegotiate(&connector, context, dial, end, tap).await
            }
            Self::Plain(hello) => ask_in_plain_text(hello, context, dial, end, tap).await,
            Self::Raw(bytes) => ask_bytes(bytes, context, dial, end, tap).await,
        }
    }
}

/// The outcome of a plaintext dialogue.
struct Held {
    dialogue: Dialogue,
    took: Duration,
    /// Why TLS may not begin.
    failure: Option<Failure>,
}

async fn hold_dialogue(
    protocol: &'static Protocol,
    context: &Context<'_>,
    tap: &mut Tap,
) -> Box<Held> {
    let start = Instant::now();
    let mut conversation = Conversation::new(protocol, &context.identity.checked.to_str());
    let upgraded = context.deadline.run(Wait::Starttls, upgrade(tap, &mut conversation)).await;
    Box::new(Held {
        dialogue: Dialogue { protocol, banner: conversation.banner() },
        took: start.elapsed(),
        failure: upgraded.unwrap_or_else(|expired| Err(expired.into())).err(),
    })
}

/// Sends a hello of our own and reads the peer's flight until `end`.
async fn ask_in_plain_text(
    hello: &ClientHello,
    context: &Context<'_>,
    dial: &Dial,
    end: Instant,
    tap: &mut Tap,
) -> Attempt {
    let start = Instant::now();
    let mut flight = Flight::answering(hello.clone());
    let result = match random() {
        Ok(random) => {
            let server_name = context.identity.sent.as_ref().map(|name| name.as_ref());
            let hello = hello.encode(server_name, &random);
            let asked = ask(tap, &hello, &mut flight);
            let asked = context.deadline.run_until(Wait::Handshake, end, asked).await;
            asked.unwrap_or_else(|expired| Err(expired.into()))
        }
        Err(failure) => Err(failure),
    };
    let mut answer = flight.into_answer();
    let mut attempt = Attempt::new(dial, result);
    attempt.times.handshake = Some(start.elapsed());
    attempt.agreed = Agreed::in_plain_text(&answer);
    attempt.set_seen(take_seen(&mut answer));
    if attempt.ocsp_stapled == Some(false) && !answer.is_done {
        attempt.ocsp_stapled = None;
    }
    attempt.answer = Some(Box::new(answer));
    attempt
}

/// A handshake of TLS 1.2 by rustls, then a second ClientHello inside it, until `end`.
async fn renegotiate(
    connector: &TlsConnector,
    context: &Context<'_>,
    dial: &Dial,
    end: Instant,
    tap: &mut Tap,
) -> Attempt {
    let start = Instant::now();
    let Context { identity, deadline, .. } = context;
    let handshake =
        Client::handshake(connector, identity, tap, deadline, (Silence::Ends(end), &end));
    let mut session = match handshake.await.map(Box::new) {
        Ok(session) => session,
        Err(unfinished) => {
            let mut attempt = Attempt::new(dial, Err(unfinished.failure));
            attempt.times.handshake = Some(start.elapsed());
            attempt.set_seen(unfinished.seen);
            return attempt;
        }
    };
    let mut answer = vec![0; RENEGOTIATION_LIMIT];
    let result = match random() {
        Ok(random) => {
            let server_name = identity.sent.as_ref().map(|name| name.as_ref());
            let hello = ClientHello::common().encode_within(server_name, &random);
            session.stream.get_mut().0.gather(false);
            let asked = async {
                session.stream.write_all(&hello).await?;
                session.stream.flush().await?;
                session.stream.read(&mut answer).await
            };
            read_by(deadline.run_until(Wait::Handshake, end, asked).await)
        }
        Err(failure) => Err(failure),
    };
    let (length, result) = match result {
        Ok(length) => (length, Ok(())),
        Err(failure) => (0, Err(failure)),
    };
    answer.truncate(length);
    let mut attempt = Attempt::new(dial, result);
    attempt.times.handshake = Some(start.elapsed());
    attempt.agreed = Some(session.agreed);
    attempt.set_seen(session.seen);
    attempt.first_read = renegotiation::record(&answer).unwrap_or_default();
    attempt
}

/// What came of a read for which there was a deadline. A close is a failure.
fn read_by(read: Result<io::Result<usize>, Expired>) -> Result<usize, Failure> {
    match read {
        Ok(Ok(0)) => {
            let detail = "the peer closed instead of answering";
            Err(Failure::new(Stage::Handshake, Kind::Eof, detail))
        }
        Ok(Ok(length)) => Ok(length),
        Ok(Err(error)) => Err(Failure::from_io(Stage::Handshake, &error)),
        Err(expired) => Err(expired.into()),
    }
}

/// Sends bytes as they are and keeps the answer, up to its limit, until it is whole.
async fn ask_bytes(
    Bytes { question, limit, is_whole, .. }: &Bytes,
    context: &Context<'_>,
    dial: &Dial,
    end: Instant,
    tap: &mut Tap,
) -> Attempt {
    let start = Instant::now();
    let mut answer = Vec::with_capacity(FIRST_READ_LIMIT);
    let asked = async {
        tap.write_all(question).await?;
        loop {
            let left = limit.saturating_sub(answer.len()) as u64;
            let length = (&mut *tap).take(left).read_buf(&mut answer).await?;
            if length == 0 || is_whole(&answer) {
                return Ok(answer.len());
            }
        }
    };
    let result = read_by(context.deadline.run_until(Wait::Handshake, end, asked).await);
    answer.shrink_to_fit();
    let mut attempt = Attempt::new(dial, result.map(drop));
    attempt.times.handshake = Some(start.elapsed());
    attempt.first_read = answer;
    attempt
}

impl Attempt {
    /// An attempt that came to no connection.
    pub(super) fn unopened(dial: &Dial, context: &Context<'_>, failure: Failure) -> Self {
        let handshake_end = context.handshake_end;
        Self { handshake_end, ..Self::new(dial, Err(failure)) }
    }

    /// Adds what the recorder saw.
    fn set_seen(&mut self, seen: Seen) {
        self.has_chain = !seen.chain.is_empty();
        self.ocsp_stapled = self.has_chain.then_some(!seen.ocsp.is_empty());
        self.seen = seen;
    }

    /// Adds what the first bytes of the peer show.
    fn in_view_of(&mut self, tap: &Tap) {
        self.is_answered = tap.is_answered();
        self.saw_hello = tap.first().first() == Some(&HANDSHAKE);
        let result = std::mem::replace(&mut self.result, Ok(()));
        self.result = result.map_err(|failure| failure.in_view_of(tap.first()));
    }
}

/// Adds the socket's byte counts, and closes it: with a reset when we gave up on the peer.
fn close(mut tap: Tap, attempt: &mut Attempt) {
    tap.send_the_rest();
    attempt.sent = tap.sent();
    attempt.received = tap.received();
    let is_given_up = match &attempt.result {
        Ok(()) => {
            let end = attempt.read.as_ref().map(|read| read.end);
            matches!(end, Some(End::Timeout | End::Limit))
        }
        Err(failure) => failure.kind == Kind::Timeout,
    };
    if is_given_up {
        tap.abort();
    }
}

/// The random bytes of a hello of our own.
fn random() -> Result<[u8; 32], Failure> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(|_unspecified| {
        Failure::new(Stage::Local, Kind::Resource, "this machine has no random numbers")
    })?;
    Ok(random)
}

/// Converts a flight in plain text to the form that the recorder of a handshake has.
fn take_seen(answer: &mut Answer) -> Seen {
    let scheme = answer.key_exchange.as_ref().and_then(|exchange| exchange.signature_scheme);
    let chain = std::mem::take(&mut answer.certificates).into_iter().map(CertificateDer::from);
    Seen {
        chain: chain.collect(),
        ocsp: answer.ocsp_response.take().unwrap_or_default(),
        signature_scheme: scheme,
        // A whole flight without a ServerKeyExchange is one of a key exchange by the certified key.
        proof: match answer.key_exchange {
            None if answer.is_done => Proof::Unproven(Unproven::Unsigned),
            _ => Proof::default(),
        },
        client_cert_requested: answer.client_cert_requested,
        group: None,
    }
}
