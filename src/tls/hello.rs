//! Reads the part of a server's answer that is not encrypted.
//!
//! Nothing here does I/O or cryptography. A [`Flight`] is fed bytes in pieces of any size, and
//! keeps the facts: up to TLS 1.2, everything up to ServerHelloDone; in TLS 1.3, the ServerHello or
//! HelloRetryRequest.

mod message;
mod offered;

pub use message::{KeyExchange, Parameters, ServerHello};
pub use offered::NotOffered;

use crate::certificate_count::CertificateCounter;
use crate::failure::{Failure, Kind, Stage, evidence};
use crate::greeting::not_tls;
pub use crate::limits::FLIGHT_LIMIT;
use crate::limits::MESSAGE_LIMIT;
use crate::names::content_type::{self, ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE};
use crate::names::{AlertDescription, Version};
use crate::tls::legacy::ClientHello;
use message::Malformed;

/// The facts of a server's first flight. What is absent was not sent, or not yet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// The HelloRetryRequest.
    pub retry: Option<ServerHello>,
    /// The ServerHello.
    pub hello: Option<ServerHello>,
    /// The certificates as they came, in DER; the first should be the leaf.
    pub certificates: Vec<Vec<u8>>,
    /// The stapled OCSP response, in DER.
    pub ocsp_response: Option<Vec<u8>>,
    /// The ServerKeyExchange.
    pub key_exchange: Option<KeyExchange>,
    /// Whether the flight came to its ServerHelloDone. Until then, a message that did not come may still
    /// have been on its way. Never true for TLS 1.3, whose flight is encrypted.
    pub is_done: bool,
    /// True when a client certificate was asked for.
    pub client_cert_requested: bool,
    /// The last alert, but for a goodbye behind one that says why.
    pub alert: Option<Alert>,
    /// What the server chose although it was not offered. Then nothing else of its answer is kept.
    pub not_offered: Option<NotOffered>,
}

impl Answer {
    /// What the server chose: its ServerHello or, without one, its HelloRetryRequest.
    pub fn server_hello(&self) -> Option<&ServerHello> {
        self.hello.as_ref().or(self.retry.as_ref())
    }

    /// The facts in the first bytes of an answer, which may end anywhere.
    pub fn of_beginning(bytes: &[u8]) -> Self {
        let mut flight = Flight::new();
        // The bytes need not be a whole flight, nor a good one.
        let _incomplete = flight.receive(bytes);
        flight.into_answer()
    }
}

/// An alert.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Alert {
    /// 1 is a warning, 2 is fatal.
    pub level: u8,
    /// What it says.
    pub description: AlertDescription,
}

/// Alerts that say nothing on what a hello offers.
pub const UNRELATED_ALERTS: [AlertDescription; 3] = [
    AlertDescription::ACCESS_DENIED,
    AlertDescription::USER_CANCELED,
    AlertDescription::UNRECOGNIZED_NAME,
];

/// Whether a [`Flight`] has come to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Nothing more comes in plain text unless the handshake goes on.
    Complete,
    /// The server has more to say.
    Incomplete,
}

/// Reads a server's first flight.
#[derive(Debug, Default)]
pub struct Flight {
    /// What the flight answers, if that is known. A choice of something else ends the flight.
    offer: Option<ClientHello>,
    answer: Answer,
    received: usize,
    records: usize,
    /// The header of the record that is under way, as far as it has come.
    header: Vec<u8>,
    /// Bytes that the record under way still lacks.
    owed: usize,
    /// The handshake message that is under way.
    message: Vec<u8>,
    certificates: CertificateCounter,
    alert_level: Option<u8>,
    ended: bool,
}

/// The longest record body: what RFC 5246, section 6.2.3, allows for a ciphertext.
const MAX_FRAGMENT: usize = (1 << 14) + 2048;

impl Flight {
    /// The start of a flight of which nobody knows what it answers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The start of a flight that answers this hello.
    pub fn answering(offer: ClientHello) -> Self {
        Self { offer: Some(offer), ..Self::default() }
    }

