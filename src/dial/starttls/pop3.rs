//! POP3: RFC 2595, section 4.

use super::lines::{LineDialogue, Lines, begins};
use super::{Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "pop3",
    schemes: &["pop3", "pop"],
    ports: &[110],
    alpn: &["pop3"],
    dialogue: |_| {
        Lines::boxed(Pop3::new(Words {
            greeting: &["+OK"],
            list: "CAPA",
            listed: "+OK",
            unlisted: "-ERR",
            upgrade: "STLS",
            consent: "+OK",
            refusal: &["-ERR"],
        }))
    },
};

/// The dialogue that POP3 and NNTP share. They differ only in their [`Words`].
pub(super) struct Pop3 {
    words: Words,
    awaited: Awaited,
    offered: bool,
}

/// The commands of a protocol, and the words that its responses begin with.
pub(super) struct Words {
    pub(super) greeting: &'static [&'static str],
    /// The command that asks for the capabilities.
    pub(super) list: &'static str,
    pub(super) listed: &'static str,
    /// The response of a server that does not know that command.
    pub(super) unlisted: &'static str,
    /// The command that asks for TLS. The capability has the same name.
    pub(super) upgrade: &'static str,
    pub(super) consent: &'static str,
    pub(super) refusal: &'static [&'static str],
}

enum Awaited {
    Greeting,
    List,
    Capability,
    Consent,
}

impl Pop3 {
    pub(super) fn new(words: Words) -> Self {
        Self { words, awaited: Awaited::Greeting, offered: false }
    }

    fn ask(&mut self, awaited: Awaited, command: &str) -> Step {
        self.awaited = awaited;
        Step::Send(format!("{command}\r\n").into_bytes())
    }
}

impl LineDialogue for Pop3 {
    fn line(&mut self, line: &[u8]) -> Result<Step, Failure> {
        let Words { list, upgrade, .. } = self.words;
        let is = |response: &str| begins(line, response);
        // Responses of one class have nothing but their first digit in common.
        let is_of = |class: &str| {
            let beginning = line.get(..class.len());
            beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(class.as_bytes()))
        };
        match self.awaited {
            Awaited::Capability if line != b"." => {
                self.offered |= begins(line, upgrade);
                Ok(Step::Wait)
            }
            Awaited::Capability if self.offered => Ok(self.ask(Awaited::Consent, upgrade)),
            Awaited::Capability => {
                Err(rejected(format!("the server does not offer {upgrade}"), &[]))
            }
            Awaited::Greeting if self.words.greeting.iter().any(|word| is(word)) => {
                Ok(self.ask(Awaited::List, list))
            }
            Awaited::List if is(self.words.listed) => {
                self.awaited = Awaited::Capability;
                Ok(Step::Wait)
            }
            // A server may support STLS although it cannot list its capabilities.
            Awaited::List if is_of(self.words.unlisted) => Ok(self.ask(Awaited::Consent, upgrade)),
            Awaited::Consent if is(self.words.consent) => Ok(Step::Upgrade(Vec::new())),
            _ if !self.words.refusal.iter().any(|class| is_of(class)) => {
                Err(broken("the peer's line is no response, or out of place", line))
            }
            Awaited::Greeting => Err(rejected("the server refused the session", line)),
            Awaited::List | Awaited::Consent => {
                Err(rejected(format!("the server refused {upgrade}"), line))
            }
        }
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
    fn case_does_not_matter_but_whole_words_do() {
        upgrade_of(
            "pop3",
            &[
                Peer(b"+ok ready\r\n"),
                Us(b"CAPA\r\n"),
                Peer(b"-err\r\n"),
                Us(b"STLS\r\n"),
                Peer(b"+Ok\r\n"),
            ],
        );
        assert_eq!(failure_of("pop3", &[Peer(b"+OKAY\r\n")]).kind, Kind::Protocol);
    }

    #[test]
    fn refusals() {
        let failure = failure_of("pop3", &[Peer(b"-ERR [SYS/TEMP] not now\r\n")]);
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.as_deref().unwrap(), "-ERR [SYS/TEMP] not now");

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
        assert_eq!(failure.evidence.as_deref().unwrap(), "-ERR TLS initialization failed.");
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
        assert_eq!(failure.evidence.as_deref().unwrap(), "+OK injected\\r\\n");
    }

    #[test]
    fn endless_capabilities_are_too_large() {
        let endless = format!("+OK\r\n{}", "X-ENDLESS\r\n".repeat(2000));
        let failure = failure_of("pop3", &[Peer(GREETING), Peer(endless.as_bytes())]);
        assert_eq!(failure.kind, Kind::TooLarge);
    }
}
