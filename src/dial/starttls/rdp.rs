//! RDP: the negotiation inside the X.224 connection request (MS-RDPBCGR, section 2.2.1).

use super::{Dialogue, Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "rdp",
    schemes: &["rdp"],
    ports: &[3389],
    alpn: &[],
    dialogue: |_| Box::new(Rdp),
};

struct Rdp;

/// Asks for TLS, bare or under CredSSP: servers that insist on the latter refuse the former.
const CONNECTION_REQUEST: &[u8] =
    b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00";

const TPKT_VERSION: u8 = 3;
const CONNECTION_CONFIRM: u8 = 0xd0;
const NEG_RESPONSE: u8 = 2;
const NEG_FAILURE: u8 = 3;

impl Dialogue for Rdp {
    fn open(&mut self) -> Vec<u8> {
        CONNECTION_REQUEST.to_vec()
    }

    fn read(&mut self, input: &[u8]) -> Result<Option<(usize, Step)>, Failure> {
        let malformed = || broken("the peer's bytes are no RDP connection confirm", input);
        if input.first().is_some_and(|version| *version != TPKT_VERSION) {
            return Err(malformed());
        }
        let Some((&[_, _, high, low, _, code], _)) = input.split_first_chunk() else {
            return Ok(None);
        };
        if code & 0xf0 != CONNECTION_CONFIRM {
            return Err(malformed());
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(packet) = input.get(..length) else {
            return Ok(None);
        };
        // TPKT header, X.224 length, code, two references and class: eleven bytes.
        match packet.get(11..) {
            None => Err(malformed()),
            Some([]) => Err(rejected(SECURITY_OF_ITS_OWN, packet)),
            Some(&[NEG_RESPONSE, _, _, _, 0, 0, 0, 0]) => {
                Err(rejected(SECURITY_OF_ITS_OWN, packet))
            }
            Some(&[NEG_RESPONSE, _, _, _, _, _, _, _]) => {
                Ok(Some((length, Step::Upgrade(Vec::new()))))
            }
            Some(&[NEG_FAILURE, _, _, _, code, _, _, _]) => {
                let reason = failure_name(code);
                Err(rejected(format!("the server refused TLS: {reason}"), packet))
            }
            Some(_) => Err(malformed()),
        }
    }
}

const SECURITY_OF_ITS_OWN: &str = "the server offers RDP's own security only";

fn failure_name(code: u8) -> String {
    let name = match code {
        1 => "SSL_REQUIRED_BY_SERVER",
        2 => "SSL_NOT_ALLOWED_BY_SERVER",
        3 => "SSL_CERT_NOT_ON_SERVER",
        4 => "INCONSISTENT_FLAGS",
        5 => "HYBRID_REQUIRED_BY_SERVER",
        6 => "SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER",
        _ => return format!("code {code}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use super::*;
    use crate::failure::Kind;

    const CONFIRM: &[u8] =
        b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x1f\x08\x00\x02\x00\x00\x00";

    #[test]
    fn upgrades() {
        upgrade_of("rdp", &[Us(CONNECTION_REQUEST), Peer(CONFIRM)]);
    }

    #[test]
    fn refusals() {
        for (packet, detail) in [
            (&b"\x03\x00\x00\x0b\x06\xd0\x00\x00\x12\x34\x00"[..], SECURITY_OF_ITS_OWN),
            (
                b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x00\x08\x00\x00\x00\x00\x00",
                SECURITY_OF_ITS_OWN,
            ),
            (
                b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x03\x00\x08\x00\x02\x00\x00\x00",
                "the server refused TLS: SSL_NOT_ALLOWED_BY_SERVER",
            ),
        ] {
            let failure = failure_of("rdp", &[Peer(packet)]);
            assert_eq!(failure.kind, Kind::Rejected);
            assert_eq!(failure.detail, detail);
        }
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let mut both = CONFIRM.to_vec();
        both.push(0x16);
        assert_eq!(failure_of("rdp", &[Together(&both)]).kind, Kind::Rejected);
    }

    #[test]
    fn what_is_no_confirm_breaks_the_protocol() {
        for junk in [
            &b"\x03\x00\x00\x0b\x06\x80\x00\x00\x12\x34\x00"[..],
            b"\x03\x00\x00\x06\x06\xd0",
            b"\x03\x00\x00\x0d\x06\xd0\x00\x00\x12\x34\x00\x02\x00",
            b"HTTP/1.1 400",
        ] {
            assert_eq!(failure_of("rdp", &[Peer(junk)]).kind, Kind::Protocol);
        }
    }
}
