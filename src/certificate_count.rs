//! Counts the certificates and the bytes of a handshake as they arrive.
//!
//! rustls keeps a parsed certificate list until the connection ends. An empty certificate takes
//! three bytes on the wire and 24 to 48 in memory, so a 64 KiB message of them costs a megabyte
//! per connection. Counting before rustls parses the message ends such a handshake at once. rustls also
//! keeps other messages of up to 64 KiB each, so the sum of all messages is bounded, too.

use std::fmt;

use crate::limits::{HANDSHAKE_LIMIT, MAX_CERTIFICATES};
use crate::names::content_type::{ALERT, HANDSHAKE};

/// The limit that a handshake exceeded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TooMuch {
    /// More than [`MAX_CERTIFICATES`] certificates.
    Certificates,
    /// More than [`HANDSHAKE_LIMIT`] bytes of messages.
    Bytes,
}

/// The form of a Certificate message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// TLS 1.2 and before: a list of certificates (RFC 5246, section 7.4.2).
    Tls12,
    /// TLS 1.3: a request context, then certificates with extensions (RFC 8446, section 4.4.2).
    Tls13,
}

/// Follows a stream of handshake messages, in whatever pieces they come.
///
/// It accepts malformed messages. Its only duty is to count at least as many certificates as any
/// parser of the same bytes could find.
#[derive(Debug)]
pub(crate) struct CertificateCounter {
    form: Form,
    count: usize,
    /// The announced length of all messages so far, including those that are not complete.
    total: usize,
    /// Bytes of the current message that have not arrived yet; 0 between messages.
    message: usize,
    field: Field,
    /// The length field that is being read. `digits` counts its bytes that have not arrived yet.
    number: usize,
    digits: u8,
    /// Bytes to skip before the next field.
    skipped: usize,
}

impl Default for CertificateCounter {
    /// A counter for messages in plain text.
    fn default() -> Self {
        Self::new(Form::Tls12)
    }
}

/// The field that comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    /// Type and length of a message.
    Header,
    ContextLength,
    ListLength,
    CertificateLength,
    ExtensionsLength,
}

/// The type of a Certificate message.
const CERTIFICATE: usize = 11;

/// The types of messages that follow a handshake of TLS 1.3: NewSessionTicket and KeyUpdate. They are
/// not kept in memory, so their number is not limited. In TLS 1.2 a ticket is part of the handshake.
const AFTERWARDS: [usize; 2] = [4, 24];

impl CertificateCounter {
    /// A counter for a stream that begins with a new message.
    pub(crate) const fn new(form: Form) -> Self {
        Self {
            form,
            count: 0,
            total: 0,
            message: 0,
            field: Field::Header,
            number: 0,
            digits: Field::Header.digits(),
            skipped: 0,
        }
    }

    /// Counts the certificates that begin in these bytes.
    ///
    /// # Errors
    /// The stream has more than [`MAX_CERTIFICATES`] of them, or more than [`HANDSHAKE_LIMIT`] bytes of
    /// messages.
    pub(crate) fn receive(&mut self, mut bytes: &[u8]) -> Result<(), TooMuch> {
        self.count_off(&mut bytes)
    }

