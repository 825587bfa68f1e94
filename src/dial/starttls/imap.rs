//! IMAP: RFC 9051, section 6.2.1.

use super::lines::{LineDialogue, Lines, begins, words};
use super::{Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "imap",
    schemes: &["imap"],
    ports: &[143],
    alpn: &["imap"],
    dialogue: |_| Lines::boxed(Imap { awaited: Awaited::Greeting, offered: false }),
};

struct Imap {
    awaited: Awaited,
    offered: bool,
}

enum Awaited {
    Greeting,
    Capabilities,
    Consent,
}

impl LineDialogue for Imap {
    fn line(&mut self, line: &[u8]) -> Result<Step, Failure> {
        if let Some(response) = line.strip_prefix(b"* ") {
            return self.untagged(response, line);
        }
        let (tag, refused) = match self.awaited {
            Awaited::Greeting => return Err(broken("the peer's line is no IMAP greeting", line)),
            Awaited::Capabilities => (b"a1 ", "the server refused CAPABILITY"),
            Awaited::Consent => (b"a2 ", "the server refused STARTTLS"),
        };
        match line.strip_prefix(tag) {
            Some(status) if begins(status, "OK") => self.done(line),
            Some(status) if begins(status, "NO") || begins(status, "BAD") => {
                Err(rejected(refused, line))
            }
            _ => Err(broken("the peer's line is no IMAP response", line)),
        }
    }
}

impl Imap {
    fn untagged(&mut self, response: &[u8], line: &[u8]) -> Result<Step, Failure> {
        if begins(response, "BYE") {
            return Err(rejected("the server ended the session", line));
        }
        if matches!(self.awaited, Awaited::Greeting) {
            if begins(response, "PREAUTH") {
                let detail = "the session is authenticated already, which rules TLS out";
                return Err(rejected(detail, line));
            }
            if !begins(response, "OK") {
                return Err(broken("the peer's line is no IMAP greeting", line));
            }
            self.note_capabilities(response);
            return Ok(if self.offered {
                self.ask()
            } else {
                self.awaited = Awaited::Capabilities;
                Step::Send(b"a1 CAPABILITY\r\n".to_vec())
            });
        }
        if begins(response, "CAPABILITY") {
            self.note_capabilities(response);
        }
        Ok(Step::Wait)
    }

    /// Takes them from their own response, and from the brackets of a greeting.
    fn note_capabilities(&mut self, response: &[u8]) {
        self.offered |= words(response).any(|word| {
            let word = word.strip_suffix(b"]").unwrap_or(word);
            word.eq_ignore_ascii_case(b"STARTTLS")
        });
    }

    fn done(&mut self, line: &[u8]) -> Result<Step, Failure> {
        match self.awaited {
            Awaited::Consent => Ok(Step::Upgrade(Vec::new())),
            _ if self.offered => Ok(self.ask()),
            _ => Err(rejected("the server does not offer STARTTLS", line)),
        }
    }

    fn ask(&mut self) -> Step {
        self.awaited = Awaited::Consent;
        Step::Send(b"a2 STARTTLS\r\n".to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use crate::failure::Kind;

    const GREETING: &[u8] = b"* OK IMAP4rev1 server ready\r\n";
    const OFFER: &[u8] = b"* CAPABILITY IMAP4rev1 LITERAL+ STARTTLS LOGINDISABLED\r\n\
        a1 OK Pre-login capabilities listed, post-login capabilities have more.\r\n";

    #[test]
    fn upgrades() {
        let banner = upgrade_of(
            "imap",
            &[
                Peer(GREETING),
                Us(b"a1 CAPABILITY\r\n"),
                Peer(OFFER),
                Us(b"a2 STARTTLS\r\n"),
                Peer(b"* NOOP\r\na2 OK Begin TLS negotiation now.\r\n"),
            ],
        );
        assert_eq!(banner.unwrap(), "* OK IMAP4rev1 server ready");
    }

    #[test]
    fn a_greeting_that_tells_the_capabilities_saves_a_question() {
        upgrade_of(
            "imap",
            &[
                Peer(
                    b"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ \
                    STARTTLS] Dovecot (Debian) ready.\r\n",
                ),
                Us(b"a2 STARTTLS\r\n"),
                Peer(b"a2 OK Begin TLS negotiation now.\r\n"),
            ],
        );
    }

    #[test]
    fn refusals_are_in_the_server_s_words() {
        for (script, words) in [
            (&[Peer(b"* BYE Too many connections\r\n")][..], "* BYE Too many connections"),
            (&[Peer(b"* PREAUTH hello root\r\n")], "* PREAUTH hello root"),
            (
                &[Peer(GREETING), Us(b"a1 CAPABILITY\r\n"), Peer(b"a1 BAD What?\r\n")],
                "a1 BAD What?",
            ),
            (
                &[
                    Peer(GREETING),
                    Us(b"a1 CAPABILITY\r\n"),
                    Peer(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na1 OK done\r\n"),
                ],
                "a1 OK done",
            ),
            (
                &[
                    Peer(GREETING),
                    Us(b"a1 CAPABILITY\r\n"),
                    Peer(OFFER),
                    Us(b"a2 STARTTLS\r\n"),
                    Peer(b"a2 NO TLS is broken today\r\n"),
                ],
                "a2 NO TLS is broken today",
            ),
        ] {
            let failure = failure_of("imap", script);
            assert_eq!(failure.kind, Kind::Rejected);
            assert_eq!(failure.evidence.as_deref().unwrap(), words);
        }
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let failure = failure_of(
            "imap",
            &[
                Peer(GREETING),
                Us(b"a1 CAPABILITY\r\n"),
                Peer(OFFER),
                Us(b"a2 STARTTLS\r\n"),
                Together(b"a2 OK Begin TLS\r\n* OK injected\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.as_deref().unwrap(), "* OK injected\\r\\n");
    }

    #[test]
    fn what_is_no_response_breaks_the_protocol() {
        for script in [
            &[Peer(b"220 mx.example.com ESMTP\r\n")][..],
            &[Peer(b"* NO thanks\r\n")],
            &[Peer(GREETING), Peer(b"a7 OK\r\n")],
            &[Peer(GREETING), Peer(b"+ go on\r\n")],
        ] {
            assert_eq!(failure_of("imap", script).kind, Kind::Protocol);
        }
    }
}
