//! What to say over a connection ([`Speech`]), and what one connection showed ([`Attempt`]).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use crate::cert::Examined;
use crate::dial::starttls::Protocol;
use crate::failure::{Failure, Kind, Stage};
use crate::limits::FIRST_READ_LIMIT;
use crate::names::AlertDescription;
use crate::names::content_type::{ALERT, HANDSHAKE};
use crate::tls::drain::ReadEnd;
use crate::tls::ech::Configurations;
use crate::tls::handshake::{Agreed, Hello, Tailored};
use crate::tls::hello::{Answer, UNRELATED_ALERTS};
use crate::tls::legacy::ClientHello;
use crate::tls::recorder::Seen;

/// Alerts that may be a refusal, or a sign that the server is overloaded.
const WORDLESS_ALERTS: [AlertDescription; 2] =
    [AlertDescription::CLOSE_NOTIFY, AlertDescription::INTERNAL_ERROR];

/// What to say over a connection once TLS may begin: the one question that this connection is made for.
#[derive(Clone, Debug)]
pub enum Speech {
    /// A handshake by rustls, then the goodbye and whatever the peer still sends.
    Handshake(Hello),
    /// The same with a hello that was made for this one connection.
    Tailored(Box<Tailored>),
    /// A handshake of TLS 1.2 by rustls, then a second ClientHello inside it. Of the answer, the first
    /// message is kept.
    Renegotiation(Hello),
    /// A hello of our own. The answer to it is read in plain text and never completed.
    Plain(Box<ClientHello>),
    /// Bytes as they are.
    Raw(Box<Bytes>),
}

/// Bytes to send as they are, such as a hello that has to be what somebody else defined, and how to read
/// the answer.
#[derive(Clone, Debug)]
pub struct Bytes {
    /// What they are, in words.
    pub what: &'static str,
    /// What to send.
    pub question: Vec<u8>,
    /// Bytes of the answer that are kept at most.
    pub limit: usize,
    /// Whether nothing more is to be waited for behind this part of an answer.
    pub is_whole: fn(&[u8]) -> bool,
    /// Whether the peer chose from what it was asked.
    pub is_choice: fn(&[u8]) -> bool,
}

/// A connection to make.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Where to.
    pub address: SocketAddr,
    /// What to say over it.
    pub speech: Speech,
    /// How long the peer may stay silent after the ClientHello.
    pub patience: Patience,
}

/// The share of the remaining handshake time that a peer may use up without sending a byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// All of it.
    Whole,
    /// Half of it, so that another dial has time as well.
    Half,
    /// All of it. After half of it, other hellos are sent over connections beside this one, and the first
    /// that is answered counts.
    Standby,
}

/// The outcome of one connection, or of the attempt to make it.
#[derive(Debug)]
pub struct Attempt {
    /// What was said, or would have been said if there had been a connection.
    pub speech: Speech,
    /// The address that was dialled.
    pub address: SocketAddr,
    /// How long its steps took.
    pub times: Times,
    /// Bytes on the wire from us.
    pub sent: u64,
    /// Bytes on the wire from the peer.
    pub received: u64,
    /// The plaintext dialogue before TLS.
    pub dialogue: Option<Dialogue>,
    /// What the peer chose, as far as it was seen.
    pub agreed: Option<Agreed>,
    /// What else the handshake showed. The chain and the staple are gone once they were judged or
    /// once another attempt counts instead of this one.
    pub seen: Seen,
    /// Whether a chain came.
    pub has_chain: bool,
    /// Whether an OCSP response was stapled; absent when no chain came, or when the peer stopped before
    /// the response would have come.
    pub ocsp_stapled: Option<bool>,
    /// The facts and the verdict of the chain and the staple.
    pub examined: Option<Box<Examined>>,
    /// The answer to a hello of our own, but for its chain and staple, which are in `seen`.
    pub answer: Option<Box<Answer>>,
    /// The answer to raw bytes, or the answer to a second ClientHello as a record in plain text.
    pub first_read: Vec<u8>,
    /// What the peer offers instead of the configuration of ECH that it did not accept.
    pub ech_rejection: Option<Box<Configurations>>,
    /// Whether the peer's close was shown to be its answer to what the hello offers.
    pub is_refusal: bool,
    /// Whether that answer shows something that rustls cannot speak.
    pub is_beyond_rustls: bool,
    /// What came after the handshake.
    pub read: Option<ReadEnd>,
    /// Whether the peer sent a byte of its own after TLS had begun.
    pub is_answered: bool,
    /// Whether its first bytes look like a ServerHello.
    pub saw_hello: bool,
    /// When the handshakes of this try must end; absent before the first of them.
    pub handshake_end: Option<Instant>,
    /// Why there is no session. A hello of our own succeeds when the peer's flight came whole.
    pub result: Result<(), Failure>,
}

