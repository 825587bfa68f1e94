//! Microsoft SQL Server: the pre-login of MS-TDS (sections 2.2.6.5 and 3.2.5.1).
//!
//! The client offers encryption, the server agrees, and the TLS handshake then travels inside
//! packets of the type PRELOGIN. Once it is over, TLS records go over the connection as they are.
//! TDS 8.0 needs none of this: there TLS comes first, with `tds/8.0` in ALPN.

use super::{Dialogue, Protocol, Step, broken, rejected};
use crate::bytes::Reader;
use crate::dial::framing::Framing;
use crate::failure::{Failure, Unpackable};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "mssql",
    schemes: &["mssql", "sqlserver"],
    ports: &[1433],
    alpn: &[],
    dialogue: |_| Box::new(Mssql { version: None }),
};

struct Mssql {
    version: Option<String>,
}

/// Types of packets (section 2.2.3.1.1).
const TABULAR_RESULT: u8 = 4;
const PRELOGIN: u8 = 18;

/// The status of a message's last packet (section 2.2.3.1.2).
const END_OF_MESSAGE: u8 = 1;

const HEADER: usize = 8;

/// The size that both sides keep to until the login agrees on another (section 2.2.3).
const PACKET_SIZE: usize = 4096;

/// The largest size that a login can agree on.
const LARGEST_PACKET: usize = 32_767;

/// Options of the pre-login.
const VERSION: u8 = 0;
const ENCRYPTION: u8 = 1;
const INSTANCE: u8 = 2;
const TERMINATOR: u8 = 0xff;

/// Values of the option ENCRYPTION. The server says OFF where it wants the login encrypted and no
/// more; the handshake is the same.
const ENCRYPT_OFF: u8 = 0;
const ENCRYPT_ON: u8 = 1;
const ENCRYPT_NOT_SUPPORTED: u8 = 2;
const ENCRYPT_REQUIRED: u8 = 3;

/// The token ERROR of a tabular result (section 2.2.7.10).
const ERROR: u8 = 0xaa;

/// A client of version 16 that wants everything encrypted, on the instance of this port.
const PRELOGIN_REQUEST: &[u8] = b"\x12\x01\x00\x2f\x00\x00\x01\x00\
    \x00\x00\x1a\x00\x06\x01\x00\x20\x00\x01\x02\x00\x21\x00\x01\x03\x00\x22\x00\x04\x04\x00\x26\x00\x01\xff\
    \x10\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00";

impl Dialogue for Mssql {
    fn open(&mut self) -> Vec<u8> {
        PRELOGIN_REQUEST.to_vec()
    }

    fn read(&mut self, input: &[u8]) -> Result<Option<(usize, Step)>, Failure> {
        let malformed = || broken("the peer's bytes are no TDS pre-login response", input);
        let mut message = Vec::new();
        let mut packets = Reader::new(input);
        let mut is_last = false;
        while !is_last {
            if packets.peek().is_some_and(|kind| kind != TABULAR_RESULT) {
                return Err(malformed());
            }
            let Some([_, status, high, low, ..]) = packets.array::<HEADER>() else {
                return Ok(None);
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            // Nobody has a use for an empty packet, and a stream of them would never end.
            let payload = length
                .checked_sub(HEADER)
                .filter(|&payload| payload > 0 && length <= LARGEST_PACKET);
            let Some(payload) = packets.take(payload.ok_or_else(malformed)?) else {
                return Ok(None);
            };
            message.extend_from_slice(payload);
            is_last = status & END_OF_MESSAGE != 0;
        }
        if let Some(words) = message.strip_prefix(&[ERROR]).map(error_message) {
            return Err(rejected("the server answered the pre-login with an error", &words));
        }
        self.respond(&message).ok_or_else(malformed)??;
        Ok(Some((input.len() - packets.rest().len(), Step::Upgrade(Vec::new()))))
    }

    fn banner(&self) -> Option<&[u8]> {
        self.version.as_deref().map(str::as_bytes)
    }

    fn framing(&self) -> Option<Box<dyn Framing>> {
        Some(Box::new(Packets::default()))
    }
}

impl Mssql {
    /// Reacts to the server's options. `None` when they are malformed.
    fn respond(&mut self, message: &[u8]) -> Option<Result<(), Failure>> {
        let [major, minor, build_high, build_low, subbuild_high, subbuild_low] =
            *option(message, VERSION)?.first_chunk()?;
        let build = u16::from_be_bytes([build_high, build_low]);
        let subbuild = u16::from_be_bytes([subbuild_high, subbuild_low]);
        self.version = Some(format!("{major}.{minor}.{build}.{subbuild}"));
        if option(message, INSTANCE).is_some_and(|refused| refused.first() == Some(&1)) {
            let detail = "the server says that it is another instance";
            return Some(Err(rejected(detail, message)));
        }
        match *option(message, ENCRYPTION)?.first()? {
            ENCRYPT_OFF | ENCRYPT_ON | ENCRYPT_REQUIRED => Some(Ok(())),
            ENCRYPT_NOT_SUPPORTED => Some(Err(rejected("the server does not offer TLS", message))),
            _ => None,
        }
    }
}

/// The value of an option. Each has a token, an offset from the start of the message, and a length.
fn option(message: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut options = Reader::new(message);
    loop {
        let token = options.u8()?;
        if token == TERMINATOR {
            return None;
        }
        let (offset, length) = (options.u16()?, options.u16()?);
        if token == wanted {
            return message.get(offset.into()..)?.get(..length.into());
        }
    }
}

/// The message of an ERROR token: text in UTF-16, after its length, number, state and class. The
/// token as it came when it is cut short.
fn error_message(token: &[u8]) -> Vec<u8> {
    let message = || {
        let (length, text) = token.get(8..)?.split_first_chunk()?;
        let text = text.get(..2 * usize::from(u16::from_le_bytes(*length)))?;
        let (units, _odd) = text.as_chunks();
        let units: Vec<_> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
        Some(String::from_utf16_lossy(&units).into_bytes())
    };
    message().unwrap_or_else(|| token.to_vec())
}

/// TLS inside packets.
#[derive(Debug, Default)]
struct Packets {
    /// The header of the packet under way, as far as it has come.
    header: Vec<u8>,
    /// Bytes that the packet under way still lacks.
    owed: usize,
    handshake_is_over: bool,
    /// The peer has begun to send TLS without packets, and does so from now on.
    is_bare: bool,
}

impl Framing for Packets {
    fn pack(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.handshake_is_over {
            out.extend_from_slice(bytes);
            return;
        }
        let mut packets = bytes.chunks(PACKET_SIZE - HEADER).peekable();
        let mut number: u8 = 1;
        while let Some(payload) = packets.next() {
            let status = if packets.peek().is_none() { END_OF_MESSAGE } else { 0 };
            // At most PACKET_SIZE, which fits.
            let [high, low] = ((HEADER + payload.len()) as u16).to_be_bytes();
            out.extend_from_slice(&[PRELOGIN, status, high, low, 0, 0, number, 0]);
            out.extend_from_slice(payload);
            number = number.wrapping_add(1);
        }
    }

