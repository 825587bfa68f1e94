//! Plaintext dialogues that end in TLS.
//!
//! Nothing here does I/O. A [`Conversation`] is given what the peer sent, in pieces of any size,
//! and says what to do next. Each protocol is one file and one row of a table. The command line's
//! parser, the help and the choice by port come from that table.

mod lines;

mod ftp;
mod imap;
mod irc;
mod ldap;
mod lmtp;
mod mssql;
mod mysql;
mod nntp;
mod pop3;
mod postgres;
mod rdp;
mod sieve;
mod smtp;
mod xmpp;

#[cfg(test)]
mod script;

use std::fmt;

use crate::dial::framing::Framing;
use crate::failure::{Failure, Kind, Stage, evidence};
pub use crate::limits::{BANNER_LIMIT, PLAINTEXT_LIMIT};

/// Every protocol that can turn to TLS.
pub const PROTOCOLS: &[Protocol] = &[
    ftp::PROTOCOL,
    imap::PROTOCOL,
    irc::PROTOCOL,
    ldap::PROTOCOL,
    lmtp::PROTOCOL,
    mssql::PROTOCOL,
    mysql::PROTOCOL,
    nntp::PROTOCOL,
    pop3::PROTOCOL,
    postgres::PROTOCOL,
    rdp::PROTOCOL,
    sieve::PROTOCOL,
    smtp::PROTOCOL,
    xmpp::CLIENT,
    xmpp::SERVER,
];

/// The name by which we greet: it is a name, as servers ask for, and resolves nowhere.
const OUR_NAME: &str = "tlsweep.invalid";

/// A protocol that can turn to TLS.
pub struct Protocol {
    /// Its name on the command line and in the record.
    pub name: &'static str,
    /// The URL schemes that mean it.
    pub schemes: &'static [&'static str],
    /// The ports where it is expected; the first is the default of its schemes.
    pub ports: &'static [u16],
    /// What it offers in the ALPN extension, by IANA's names; empty where it has none.
    pub alpn: &'static [&'static str],
    dialogue: fn(host: &str) -> Box<dyn Dialogue>,
}

impl Protocol {
    /// The protocol of this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        PROTOCOLS.iter().find(|known| known.name == name)
    }

    /// The protocol that is expected at this port.
    pub fn by_port(port: u16) -> Option<&'static Self> {
        PROTOCOLS.iter().find(|known| known.ports.contains(&port))
    }

    /// The protocol that this URL scheme means.
    pub fn by_scheme(scheme: &str) -> Option<&'static Self> {
        PROTOCOLS.iter().find(|known| {
            let mut schemes = known.schemes.iter();
            schemes.any(|known| known.eq_ignore_ascii_case(scheme))
        })
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Protocol").field(&self.name).finish()
    }
}

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Send these bytes, then read on.
    Send(Vec<u8>),
    /// Send these bytes, if there are any, and begin the handshake.
    Upgrade(Vec<u8>),
    /// Read on.
    Wait,
}

/// One protocol's part in a [`Conversation`].
trait Dialogue: Send {
    /// What to say before the peer has spoken; nothing to a peer that greets.
    fn open(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Reads one message off the front of `input`: how long it is, at least one byte, and what
    /// follows from it. `None` until it is whole.
    fn read(&mut self, input: &[u8]) -> Result<Option<(usize, Step)>, Failure>;

    /// The peer's greeting.
    fn banner(&self) -> Option<&[u8]> {
        None
    }

    /// How TLS is packed until the handshake is over; not at all with most protocols.
    fn framing(&self) -> Option<Box<dyn Framing>> {
        None
    }
}

/// A dialogue under way with one peer.
pub struct Conversation {
    dialogue: Box<dyn Dialogue>,
    pending: Vec<u8>,
    received: usize,
}

impl Conversation {
    /// The start of a dialogue with `host`, the name that the peer is to answer for.
    pub fn new(protocol: &Protocol, host: &str) -> Self {
        Self { dialogue: (protocol.dialogue)(host), pending: Vec::new(), received: 0 }
    }

    /// What to do before the peer has spoken.
    pub fn open(&mut self) -> Step {
        send_or_wait(self.dialogue.open())
    }

    /// What follows from these bytes, in whatever pieces they come.
    ///
    /// After an error or [`Step::Upgrade`] the conversation is over.
    pub fn receive(&mut self, input: &[u8]) -> Result<Step, Failure> {
        let room = PLAINTEXT_LIMIT - self.received;
        let (input, beyond) = input.split_at_checked(room).unwrap_or((input, &[]));
        self.received += input.len();
        self.pending.extend_from_slice(input);

        let mut answer = Vec::new();
        let mut rest = self.pending.as_slice();
        while let Some((length, step)) = self.dialogue.read(rest)? {
            rest = rest.get(length..).unwrap_or_default();
            match step {
                Step::Send(bytes) => answer.extend(bytes),
                Step::Upgrade(_) if !answer.is_empty() => {
                    return Err(rejected(
                        "the peer agreed to TLS before it was asked",
                        &self.pending,
                    ));
                }
                Step::Upgrade(_) if !rest.is_empty() || !beyond.is_empty() => {
                    let words = if rest.is_empty() { beyond } else { rest };
                    return Err(rejected(
                        "the peer sent plain text behind its consent to TLS",
                        words,
                    ));
                }
                Step::Upgrade(bytes) => return Ok(Step::Upgrade(bytes)),
                Step::Wait => {}
            }
        }
        if !beyond.is_empty() {
            let detail = format!("over {PLAINTEXT_LIMIT} bytes of plain text before TLS");
            return Err(failure(Kind::TooLarge, detail, &self.pending));
        }
        let read = self.pending.len() - rest.len();
        self.pending.drain(..read);
        Ok(send_or_wait(answer))
    }

