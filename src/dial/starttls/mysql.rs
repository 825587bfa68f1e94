//! MySQL and MariaDB: the SSLRequest of the connection phase.

use super::{Dialogue, Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "mysql",
    schemes: &["mysql", "mariadb"],
    ports: &[3306],
    alpn: &[],
    dialogue: |_| Box::new(Mysql { version: None }),
};

struct Mysql {
    version: Option<Vec<u8>>,
}

const CLIENT_LONG_PASSWORD: u32 = 0x0001;
const CLIENT_PROTOCOL_41: u32 = 0x0200;
const CLIENT_SSL: u32 = 0x0800;
const CLIENT_SECURE_CONNECTION: u32 = 0x8000;

const MAX_PACKET: u32 = 1 << 24;
const UTF8: u8 = 33;

/// The only protocol version whose handshake can negotiate TLS.
const PROTOCOL_10: u8 = 10;
const ERR: u8 = 0xff;

impl Dialogue for Mysql {
    fn read(&mut self, input: &[u8]) -> Result<Option<(usize, Step)>, Failure> {
        let Some((&[low, middle, high, sequence, kind], _)) = input.split_first_chunk() else {
            return Ok(None);
        };
        if sequence != 0 || !matches!(kind, 9 | PROTOCOL_10 | ERR) {
            return Err(broken("the peer's bytes are no MySQL greeting", input));
        }
        let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
        let Some(payload) = input.get(4..4 + length) else {
            return Ok(None);
        };
        if kind == ERR {
            return Err(rejected(
                "the server refused the session",
                payload.get(3..).unwrap_or_default(),
            ));
        }
        self.greeting(payload)?;
        Ok(Some((4 + length, Step::Upgrade(ssl_request()))))
    }

    fn banner(&self) -> Option<&[u8]> {
        self.version.as_deref()
    }
}

impl Mysql {
    fn greeting(&mut self, payload: &[u8]) -> Result<(), Failure> {
        let malformed = || broken("the peer's bytes are no MySQL greeting", payload);
        let (kind, payload) = payload.split_first().ok_or_else(malformed)?;
        let end = payload.iter().position(|byte| *byte == 0);
        let (version, rest) = payload.split_at(end.ok_or_else(malformed)?);
        self.version = Some(version.to_vec());
        // The capabilities follow a NUL, the thread id, the scramble and a filler byte.
        let capabilities = match rest.get(14..16) {
            Some(&[low, high]) => u32::from(u16::from_le_bytes([low, high])),
            _ => 0,
        };
        if *kind != PROTOCOL_10 || capabilities & CLIENT_SSL == 0 {
            return Err(rejected("the server does not offer TLS", version));
        }
        Ok(())
    }
}

fn ssl_request() -> Vec<u8> {
    let capabilities =
        CLIENT_LONG_PASSWORD | CLIENT_PROTOCOL_41 | CLIENT_SSL | CLIENT_SECURE_CONNECTION;
    let mut packet = vec![32, 0, 0, 1];
    packet.extend(capabilities.to_le_bytes());
    packet.extend(MAX_PACKET.to_le_bytes());
    packet.push(UTF8);
    packet.extend([0; 23]);
    packet
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use super::*;
    use crate::failure::Kind;

    /// MariaDB's.
    const GREETING: &[u8] = b"\x63\x00\x00\x00\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0\x1f\0\0\0\
        Zx1}Ck3q\0\xfe\xff\x2d\x02\x00\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0\
        nJ(QZ4d^3r1i\0mysql_native_password\0";

    fn without_tls() -> Vec<u8> {
        let mut greeting = GREETING.to_vec();
        let high = greeting.iter().position(|byte| *byte == 0xfe).unwrap() + 1;
        greeting[high] &= 0xf7;
        greeting
    }

    #[test]
    fn upgrades() {
        let banner = upgrade_of("mysql", &[Peer(GREETING), Us(&ssl_request())]);
        assert_eq!(banner.unwrap(), "5.5.5-10.11.6-MariaDB-0+deb12u1");
        assert_eq!(ssl_request().len(), 36);
    }

    #[test]
    fn refusals_are_in_the_server_s_words() {
        let failure = failure_of(
            "mysql",
            &[Peer(b"\x2a\x00\x00\x00\xff\x6a\x04Host '192.0.2.1' is not allowed to conn")],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(
            failure.evidence.as_deref().unwrap(),
            "Host \\'192.0.2.1\\' is not allowed to conn"
        );

        let failure = failure_of("mysql", &[Peer(&without_tls())]);
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server does not offer TLS");
    }

    #[test]
    fn bytes_behind_the_greeting_are_an_injection() {
        let mut both = GREETING.to_vec();
        both.extend_from_slice(b"\x16\x03\x03");
        assert_eq!(failure_of("mysql", &[Together(&both)]).kind, Kind::Rejected);
    }

    #[test]
    fn what_is_no_greeting_breaks_the_protocol() {
        for junk in [
            &b"220 mx.example.com\r\n"[..],
            b"\x05\x00\x00\x00\x0b\x00\x08\x05\x1a",
            b"\x02\x00\x00\x00\x0a8",
        ] {
            assert_eq!(failure_of("mysql", &[Peer(junk)]).kind, Kind::Protocol);
        }
        let mut long = vec![0xff, 0xff, 0xff, 0, PROTOCOL_10];
        long.resize(17_000, b'8');
        assert_eq!(failure_of("mysql", &[Peer(&long)]).kind, Kind::TooLarge);
    }
}