    /// The facts so far. They hold even when the flight ends early or is malformed.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The final facts.
    pub fn into_answer(self) -> Answer {
        self.answer
    }

    /// Reads more bytes. Bytes behind the end of the flight are ignored.
    pub fn receive(&mut self, mut input: &[u8]) -> Result<Progress, Failure> {
        while let Some((first, rest)) = input.split_first()
            && !self.ended
        {
            if self.received == FLIGHT_LIMIT {
                let detail = format!("the server's flight is over {FLIGHT_LIMIT} bytes");
                return Err(Failure::new(Stage::Handshake, Kind::TooLarge, detail));
            }
            if self.owed == 0 {
                self.received += 1;
                self.header.push(*first);
                self.read_header(input)?;
                input = rest;
            } else {
                let most = self.owed.min(FLIGHT_LIMIT - self.received);
                let (fragment, rest) = input.split_at_checked(most).unwrap_or((input, &[]));
                self.received += fragment.len();
                self.owed -= fragment.len();
                self.read_fragment(fragment)?;
                if self.owed == 0 {
                    self.header.clear();
                }
                input = rest;
            }
        }
        Ok(self.progress())
    }

    fn progress(&self) -> Progress {
        let retried = self.answer.retry.is_some() && self.answer.hello.is_none();
        if self.ended || retried { Progress::Complete } else { Progress::Incomplete }
    }

