//! SMTP: RFC 3207.

use super::lines::{LineDialogue, Lines, Reply, begins};
use super::{OUR_NAME, Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "smtp",
    schemes: &["smtp"],
    ports: &[25, 587],
    alpn: &[],
    dialogue: |_| Lines::boxed(Smtp::new("EHLO")),
};

/// The dialogue of SMTP, and of LMTP, which greets with another verb.
pub(super) struct Smtp {
    verb: &'static str,
    awaited: Awaited,
    offered: bool,
}

enum Awaited {
    Greeting,
    Extensions,
    Consent,
}

impl Smtp {
    pub(super) fn new(verb: &'static str) -> Self {
        Self { verb, awaited: Awaited::Greeting, offered: false }
    }
}

impl LineDialogue for Smtp {
    fn line(&mut self, line: &[u8]) -> Result<Step, Failure> {
        let Some(reply) = Reply::parse(line) else {
            return Err(broken("the peer's line is no SMTP reply", line));
        };
        if matches!(self.awaited, Awaited::Extensions) {
            self.offered |= begins(reply.text, "STARTTLS");
        }
        if reply.more {
            return Ok(Step::Wait);
        }
        match (&self.awaited, reply.code) {
            (Awaited::Greeting, 220) => {
                self.awaited = Awaited::Extensions;
                Ok(Step::Send(format!("{} {OUR_NAME}\r\n", self.verb).into_bytes()))
            }
            (Awaited::Extensions, 250) if self.offered => {
                self.awaited = Awaited::Consent;
                Ok(Step::Send(b"STARTTLS\r\n".to_vec()))
            }
            (Awaited::Extensions, 250) => Err(rejected("the server does not offer STARTTLS", line)),
            (Awaited::Consent, 220) => Ok(Step::Upgrade(Vec::new())),
            (Awaited::Greeting, 400..) => Err(rejected("the server refused the session", line)),
            (Awaited::Extensions, 400..) => {
                let detail = format!("the server refused {}", self.verb);
                Err(rejected(detail, line))
            }
            (Awaited::Consent, 400..) => Err(rejected("the server refused STARTTLS", line)),
            _ => Err(broken("the peer's reply is out of place", line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use crate::failure::Kind;

    const GREETING: &[u8] = b"220 mx.example.com ESMTP Postfix (Debian/GNU)\r\n";
    const EHLO: &[u8] = b"EHLO tlsweep.invalid\r\n";
    const EXTENSIONS: &[u8] = b"250-mx.example.com\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n\
        250-VRFY\r\n250-ETRN\r\n250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n\
        250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n";

    #[test]
    fn upgrades() {
        let banner = upgrade_of(
            "smtp",
            &[
                Peer(GREETING),
                Us(EHLO),
                Peer(EXTENSIONS),
                Us(b"STARTTLS\r\n"),
                Peer(b"220 2.0.0 Ready to start TLS\r\n"),
            ],
        );
        assert_eq!(banner.unwrap(), "220 mx.example.com ESMTP Postfix (Debian/GNU)");
    }

    #[test]
    fn upgrades_after_many_lines_and_few_words() {
        let extensions = "250-X-EXTENSION of no interest\r\n".repeat(100);
        let banner = upgrade_of(
            "smtp",
            &[
                Peer(b"220-mx.example.com ESMTP\r\n220-No spam\r\n220\r\n"),
                Us(EHLO),
                Peer(format!("{extensions}250 starttls\r\n").as_bytes()),
                Us(b"STARTTLS\r\n"),
                Peer(b"220\n"),
            ],
        );
        assert_eq!(banner.unwrap(), "220-mx.example.com ESMTP");
    }

    #[test]
    fn refusals_are_in_the_server_s_words() {
        let failure = failure_of("smtp", &[Peer(b"554 5.7.1 No SMTP service here\r\n")]);
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.as_deref().unwrap(), "554 5.7.1 No SMTP service here");

        let failure = failure_of(
            "smtp",
            &[Peer(GREETING), Us(EHLO), Peer(b"502 5.5.2 Error: command not recognized\r\n")],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server refused EHLO");

        let failure = failure_of(
            "smtp",
            &[
                Peer(GREETING),
                Us(EHLO),
                Peer(EXTENSIONS),
                Us(b"STARTTLS\r\n"),
                Peer(b"454 4.7.0 TLS not available due to local problem\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(
            failure.evidence.as_deref().unwrap(),
            "454 4.7.0 TLS not available due to local problem"
        );
    }

    #[test]
    fn is_not_asked_for_what_it_does_not_offer() {
        let failure = failure_of(
            "smtp",
            &[
                Peer(GREETING),
                Us(EHLO),
                Peer(b"250-mx.example.com\r\n250-AUTH=STARTTLS\r\n250 HELP\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server does not offer STARTTLS");
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let failure = failure_of(
            "smtp",
            &[
                Peer(GREETING),
                Us(EHLO),
                Peer(EXTENSIONS),
                Us(b"STARTTLS\r\n"),
                Together(b"220 2.0.0 Ready to start TLS\r\n250 injected\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.as_deref().unwrap(), "250 injected\\r\\n");
    }

    #[test]
    fn consent_before_the_question_is_an_injection() {
        let mut all = GREETING.to_vec();
        all.extend_from_slice(EXTENSIONS);
        all.extend_from_slice(b"220 2.0.0 Ready to start TLS\r\n");
        let failure = failure_of("smtp", &[Together(&all)]);
        assert_eq!(failure.kind, Kind::Rejected);
    }

    #[test]
    fn an_endless_banner_is_too_large() {
        let line = "220-Welcome\r\n".repeat(1300);
        let failure = failure_of("smtp", &[Peer(line.as_bytes())]);
        assert_eq!(failure.kind, Kind::TooLarge);

        let long = format!("220 {}", "x".repeat(17_000));
        let failure = failure_of("smtp", &[Peer(long.as_bytes())]);
        assert_eq!(failure.kind, Kind::TooLarge);
    }

    #[test]
    fn what_is_no_reply_breaks_the_protocol() {
        for junk in [&b"22 0\r\n"[..], b"220_\r\n", b"250 mx\r\n", b"220 a\0b"] {
            let failure = failure_of("smtp", &[Peer(junk)]);
            assert_eq!(failure.kind, Kind::Protocol, "{junk:?}");
        }
    }
}