    /// Counts like [`CertificateCounter::receive`], and takes off what it has counted: all bytes, or
    /// those before the one that was too much.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn count_off(&mut self, bytes: &mut &[u8]) -> Result<(), TooMuch> {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.skipped > 0 {
                let (skipped, rest) = bytes.split_at(self.skipped.min(bytes.len()));
                self.skipped -= skipped.len();
                self.message = self.message.saturating_sub(skipped.len());
                *bytes = rest;
            } else {
                self.message = self.message.saturating_sub(1);
                self.number = self.number << 8 | usize::from(first);
                self.digits -= 1;
                if self.digits == 0 {
                    self.end_number()?;
                }
                *bytes = rest;
            }
            if self.skipped == 0 && self.message == 0 && self.field != Field::Header {
                self.expect(Field::Header);
            }
        }
        Ok(())
    }

    fn end_number(&mut self) -> Result<(), TooMuch> {
        let number = self.number;
        match self.field {
            Field::Header => {
                let (kind, length) = (number >> 24, number & 0xff_ffff);
                self.message = length;
                if self.form == Form::Tls12 || !AFTERWARDS.contains(&kind) {
                    self.total += length;
                }
                if self.total > HANDSHAKE_LIMIT {
                    return Err(TooMuch::Bytes);
                }
                match (kind, self.form) {
                    (CERTIFICATE, Form::Tls12) => self.expect(Field::ListLength),
                    (CERTIFICATE, Form::Tls13) => self.expect(Field::ContextLength),
                    _ => {
                        self.expect(Field::Header);
                        self.skipped = length;
                    }
                }
            }
            Field::ContextLength => {
                self.expect(Field::ListLength);
                self.skip(number);
            }
            Field::ListLength => self.expect(Field::CertificateLength),
            Field::CertificateLength => {
                self.count += 1;
                if self.count > MAX_CERTIFICATES {
                    return Err(TooMuch::Certificates);
                }
                self.expect(match self.form {
                    Form::Tls12 => Field::CertificateLength,
                    Form::Tls13 => Field::ExtensionsLength,
                });
                self.skip(number);
            }
            Field::ExtensionsLength => {
                self.expect(Field::CertificateLength);
                self.skip(number);
            }
        }
        Ok(())
    }

    fn expect(&mut self, field: Field) {
        self.field = field;
        self.number = 0;
        self.digits = field.digits();
    }

    /// Skips a field's body, but never more than the rest of the message.
    fn skip(&mut self, length: usize) {
        self.skipped = length.min(self.message);
    }
}

/// Follows the records of a server until its messages are encrypted.
#[derive(Debug)]
pub(crate) struct PlaintextCounter {
    messages: CertificateCounter,
    header: [u8; RECORD_HEADER],
    /// Bytes of the header that have come.
    filled: usize,
    /// Bytes of the current record's body that have not come yet.
    body: usize,
    is_encrypted: bool,
}

/// Content type, version and length of a record.
const RECORD_HEADER: usize = 5;

impl PlaintextCounter {
    /// A counter for a connection on which no TLS was received yet.
    pub(crate) const fn new() -> Self {
        Self {
            messages: CertificateCounter::new(Form::Tls12),
            header: [0; RECORD_HEADER],
            filled: 0,
            body: 0,
            is_encrypted: false,
        }
    }

    /// Counts the certificates that begin in these bytes, up to the first encrypted record.
    ///
    /// # Errors
    /// There were too many of them, or too many bytes of messages.
    pub(crate) fn receive(&mut self, mut bytes: &[u8]) -> Result<(), TooMuch> {
        while !bytes.is_empty() && !self.is_encrypted {
            if self.body == 0 {
                let room = self.header.get_mut(self.filled..).unwrap_or_default();
                let taken = room.len().min(bytes.len());
                let (header, rest) = bytes.split_at(taken);
                room.iter_mut().zip(header).for_each(|(place, byte)| *place = *byte);
                self.filled += taken;
                bytes = rest;
                if self.filled == RECORD_HEADER {
                    let [kind, _, _, high, low] = self.header;
                    self.filled = 0;
                    self.body = usize::from(u16::from_be_bytes([high, low]));
                    // Alerts may stand between messages. Everything after ChangeCipherSpec is ciphertext,
                    // as is application data.
                    self.is_encrypted = !matches!(kind, HANDSHAKE | ALERT);
                }
            } else {
                let (body, rest) = bytes.split_at(self.body.min(bytes.len()));
                self.body -= body.len();
                bytes = rest;
                if self.header.first() == Some(&HANDSHAKE) {
                    self.messages.receive(body)?;
                }
            }
        }
        Ok(())
    }
}

impl Default for PlaintextCounter {
    fn default() -> Self {
        Self::new()
    }
}

impl Field {
    const fn digits(self) -> u8 {
        match self {
            Self::Header => 4,
            Self::ContextLength => 1,
            Self::ListLength | Self::CertificateLength => 3,
            Self::ExtensionsLength => 2,
        }
    }
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificates => {
                write!(f, "the peer sent more than {MAX_CERTIFICATES} certificates")
            }
            Self::Bytes => {
                let kib = HANDSHAKE_LIMIT / 1024;
                write!(f, "the messages of the handshake have more than {kib} KiB")
            }
        }
    }
}

