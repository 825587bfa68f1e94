//! LDAP: RFC 4511, section 4.14.

use super::{Dialogue, PLAINTEXT_LIMIT, Protocol, Step, broken, rejected};
use crate::bytes::{Reader, Unread, tag};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "ldap",
    schemes: &["ldap"],
    ports: &[389],
    alpn: &[],
    dialogue: |_| Box::new(Ldap),
};

struct Ldap;

/// Message 1, an ExtendedRequest for 1.3.6.1.4.1.1466.20037.
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// `[APPLICATION 24]`, constructed.
const EXTENDED_RESPONSE: u8 = 0x78;

impl Dialogue for Ldap {
    fn open(&mut self) -> Vec<u8> {
        START_TLS.to_vec()
    }

    fn read(&mut self, input: &[u8]) -> Result<Option<(usize, Step)>, Failure> {
        let malformed = || broken("the peer's bytes are no LDAP response", input);
        if input.first().is_some_and(|tag| *tag != tag::SEQUENCE) {
            return Err(malformed());
        }
        let message = match Reader::new(input).try_element() {
            Ok(message) => message,
            Err(Unread::Incomplete { length }) if length <= Some(PLAINTEXT_LIMIT) => {
                return Ok(None);
            }
            Err(_) => return Err(malformed()),
        };
        let (code, words) = result(message.value).ok_or_else(malformed)?;
        if code != 0 {
            let detail = format!("the server refused StartTLS with result code {code}");
            return Err(rejected(detail, words));
        }
        Ok(Some((message.whole.len(), Step::Upgrade(Vec::new()))))
    }
}

/// The result code and the diagnostic message of an ExtendedResponse.
fn result(message: &[u8]) -> Option<(u8, &[u8])> {
    let mut message = Reader::new(message);
    let _id = message.expect(tag::INTEGER)?;
    let mut response = Reader::new(message.expect(EXTENDED_RESPONSE)?.value);
    let code = response.expect(tag::ENUMERATED)?;
    let _matched_dn = response.expect(tag::OCTET_STRING)?;
    let diagnostic = response.expect(tag::OCTET_STRING)?;
    match code.value {
        [code] => Some((*code, diagnostic.value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use super::*;
    use crate::failure::Kind;

    /// slapd's.
    const SUCCESS: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";

    #[test]
    fn upgrades() {
        upgrade_of("ldap", &[Us(START_TLS), Peer(SUCCESS)]);
        // As Active Directory writes it, with the name of the response.
        upgrade_of(
            "ldap",
            &[Peer(
                b"\x30\x84\x00\x00\x00\x28\x02\x01\x01\x78\x84\x00\x00\x00\x1f\x0a\x01\x00\x04\x00\
                \x04\x00\x8a\x161.3.6.1.4.1.1466.20037",
            )],
        );
    }

    #[test]
    fn refusals_are_in_the_server_s_words() {
        let failure = failure_of(
            "ldap",
            &[Peer(
                b"\x30\x2a\x02\x01\x01\x78\x25\x0a\x01\x02\x04\x00\
                \x04\x1eunsupported extended operation",
            )],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server refused StartTLS with result code 2");
        assert_eq!(failure.evidence.as_deref().unwrap(), "unsupported extended operation");
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let mut both = SUCCESS.to_vec();
        both.extend_from_slice(SUCCESS);
        assert_eq!(failure_of("ldap", &[Together(&both)]).kind, Kind::Rejected);
    }

    #[test]
    fn what_is_no_response_breaks_the_protocol() {
        for junk in [
            &b"\x30\x80\x02"[..],
            b"\x30\x84\x7f\xff\xff\xff",
            b"\x30\x03\x02\x01\x01",
            b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
            b"220 mx.example.com",
        ] {
            assert_eq!(failure_of("ldap", &[Peer(junk)]).kind, Kind::Protocol);
        }
    }
}
