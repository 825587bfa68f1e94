//! NNTP: RFC 4642.

use super::lines::{LineDialogue, Lines, Reply, begins};
use super::{Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "nntp",
    schemes: &["nntp", "news"],
    ports: &[119],
    dialogue: |_| Lines::boxed(Nntp { awaited: Awaited::Greeting, offered: false }),
};

struct Nntp {
    awaited: Awaited,
    offered: bool,
}

enum Awaited {
    Greeting,
    Capabilities,
    Capability,
    Consent,
}

impl LineDialogue for Nntp {
    fn line(&mut self, line: &[u8]) -> Result<Step, Failure> {
        if matches!(self.awaited, Awaited::Capability) {
            return self.capability(line);
        }
        let Some(Reply { code, .. }) = Reply::parse(line) else {
            return Err(broken("the peer's line is no NNTP response", line));
        };
        match (&self.awaited, code) {
            (Awaited::Greeting, 200 | 201) => {
                self.awaited = Awaited::Capabilities;
                Ok(Step::Send(b"CAPABILITIES\r\n".to_vec()))
            }
            (Awaited::Greeting, 400..) => Err(rejected("the server refused the session", line)),
            (Awaited::Capabilities, 101) => {
                self.awaited = Awaited::Capability;
                Ok(Step::Wait)
            }
            // A server that cannot list its capabilities may yet have this one.
            (Awaited::Capabilities, 500..) => Ok(self.ask()),
            (Awaited::Consent, 382) => Ok(Step::Upgrade(Vec::new())),
            (Awaited::Capabilities | Awaited::Consent, 400..) => {
                Err(rejected("the server refused STARTTLS", line))
            }
            _ => Err(broken("the peer's response is out of place", line)),
        }
    }
}

impl Nntp {
    fn capability(&mut self, line: &[u8]) -> Result<Step, Failure> {
        if line != b"." {
            self.offered |= begins(line, "STARTTLS");
            Ok(Step::Wait)
        } else if self.offered {
            Ok(self.ask())
        } else {
            Err(rejected("the server does not offer STARTTLS", &[]))
        }
    }

    fn ask(&mut self) -> Step {
        self.awaited = Awaited::Consent;
        Step::Send(b"STARTTLS\r\n".to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use crate::failure::Kind;

    const GREETING: &[u8] = b"200 news.example.com InterNetNews NNRP server INN 2.7.0 ready\r\n";
    const CAPABILITIES: &[u8] =
        b"101 Capability list:\r\nVERSION 2\r\nIMPLEMENTATION INN 2.7.0\r\n\
        AUTHINFO SASL\r\nREADER\r\nSTARTTLS\r\n.\r\n";

    #[test]
    fn upgrades() {
        upgrade_of(
            "nntp",
            &[
                Peer(GREETING),
                Us(b"CAPABILITIES\r\n"),
                Peer(CAPABILITIES),
                Us(b"STARTTLS\r\n"),
                Peer(b"382 Begin TLS negotiation now\r\n"),
            ],
        );
    }

    #[test]
    fn a_server_that_lists_nothing_is_asked_outright() {
        upgrade_of(
            "nntp",
            &[
                Peer(GREETING),
                Us(b"CAPABILITIES\r\n"),
                Peer(b"500 What?\r\n"),
                Us(b"STARTTLS\r\n"),
                Peer(b"382 Continue\r\n"),
            ],
        );
    }

    #[test]
    fn refusals() {
        let failure = failure_of("nntp", &[Peer(b"502 You have no permission to talk.\r\n")]);
        assert_eq!(failure.kind, Kind::Rejected);

        let failure = failure_of(
            "nntp",
            &[
                Peer(GREETING),
                Us(b"CAPABILITIES\r\n"),
                Peer(b"101 Capability list:\r\nVERSION 2\r\nREADER\r\n.\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server does not offer STARTTLS");

        let failure = failure_of(
            "nntp",
            &[
                Peer(GREETING),
                Us(b"CAPABILITIES\r\n"),
                Peer(CAPABILITIES),
                Us(b"STARTTLS\r\n"),
                Peer(b"580 Can not initiate TLS negotiation\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.unwrap(), "580 Can not initiate TLS negotiation");
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let failure = failure_of(
            "nntp",
            &[
                Peer(GREETING),
                Us(b"CAPABILITIES\r\n"),
                Peer(CAPABILITIES),
                Us(b"STARTTLS\r\n"),
                Together(b"382 Go\r\n200 injected\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
    }
}