    fn unpack(&mut self, bytes: &mut [u8]) -> Result<usize, Unpackable> {
        let mut unpacked = 0;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.is_bare || self.owed > 0 {
                let left = bytes.len() - at;
                let length = if self.is_bare { left } else { left.min(self.owed) };
                bytes.copy_within(at..at + length, unpacked);
                self.owed = self.owed.saturating_sub(length);
                unpacked += length;
                at += length;
            } else if self.header.is_empty() && !is_packet(byte) && self.handshake_is_over {
                self.is_bare = true;
            } else {
                self.read_header(byte)?;
                at += 1;
            }
        }
        Ok(unpacked)
    }

    fn end_handshake(&mut self) {
        self.handshake_is_over = true;
    }
}

impl Packets {
    fn read_header(&mut self, byte: u8) -> Result<(), Unpackable> {
        self.header.push(byte);
        match *self.header.as_slice() {
            [20..=24] => Err(Unpackable("the peer's TLS is not inside TDS packets")),
            [kind] if !is_packet(kind) => Err(Unpackable("the peer's bytes are no TDS packet")),
            [_, _, high, low, _, _, _, _] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                // Nobody has a use for an empty packet, and a stream of them would never end.
                let payload = length
                    .checked_sub(HEADER)
                    .filter(|&payload| payload > 0 && length <= LARGEST_PACKET);
                self.owed = payload.ok_or(Unpackable("the length of a TDS packet is invalid"))?;
                self.header.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Whether a packet of this type may carry TLS. SQL Server uses PRELOGIN; other servers use the
/// type of ordinary answers. No TLS record begins with either byte.
fn is_packet(kind: u8) -> bool {
    matches!(kind, PRELOGIN | TABULAR_RESULT)
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use super::*;
    use crate::failure::Kind;

    /// SQL Server 2019's, with MARS off.
    const RESPONSE: &[u8] = b"\x04\x01\x00\x2b\x00\x00\x01\x00\
        \x00\x00\x1a\x00\x06\x01\x00\x20\x00\x01\x02\x00\x21\x00\x01\x03\x00\x22\x00\x00\x04\x00\x22\x00\x01\xff\
        \x0f\x00\x10\x39\x00\x00\x01\x00\x00";

    fn with(offset: usize, value: u8) -> Vec<u8> {
        let mut response = RESPONSE.to_vec();
        response[offset] = value;
        response
    }

    /// The offsets of two values in [`RESPONSE`].
    const ENCRYPTION_AT: usize = 8 + 0x20;
    const INSTANCE_AT: usize = 8 + 0x21;

    #[test]
    fn upgrades() {
        for encryption in [ENCRYPT_OFF, ENCRYPT_ON, ENCRYPT_REQUIRED] {
            let response = with(ENCRYPTION_AT, encryption);
            let banner = upgrade_of("mssql", &[Us(PRELOGIN_REQUEST), Peer(&response)]);
            assert_eq!(banner.unwrap(), "15.0.4153.0");
        }
    }

    #[test]
    fn a_response_may_have_several_packets() {
        let (first, second) = RESPONSE[8..].split_at(11);
        let mut packets = vec![TABULAR_RESULT, 0, 0, 8 + 11, 0, 0, 1, 0];
        packets.extend(first);
        packets.extend([TABULAR_RESULT, 1, 0, 8 + second.len() as u8, 0, 0, 2, 0]);
        packets.extend(second);
        assert_eq!(upgrade_of("mssql", &[Peer(&packets)]).unwrap(), "15.0.4153.0");
    }

    #[test]
    fn refusals_are_in_the_server_s_words() {
        let failure = failure_of("mssql", &[Peer(&with(ENCRYPTION_AT, ENCRYPT_NOT_SUPPORTED))]);
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server does not offer TLS");

        let failure = failure_of("mssql", &[Peer(&with(INSTANCE_AT, 1))]);
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server says that it is another instance");

        let failure = failure_of(
            "mssql",
            &[Peer(
                b"\x04\x01\x00\x1d\x00\x00\x01\x00\xaa\x12\x00\x14\x43\x00\x00\x01\x10\x04\x00\
                F\0u\0l\0l\0\0\0",
            )],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.as_deref().unwrap(), "Full");
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let mut both = RESPONSE.to_vec();
        both.extend_from_slice(b"\x12\x01\x00\x09");
        assert_eq!(failure_of("mssql", &[Together(&both)]).kind, Kind::Rejected);
    }

    #[test]
    fn what_is_no_response_breaks_the_protocol() {
        for junk in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76",
            b"\x04\x01\x00\x07\x00\x00\x01\x00",
            b"\x04\x01\xff\xff\x00\x00\x01\x00",
            b"\x04\x01\x00\x09\x00\x00\x01\x00\xff",
            b"\x04\x01\x00\x0d\x00\x00\x01\x00\x00\xff\xff\x00\x06",
            &with(ENCRYPTION_AT, 7),
        ] {
            assert_eq!(failure_of("mssql", &[Peer(junk)]).kind, Kind::Protocol, "{junk:?}");
        }
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Packets::default().pack(bytes, &mut out);
        out
    }

    /// What comes of `bytes` in pieces of this size.
    fn unpacked(packets: &mut Packets, bytes: &[u8], size: usize) -> Result<Vec<u8>, Unpackable> {
        let mut out = Vec::new();
        for piece in bytes.chunks(size) {
            let mut piece = piece.to_vec();
            let length = packets.unpack(&mut piece)?;
            out.extend_from_slice(&piece[..length]);
        }
        Ok(out)
    }

    #[test]
    fn what_is_packed_comes_out_again_in_whatever_pieces() {
        let bytes: Vec<u8> = (0..10_000).map(|number| number as u8).collect();
        let packets = packed(&bytes);
        let headers = [0, 4096, 8192].map(|at| packets[at..at + HEADER].to_vec());
        assert_eq!(headers[0], [18, 0, 0x10, 0, 0, 0, 1, 0]);
        assert_eq!(headers[1], [18, 0, 0x10, 0, 0, 0, 2, 0]);
        assert_eq!(headers[2], [18, 1, 0x07, 0x28, 0, 0, 3, 0]);
        for size in [1, 2, 7, 8, 9, 4096, 20_000] {
            assert_eq!(unpacked(&mut Packets::default(), &packets, size).unwrap(), bytes);
        }
    }

    #[test]
    fn after_the_handshake_the_peer_may_go_on_with_packets_and_then_bare() {
        let mut stream = packed(b"ticket");
        stream.extend_from_slice(b"\x17\x03\x03bare\x12\x04");
        for size in [1, 3, 100] {
            let mut packets = Packets::default();
            packets.end_handshake();
            let out = unpacked(&mut packets, &stream, size).unwrap();
            assert_eq!(out, b"ticket\x17\x03\x03bare\x12\x04");
        }
        let mut out = Vec::new();
        let mut packets = Packets::default();
        packets.end_handshake();
        packets.pack(b"\x15\x03\x03", &mut out);
        assert_eq!(out, b"\x15\x03\x03");
    }

    #[test]
    fn bytes_that_are_not_packed_are_refused_at_once() {
        for (bytes, reason) in [
            (&b"\x16"[..], "the peer's TLS is not inside TDS packets"),
            (b"H", "the peer's bytes are no TDS packet"),
            (b"\x12\x01\x00\x07\x00\x00\x01\x00", "the length of a TDS packet is invalid"),
            (b"\x12\x01\x00\x08\x00\x00\x01\x00", "the length of a TDS packet is invalid"),
            (b"\x12\x01\x80\x00\x00\x00\x01\x00", "the length of a TDS packet is invalid"),
        ] {
            for size in [1, 100] {
                let refused = unpacked(&mut Packets::default(), bytes, size);
                assert_eq!(refused, Err(Unpackable(reason)), "{bytes:?}");
            }
        }
    }
}
