//! POP3: RFC 2595, section 4.

use super::lines::{LineDialogue, Lines, begins};
use super::{Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "pop3",
    schemes: &["pop3", "pop"],
    ports: &[110],
    dialogue: |_| Lines::boxed(Pop3 { awaited: Awaited::Greeting, offered: false }),
};

struct Pop3 {
    awaited: Awaited,
    offered: bool,
}

enum Awaited {
    Greeting,
    Capabilities,
    Capability,
    Consent,
}

impl LineDialogue for Pop3 {
    fn line(&mut self, line: &[u8]) -> Result<Step, Failure> {
        if matches!(self.awaited, Awaited::Capability) {
            return self.capability(line);
        }
        let ok = begins(line, "+OK");
        if !ok && !begins(line, "-ERR") {
            return Err(broken("the peer's line is no POP3 response", line));
        }
        match self.awaited {
            Awaited::Greeting if ok => {
                self.awaited = Awaited::Capabilities;
                Ok(Step::Send(b"CAPA\r\n".to_vec()))
            }
            Awaited::Greeting => Err(rejected("the server refused the session", line)),
            Awaited::Capabilities if ok => {
                self.awaited = Awaited::Capability;
                Ok(Step::Wait)
            }
            // A server that cannot list its capabilities may yet have this one.
            Awaited::Capabilities => Ok(self.ask()),
            Awaited::Capability | Awaited::Consent if ok => Ok(Step::Upgrade(Vec::new())),
            Awaited::Capability | Awaited::Consent => {
                Err(rejected("the server refused STLS", line))
            }
        }
    }
}

impl Pop3 {
    fn capability(&mut self, line: &[u8]) -> Result<Step, Failure> {
        if line != b"." {
            self.offered |= begins(line, "STLS");
            Ok(Step::Wait)
        } else if self.offered {
            Ok(self.ask())
        } else {
            Err(rejected("the server does not offer STLS", &[]))
        }
    }

    fn ask(&mut self) -> Step {
        self.awaited = Awaited::Consent;
        Step::Send(b"STLS\r\n".to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use crate::failure::Kind;

    const GREETING: &[u8] = b"+OK Dovecot (Debian) ready.\r\n";
    const CAPABILITIES: &[u8] =
        b"+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nSTLS\r\nSASL\r\n.\r\n";

    #[test]
    fn upgrades() {
        let banner = upgrade_of(
            "pop3",
            &[
                Peer(GREETING),
                Us(b"CAPA\r\n"),
                Peer(CAPABILITIES),
                Us(b"STLS\r\n"),
                Peer(b"+OK Begin TLS negotiation now.\r\n"),
            ],
        );
        assert_eq!(banner.unwrap(), "+OK Dovecot (Debian) ready.");
    }

    #[test]
    fn a_server_that_lists_nothing_is_asked_outright() {
        upgrade_of(
            "pop3",
            &[
                Peer(GREETING),
                Us(b"CAPA\r\n"),
                Peer(b"-ERR unknown command\r\n"),
                Us(b"STLS\r\n"),
                Peer(b"+OK\r\n"),
            ],
        );
    }

    #[test]
    fn refusals() {
        let failure = failure_of("pop3", &[Peer(b"-ERR [SYS/TEMP] not now\r\n")]);
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.unwrap(), "-ERR [SYS/TEMP] not now");

        let failure = failure_of(
            "pop3",
            &[Peer(GREETING), Us(b"CAPA\r\n"), Peer(b"+OK\r\nTOP\r\nSTLSX\r\n.\r\n")],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server does not offer STLS");

        let failure = failure_of(
            "pop3",
            &[
                Peer(GREETING),
                Us(b"CAPA\r\n"),
                Peer(CAPABILITIES),
                Us(b"STLS\r\n"),
                Peer(b"-ERR TLS initialization failed.\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.unwrap(), "-ERR TLS initialization failed.");
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let failure = failure_of(
            "pop3",
            &[
                Peer(GREETING),
                Us(b"CAPA\r\n"),
                Peer(CAPABILITIES),
                Us(b"STLS\r\n"),
                Together(b"+OK\r\n+OK injected\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.unwrap(), "+OK injected\\r\\n");
    }

    #[test]
    fn endless_capabilities_are_too_large() {
        let endless = format!("+OK\r\n{}", "X-ENDLESS\r\n".repeat(2000));
        let failure = failure_of("pop3", &[Peer(GREETING), Peer(endless.as_bytes())]);
        assert_eq!(failure.kind, Kind::TooLarge);
    }
}
