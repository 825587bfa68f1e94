//! ManageSieve: RFC 5804.

use super::lines::{LineDialogue, Lines, begins};
use super::{Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "sieve",
    schemes: &["sieve"],
    ports: &[4190],
    alpn: &["managesieve"],
    dialogue: |_| Lines::boxed(Sieve { asked: false, offered: false }),
};

struct Sieve {
    asked: bool,
    offered: bool,
}

impl LineDialogue for Sieve {
    fn line(&mut self, line: &[u8]) -> Result<Step, Failure> {
        let refused = begins(line, "NO") || begins(line, "BYE");
        match self.asked {
            // The greeting is the list of capabilities. A response line ends it.
            false if line.starts_with(b"\"") => {
                self.offered |= begins(line, "\"STARTTLS\"");
                Ok(Step::Wait)
            }
            false if begins(line, "OK") && self.offered => {
                self.asked = true;
                Ok(Step::Send(b"STARTTLS\r\n".to_vec()))
            }
            false if begins(line, "OK") => {
                Err(rejected("the server does not offer STARTTLS", line))
            }
            false if refused => Err(rejected("the server refused the session", line)),
            true if begins(line, "OK") => Ok(Step::Upgrade(Vec::new())),
            true if refused => Err(rejected("the server refused STARTTLS", line)),
            _ => Err(broken("the peer's line is no ManageSieve response", line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use crate::failure::Kind;

    const GREETING: &[u8] = b"\"IMPLEMENTATION\" \"Dovecot (Debian) Pigeonhole\"\r\n\
        \"SIEVE\" \"fileinto reject envelope encoded-character vacation\"\r\n\
        \"NOTIFY\" \"mailto\"\r\n\"SASL\" \"\"\r\n\"STARTTLS\"\r\n\"VERSION\" \"1.0\"\r\n\
        OK \"Dovecot (Debian) ready.\"\r\n";

    #[test]
    fn upgrades() {
        let banner = upgrade_of(
            "sieve",
            &[Peer(GREETING), Us(b"STARTTLS\r\n"), Peer(b"OK \"Begin TLS negotiation now.\"\r\n")],
        );
        assert_eq!(banner.unwrap(), "\"IMPLEMENTATION\" \"Dovecot (Debian) Pigeonhole\"");
    }

    #[test]
    fn refusals() {
        for script in [
            &[Peer(b"BYE \"Too busy\"\r\n")][..],
            &[Peer(b"\"IMPLEMENTATION\" \"x\"\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n")],
            &[Peer(GREETING), Us(b"STARTTLS\r\n"), Peer(b"NO \"TLS is not available\"\r\n")],
        ] {
            let failure = failure_of("sieve", script);
            assert_eq!(failure.kind, Kind::Rejected);
            assert!(failure.evidence.is_some());
        }
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let failure = failure_of(
            "sieve",
            &[
                Peer(GREETING),
                Us(b"STARTTLS\r\n"),
                Together(b"OK\r\n\"IMPLEMENTATION\" \"injected\"\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
    }

    #[test]
    fn what_is_no_response_breaks_the_protocol() {
        let failure = failure_of("sieve", &[Peer(b"+OK POP3 ready\r\n")]);
        assert_eq!(failure.kind, Kind::Protocol);
    }
}