    /// How TLS is packed from here on, until the handshake is over.
    pub fn framing(&self) -> Option<Box<dyn Framing>> {
        self.dialogue.framing()
    }

    /// The peer's greeting, or the version that it gave in its place, as it came.
    pub fn banner(&self) -> Option<String> {
        let banner = self.dialogue.banner()?;
        let kept = banner.get(..BANNER_LIMIT).unwrap_or(banner);
        Some(String::from_utf8_lossy(kept).into_owned())
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").field("received", &self.received).finish_non_exhaustive()
    }
}

fn send_or_wait(bytes: Vec<u8>) -> Step {
    if bytes.is_empty() { Step::Wait } else { Step::Send(bytes) }
}

/// The peer will not upgrade, in its own words.
fn rejected(detail: impl Into<String>, words: &[u8]) -> Failure {
    failure(Kind::Rejected, detail, words)
}

/// The peer does not speak this protocol.
fn broken(detail: impl Into<String>, words: &[u8]) -> Failure {
    failure(Kind::Protocol, detail, words)
}

fn failure(kind: Kind, detail: impl Into<String>, words: &[u8]) -> Failure {
    let mut failure = Failure::new(Stage::Starttls, kind, detail);
    failure.evidence = (!words.is_empty()).then(|| evidence(words));
    failure
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_schemes_and_ports_are_unambiguous() {
        let mut seen = HashSet::new();
        for protocol in PROTOCOLS {
            assert!(seen.insert(protocol.name.to_owned()));
            for port in protocol.ports {
                assert!(seen.insert(port.to_string()), "{port}");
            }
        }
        let mut seen = HashSet::new();
        for scheme in PROTOCOLS.iter().flat_map(|protocol| protocol.schemes) {
            assert!(seen.insert(scheme), "{scheme}");
        }
        assert!(PROTOCOLS.is_sorted_by_key(|protocol| protocol.name));
    }

    #[test]
    fn protocols_are_found() {
        for (port, name) in [
            (25, "smtp"),
            (587, "smtp"),
            (143, "imap"),
            (110, "pop3"),
            (21, "ftp"),
            (119, "nntp"),
            (4190, "sieve"),
            (5222, "xmpp"),
            (5269, "xmpp-server"),
            (389, "ldap"),
            (5432, "postgres"),
            (1433, "mssql"),
            (3306, "mysql"),
            (6667, "irc"),
            (3389, "rdp"),
        ] {
            assert_eq!(Protocol::by_port(port).unwrap().name, name);
        }
        assert_eq!(Protocol::by_scheme("PostgreSQL").unwrap().name, "postgres");
        assert_eq!(Protocol::by_name("lmtp").unwrap().ports.first(), Some(&24));
        assert!(Protocol::by_port(443).is_none());
    }

    #[test]
    fn no_peer_gets_past_the_limit() {
        for protocol in PROTOCOLS {
            for byte in 0..=255 {
                let mut conversation = Conversation::new(protocol, "example.com");
                conversation.open();
                let flood = vec![byte; PLAINTEXT_LIMIT + 1];
                assert!(conversation.receive(&flood).is_err(), "{protocol:?} {byte:#04x}");
                assert!(conversation.pending.len() <= PLAINTEXT_LIMIT);
            }
        }
    }

    #[test]
    fn no_protocol_takes_another_s_first_words_for_consent() {
        for words in [
            &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..],
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            b"\x15\x03\x01\x00\x02\x02\x46",
            b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03",
            b"RFB 003.008\n",
        ] {
            for protocol in PROTOCOLS {
                let mut conversation = Conversation::new(protocol, "example.com");
                conversation.open();
                let failure = conversation.receive(words).unwrap_err();
                // To PostgreSQL, the first byte of SSH is consent with more behind it.
                let spoken = matches!(failure.kind, Kind::Protocol | Kind::Rejected);
                assert!(spoken, "{protocol:?} {words:?}");
                assert!(failure.evidence.is_some());
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_a_dialogue_panic(which in 0..PROTOCOLS.len(), input: Vec<u8>, cut: usize) {
            let mut conversation = Conversation::new(&PROTOCOLS[which], "example.com");
            conversation.open();
            let (first, second) = input.split_at(cut % (input.len() + 1));
            if conversation.receive(first).is_ok() {
                let _any_outcome = conversation.receive(second);
            }
        }
    }
}