    /// Checks a record header byte by byte, because a peer that does not speak TLS may send fewer
    /// than five bytes.
    fn read_header(&mut self, input: &[u8]) -> Result<(), Failure> {
        match self.header.as_slice() {
            [kind] if content_type::KNOWN.contains(kind) => {}
            [_] if self.records == 0 => {
                let mut failure = Failure::new(Stage::Handshake, Kind::NotTls, not_tls(input));
                failure.evidence = Some(evidence(input));
                return Err(failure);
            }
            [_] => return Err(broken("a record's content type is unknown")),
            [_, major] if *major != 3 => return Err(broken("a record's version is unknown")),
            [_, _, _, high, low] => {
                self.owed = usize::from(u16::from_be_bytes([*high, *low]));
                self.records += 1;
                if self.owed > MAX_FRAGMENT {
                    return Err(broken("a record is longer than TLS allows"));
                }
                if self.owed == 0 {
                    self.header.clear();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn read_fragment(&mut self, fragment: &[u8]) -> Result<(), Failure> {
        match self.header.first() {
            Some(&HANDSHAKE) => {
                let mut rest = fragment;
                let counted = self.certificates.count_off(&mut rest);
                // The messages before the one that is too much are read, so that the facts do not
                // depend on the pieces in which a flight comes.
                let counted_bytes = fragment.len() - rest.len();
                self.message.extend_from_slice(fragment.get(..counted_bytes).unwrap_or(fragment));
                self.read_messages()?;
                match counted {
                    Err(too_much) if !self.ended => {
                        let detail = too_much.to_string();
                        Err(Failure::new(Stage::Handshake, Kind::TooLarge, detail))
                    }
                    // What stands behind the end does not count.
                    _ => Ok(()),
                }
            }
            Some(&ALERT) => {
                self.read_alerts(fragment);
                Ok(())
            }
            Some(&CHANGE_CIPHER_SPEC) if self.answer.retry.is_some() => Ok(()),
            Some(&CHANGE_CIPHER_SPEC) if self.answer.hello.is_some() => {
                self.ended = true;
                Ok(())
            }
            _ => Err(broken("a record is out of place")),
        }
    }

    fn read_alerts(&mut self, fragment: &[u8]) {
        for byte in fragment {
            if self.ended {
                break;
            }
            let Some(level) = self.alert_level.take() else {
                self.alert_level = Some(*byte);
                continue;
            };
            let description = AlertDescription(*byte);
            let is_goodbye = description == AlertDescription::CLOSE_NOTIFY;
            let says_why = |said: Alert| !UNRELATED_ALERTS.contains(&said.description);
            if !is_goodbye || !self.answer.alert.is_some_and(says_why) {
                self.answer.alert = Some(Alert { level, description });
            }
            // A warning may precede a good answer, unless it says goodbye.
            self.ended |= level != WARNING || is_goodbye;
        }
    }

    fn read_messages(&mut self) -> Result<(), Failure> {
        let mut message = std::mem::take(&mut self.message);
        let mut rest = message.as_slice();
        while let Some((&[kind, high, middle, low], behind)) = rest.split_first_chunk()
            && !self.ended
        {
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            if length > MESSAGE_LIMIT {
                let detail = format!("the server's handshake message is of {length} bytes");
                return Err(Failure::new(Stage::Handshake, Kind::TooLarge, detail));
            }
            let Some((body, behind)) = behind.split_at_checked(length) else {
                break;
            };
            self.read_message(kind, body)?;
            rest = behind;
        }
        let read = message.len() - rest.len();
        message.drain(..read);
        self.message = message;
        Ok(())
    }

    /// Reads a message, unless the server chose in it what was not offered.
    fn read_message(&mut self, kind: u8, body: &[u8]) -> Result<(), Failure> {
        self.read_body(kind, body)?;
        if let Err(not_offered) = self.check(kind) {
            self.answer = Answer { not_offered: Some(not_offered), ..Answer::default() };
            return Err(broken(not_offered.to_string()));
        }
        Ok(())
    }

    /// Checks the choice in a message of this kind, which was read.
    fn check(&self, kind: u8) -> Result<(), NotOffered> {
        let Some(offer) = &self.offer else {
            return Ok(());
        };
        let Answer { hello, retry, key_exchange, .. } = &self.answer;
        match kind {
            SERVER_HELLO => hello.as_ref().or(retry.as_ref()).map_or(Ok(()), |h| offer.check(h)),
            SERVER_KEY_EXCHANGE => {
                key_exchange.as_ref().map_or(Ok(()), |exchange| offer.check_key_exchange(exchange))
            }
            _ => Ok(()),
        }
    }

    fn read_body(&mut self, kind: u8, body: &[u8]) -> Result<(), Failure> {
        let answer = &mut self.answer;
        let malformed = |Malformed(what)| broken(format!("the server's {what} is malformed"));
        let Some(hello) = &answer.hello else {
            return match kind {
                SERVER_HELLO => {
                    let hello = ServerHello::parse(body).map_err(malformed)?;
                    if !hello.is_retry_request() {
                        self.ended = hello.version() == Version::TLS_1_3;
                        answer.hello = Some(hello);
                    } else if answer.retry.replace(hello).is_some() {
                        return Err(broken("the server asks for a second retry"));
                    }
                    Ok(())
                }
                HELLO_REQUEST => Ok(()),
                _ => Err(broken("a handshake message stands before the ServerHello")),
            };
        };
        match kind {
            CERTIFICATE if answer.certificates.is_empty() => {
                answer.certificates = message::certificates(body).map_err(malformed)?;
            }
            CERTIFICATE_STATUS => {
                answer.ocsp_response = message::ocsp_response(body).map_err(malformed)?;
            }
            SERVER_KEY_EXCHANGE => {
                let key_exchange = KeyExchange::parse(hello, body).map_err(malformed)?;
                answer.key_exchange = Some(key_exchange);
            }
            CERTIFICATE_REQUEST => answer.client_cert_requested = true,
            SERVER_HELLO_DONE => {
                answer.is_done = true;
                self.ended = true;
            }
            SERVER_HELLO | CERTIFICATE => {
                return Err(broken("a handshake message comes a second time"));
            }
            // Other messages may stand in the flight, such as NewSessionTicket.
            _ => {}
        }
        Ok(())
    }
}

const WARNING: u8 = 1;

const HELLO_REQUEST: u8 = 0;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_KEY_EXCHANGE: u8 = 12;
const CERTIFICATE_REQUEST: u8 = 13;
const SERVER_HELLO_DONE: u8 = 14;
const CERTIFICATE_STATUS: u8 = 22;

fn broken(detail: impl Into<String>) -> Failure {
    Failure::new(Stage::Handshake, Kind::Protocol, detail)
}

#[cfg(test)]
mod tests;