/// How long the steps of an attempt took. Steps that were not completed are absent, except for the
/// handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// From the request to the connection.
    pub connect: Option<Duration>,
    /// From the connection to the end of the dialogue before TLS.
    pub starttls: Option<Duration>,
    /// From the ClientHello to the end of the handshake, completed or not.
    pub handshake: Option<Duration>,
    /// From our goodbye to the end of what the peer sent.
    pub read: Option<Duration>,
}

/// A plaintext dialogue before TLS.
#[derive(Clone, Debug)]
pub struct Dialogue {
    /// Its protocol.
    pub protocol: &'static Protocol,
    /// How the peer greeted.
    pub banner: Option<String>,
}

/// A question with nothing in it, of whose answer the first read is kept.
impl Default for Bytes {
    fn default() -> Self {
        Self {
            what: "bytes as they are",
            question: Vec::new(),
            limit: FIRST_READ_LIMIT,
            is_whole: |_| true,
            is_choice: |answer| answer.first() == Some(&HANDSHAKE),
        }
    }
}

impl Attempt {
    /// An attempt of which only the result is known.
    pub fn new(dial: &Dial, result: Result<(), Failure>) -> Self {
        Self {
            speech: dial.speech.clone(),
            address: dial.address,
            times: Times::default(),
            sent: 0,
            received: 0,
            dialogue: None,
            agreed: None,
            seen: Seen::default(),
            has_chain: false,
            ocsp_stapled: None,
            examined: None,
            answer: None,
            first_read: Vec::new(),
            ech_rejection: None,
            is_refusal: false,
            is_beyond_rustls: false,
            read: None,
            is_answered: false,
            saw_hello: false,
            handshake_end: None,
            result,
        }
    }

    /// The IP address that was dialled.
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Whether a TCP connection was made.
    pub fn is_connected(&self) -> bool {
        self.times.connect.is_some()
    }

    /// The hello, if this was a handshake by rustls.
    pub fn hello(&self) -> Option<Hello> {
        match self.speech {
            Speech::Handshake(hello) => Some(hello),
            _ => None,
        }
    }

    /// Whether it ended in this stage, in one of these ways.
    pub fn failed(&self, stage: Stage, kinds: &[Kind]) -> bool {
        let failure = self.result.as_ref().err();
        failure.is_some_and(|failure| failure.stage == stage && kinds.contains(&failure.kind))
    }

    /// Whether it ended by a fault of this machine.
    pub fn is_local_failure(&self) -> bool {
        self.result.as_ref().is_err_and(|failure| failure.is_local())
    }

    /// Whether the peer took the ClientHello and gave no answer to it at all.
    pub fn is_unanswered(&self) -> bool {
        !self.is_answered && self.failed(Stage::Handshake, &[Kind::Reset, Kind::Eof, Kind::Timeout])
    }

    /// Whether the peer refused all the protocols of the ALPN extension that was offered.
    pub fn is_alpn_refused(&self) -> bool {
        let alert = self.result.as_ref().err().and_then(|failure| failure.alert);
        alert == Some(AlertDescription::NO_APPLICATION_PROTOCOL)
            && self.hello().is_some_and(|hello| hello.alpn.is_offered())
    }

    /// Whether the peer chose from the hello.
    pub fn has_chosen(&self) -> bool {
        match (&self.speech, &self.answer) {
            (Speech::Renegotiation(_), _) => self.first_read.first() == Some(&HANDSHAKE),
            (Speech::Raw(bytes), _) => (bytes.is_choice)(&self.first_read),
            (_, Some(answer)) => answer.server_hello().is_some(),
            (_, None) => self.saw_hello || self.agreed.is_some(),
        }
    }