impl std::error::Error for TooMuch {}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed<const N: usize>(body: &[u8]) -> Vec<u8> {
        let length = body.len().to_be_bytes();
        [&length[length.len() - N..], body].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &prefixed::<3>(body)].concat()
    }

    /// A Certificate message with `count` certificates of `size` bytes.
    fn certificate(form: Form, count: usize, size: usize) -> Vec<u8> {
        let one = prefixed::<3>(&vec![0xff; size]);
        message(
            11,
            &match form {
                Form::Tls12 => prefixed::<3>(&one.repeat(count)),
                Form::Tls13 => {
                    let one = [one, prefixed::<2>(&[11; 7])].concat();
                    [prefixed::<1>(b"context"), prefixed::<3>(&one.repeat(count))].concat()
                }
            },
        )
    }

    fn receive(form: Form, stream: &[u8], piece: usize) -> Result<usize, TooMuch> {
        let mut counter = CertificateCounter::new(form);
        for piece in stream.chunks(piece) {
            counter.receive(piece)?;
        }
        Ok(counter.count)
    }

    #[test]
    fn certificates_are_counted_in_whatever_pieces_they_come() {
        for form in [Form::Tls12, Form::Tls13] {
            for size in [0, 1, 300] {
                for count in [0, 1, 65, MAX_CERTIFICATES, MAX_CERTIFICATES + 1] {
                    let stream = [
                        message(2, &[11; 70]),
                        message(8, &[]),
                        certificate(form, count, size),
                        message(14, &[]),
                    ];
                    for piece in [1, 2, 5, 1000, usize::MAX] {
                        let counted = receive(form, &stream.concat(), piece);
                        let expected = if count > MAX_CERTIFICATES {
                            Err(TooMuch::Certificates)
                        } else {
                            Ok(count)
                        };
                        assert_eq!(counted, expected, "{form:?} {size} {count} {piece}");
                    }
                }
            }
        }
    }

    #[test]
    fn messages_are_counted_together() {
        for form in [Form::Tls12, Form::Tls13] {
            for (kinds, expected) in [
                (&[22, 22][..], Ok(0)),
                (&[22, 22, 12], Err(TooMuch::Bytes)),
                (&[22, 12, 13], Err(TooMuch::Bytes)),
                // In TLS 1.3 tickets and new keys may come for as long as the connection lasts.
                (&[4, 4, 4, 24, 24], if form == Form::Tls13 { Ok(0) } else { Err(TooMuch::Bytes) }),
            ] {
                let messages = kinds.iter().map(|kind| message(*kind, &[0; HANDSHAKE_LIMIT / 2]));
                let stream = messages.collect::<Vec<_>>().concat();
                for piece in [1000, usize::MAX] {
                    assert_eq!(receive(form, &stream, piece), expected, "{form:?} {kinds:?}");
                }
            }
            // The limit applies as soon as a message's length is announced.
            let announced = [message(22, &[0; HANDSHAKE_LIMIT]), vec![12, 0, 0, 1]].concat();
            assert_eq!(receive(form, &announced, 99), Err(TooMuch::Bytes));
        }
    }

    #[test]
    fn plaintext_records_are_counted_until_ciphertext() {
        let record = |kind: u8, body: &[u8]| [&[kind, 3, 3][..], &prefixed::<2>(body)].concat();
        let too_many = certificate(Form::Tls12, MAX_CERTIFICATES + 1, 2);
        let in_the_clear = too_many.chunks(100).map(|part| record(22, part)).collect::<Vec<_>>();
        let alert = record(21, &[1, 112]);
        for (before, expected) in [
            (vec![], Err(TooMuch::Certificates)),
            (alert, Err(TooMuch::Certificates)),
            (record(20, &[1]), Ok(())),
            (record(23, &[0; 50]), Ok(())),
        ] {
            let stream = [before, in_the_clear.concat()].concat();
            for piece in [1, 7, 4096] {
                let mut counter = PlaintextCounter::new();
                let result = stream.chunks(piece).try_for_each(|bytes| counter.receive(bytes));
                assert_eq!(result, expected, "pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_follows_a_malformed_message_is_counted() {
        for form in [Form::Tls12, Form::Tls13] {
            // The list ends in the middle of a length field, or a length exceeds the data.
            let whole = certificate(form, 3, 9);
            for cut in 0..whole.len() - 4 {
                let stream =
                    [message(11, &whole[4..][..cut]), certificate(form, MAX_CERTIFICATES + 1, 0)];
                assert!(receive(form, &stream.concat(), 3).is_err(), "{form:?} {cut}");
            }
        }
    }
}
