//! PostgreSQL: the SSLRequest of the frontend/backend protocol.

use super::{Dialogue, Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "postgres",
    schemes: &["postgres", "postgresql"],
    ports: &[5432],
    alpn: &["postgresql"],
    dialogue: |_| Box::new(Postgres),
};

struct Postgres;

const SSL_REQUEST: &[u8] = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";

impl Dialogue for Postgres {
    fn open(&mut self) -> Vec<u8> {
        SSL_REQUEST.to_vec()
    }

    fn read(&mut self, input: &[u8]) -> Result<Option<(usize, Step)>, Failure> {
        match input.first() {
            None => Ok(None),
            Some(b'S') => Ok(Some((1, Step::Upgrade(Vec::new())))),
            Some(b'N') => Err(rejected("the server does not offer TLS", b"N")),
            Some(b'E') => error(input),
            Some(_) => Err(broken("the peer's answer to SSLRequest is unknown", input)),
        }
    }
}

/// Reads an ErrorResponse, once it is whole: fields in protocol 3, text up to a NUL before it.
fn error(input: &[u8]) -> Result<Option<(usize, Step)>, Failure> {
    let rejected = |words| Err(rejected("the server answered SSLRequest with an error", words));
    match input.split_first_chunk() {
        None => Ok(None),
        Some((&[_, 0, 0, high, low], fields)) => {
            let length = usize::from(u16::from_be_bytes([high, low])).saturating_sub(4);
            let Some(fields) = fields.get(..length) else {
                return Ok(None);
            };
            let mut fields = fields.split(|byte| *byte == 0);
            rejected(fields.find_map(|field| field.strip_prefix(b"M")).unwrap_or(input))
        }
        Some((&[..], _)) => match input.iter().position(|byte| *byte == 0) {
            None => Ok(None),
            Some(end) => rejected(input.get(1..end).unwrap_or(input)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use super::*;
    use crate::failure::Kind;

    #[test]
    fn upgrades() {
        upgrade_of("postgres", &[Us(SSL_REQUEST), Peer(b"S")]);
    }

    #[test]
    fn refusals_are_in_the_server_s_words() {
        let failure = failure_of("postgres", &[Peer(b"N")]);
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.as_deref().unwrap(), "N");

        for error in [
            &b"E\x00\x00\x00\x31SFATAL\0C53300\0Mtoo many connections already\0\0"[..],
            b"Etoo many connections already\0",
        ] {
            let failure = failure_of("postgres", &[Peer(error)]);
            assert_eq!(failure.kind, Kind::Rejected);
            assert_eq!(failure.evidence.as_deref().unwrap(), "too many connections already");
        }
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let failure = failure_of("postgres", &[Together(b"SE")]);
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.as_deref().unwrap(), "E");
    }

    #[test]
    fn what_is_no_answer_breaks_the_protocol() {
        let failure = failure_of("postgres", &[Peer(b"HTTP/1.1 400 Bad Request\r\n")]);
        assert_eq!(failure.kind, Kind::Protocol);
    }
}