    /// Whether the peer ended the connection without a word on what the hello offers. An alert such as
    /// internal_error is no such word.
    pub fn is_dropped(&self) -> bool {
        let is_cut = match &self.speech {
            // Some servers look for a certificate only after their ServerHello.
            Speech::Handshake(_) => self.has_chain,
            // A ticket is offered once, so nothing could be shown by asking again.
            Speech::Tailored(tailored) => self.has_chain || tailored.sessions.is_some(),
            _ => self.has_chosen(),
        };
        let is_closed = self.failed(Stage::Handshake, &[Kind::Eof, Kind::Reset]);
        !is_cut && (is_closed || self.alert().is_some_and(|alert| WORDLESS_ALERTS.contains(&alert)))
    }

    /// Whether the peer answered with an alert that blames what the hello offers.
    pub fn is_said(&self) -> bool {
        self.alert().is_some_and(|alert| {
            !WORDLESS_ALERTS.contains(&alert) && !UNRELATED_ALERTS.contains(&alert)
        })
    }

    /// Whether the peer refused what the hello offers.
    pub fn is_refused(&self) -> bool {
        self.is_refusal || self.is_said()
    }

    /// The alert that came instead of an answer.
    pub fn alert(&self) -> Option<AlertDescription> {
        match (&self.answer, &self.result) {
            (Some(answer), _) => answer.alert.map(|alert| alert.description),
            // More may have come in the same read, such as a goodbye.
            (None, _) if self.first_read.first() == Some(&ALERT) => {
                let answer = Answer::of_beginning(&self.first_read);
                answer.alert.filter(|_| answer.hello.is_none()).map(|alert| alert.description)
            }
            (None, Err(failure)) => failure.alert,
            (None, Ok(())) => None,
        }
    }

    /// Whether TLS of whatever version may be spoken at the other end.
    pub fn may_speak_tls(&self) -> bool {
        self.result.as_ref().err().is_none_or(|failure| {
            failure.stage == Stage::Handshake
                && (self.saw_hello || !matches!(failure.kind, Kind::Timeout | Kind::NotTls))
        })
    }

    /// Frees the bulk, because another attempt counts instead of this one.
    pub(super) fn give_up_bulk(&mut self) {
        self.examined = None;
        self.give_up_chain();
    }

    /// Frees the raw chain and staple.
    pub(super) fn give_up_chain(&mut self) {
        self.seen.chain = Vec::new();
        self.seen.ocsp = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// The answer to a question in raw bytes.
    fn answer(first_read: &[u8]) -> Attempt {
        let dial = Dial {
            address: (Ipv4Addr::LOCALHOST, 443).into(),
            speech: Speech::Raw(Box::default()),
            patience: Patience::Whole,
        };
        Attempt { first_read: first_read.to_vec(), ..Attempt::new(&dial, Ok(())) }
    }

    #[test]
    fn an_alert_is_seen_whatever_comes_behind_it_in_the_same_read() {
        const GOODBYE: [u8; 7] = [ALERT, 3, 3, 0, 2, 1, 0];
        for behind in [&[][..], &GOODBYE, &GOODBYE[..3], b"\0"] {
            let answer =
                |level, alert| answer(&[&[ALERT, 3, 3, 0, 2, level, alert], behind].concat());
            let refusal = answer(2, AlertDescription::PROTOCOL_VERSION.0);
            assert_eq!(refusal.alert(), Some(AlertDescription::PROTOCOL_VERSION), "{behind:?}");
            assert!(refusal.is_said() && !refusal.is_dropped());
            let overloaded = answer(2, AlertDescription::INTERNAL_ERROR.0);
            assert!(overloaded.is_dropped() && !overloaded.is_said(), "{behind:?}");
            assert!(answer(1, 0).is_dropped(), "{behind:?}");
        }
        for other in [&b"HTTP/1.1 400"[..], &[ALERT, 3, 3, 0, 2, 2], &[]] {
            assert_eq!(answer(other).alert(), None, "{other:?}");
        }
    }
}
