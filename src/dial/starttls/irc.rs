//! IRC: the `tls` capability of IRCv3.

use super::lines::{LineDialogue, Lines, words};
use super::{Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "irc",
    schemes: &["irc"],
    ports: &[6667],
    alpn: &["irc"],
    dialogue: |_| Lines::boxed(Irc { asked: false, offered: false }),
};

struct Irc {
    asked: bool,
    offered: bool,
}

impl LineDialogue for Irc {
    fn open(&mut self) -> Vec<u8> {
        b"CAP LS 302\r\n".to_vec()
    }

    fn line(&mut self, line: &[u8]) -> Result<Step, Failure> {
        let mut words = words(line).peekable();
        let prefix = words.next_if(|word| word.starts_with(b":"));
        match words.next() {
            Some(b"CAP") if !self.asked => self.capabilities(words, line),
            // A server may know STARTTLS although it does not know CAP.
            Some(b"421" | b"451") if !self.asked => Ok(self.ask()),
            Some(b"670") if self.asked => Ok(Step::Upgrade(Vec::new())),
            Some(b"421" | b"451" | b"691") => Err(rejected("the server refused STARTTLS", line)),
            Some(b"ERROR") => Err(rejected("the server refused the session", line)),
            Some(b"PING") => {
                let mut pong = b"PONG".to_vec();
                for word in words {
                    pong.push(b' ');
                    pong.extend_from_slice(word);
                }
                pong.extend_from_slice(b"\r\n");
                Ok(Step::Send(pong))
            }
            Some(b"NOTICE") | None => Ok(Step::Wait),
            Some(_) if prefix.is_some() => Ok(Step::Wait),
            Some(_) => Err(broken("the peer's line is no IRC message", line)),
        }
    }
}

impl Irc {
    /// Reads what stands behind `CAP`: a nickname, `LS`, a star when more lines follow, the list.
    fn capabilities<'a>(
        &mut self,
        words: impl Iterator<Item = &'a [u8]>,
        line: &[u8],
    ) -> Result<Step, Failure> {
        let mut words = words.skip(2).peekable();
        let more = words.next_if(|word| *word == b"*").is_some();
        self.offered |= words.any(|word| word.strip_prefix(b":").unwrap_or(word) == b"tls");
        if more {
            Ok(Step::Wait)
        } else if self.offered {
            Ok(self.ask())
        } else {
            Err(rejected("the server does not offer STARTTLS", line))
        }
    }

    fn ask(&mut self) -> Step {
        self.asked = true;
        Step::Send(b"STARTTLS\r\n".to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use crate::failure::Kind;

    const LOOKING: &[u8] = b":irc.example.com NOTICE * :*** Looking up your hostname...\r\n";
    const OFFER: &[u8] = b":irc.example.com CAP * LS :multi-prefix sasl=PLAIN tls\r\n";

    #[test]
    fn upgrades() {
        upgrade_of(
            "irc",
            &[
                Us(b"CAP LS 302\r\n"),
                Peer(LOOKING),
                Peer(OFFER),
                Us(b"STARTTLS\r\n"),
                Peer(b":irc.example.com 670 * :STARTTLS successful, go ahead\r\n"),
            ],
        );
    }

    #[test]
    fn upgrades_after_a_ping_and_a_long_list() {
        upgrade_of(
            "irc",
            &[
                Us(b"CAP LS 302\r\n"),
                Peer(b"PING :12345 67\r\n"),
                Us(b"PONG :12345 67\r\n"),
                Peer(b":irc CAP * LS * :tls batch\r\n:irc CAP * LS :sasl\r\n"),
                Us(b"STARTTLS\r\n"),
                Peer(b":irc 670 unknown :go\r\n"),
            ],
        );
    }

    #[test]
    fn a_server_without_cap_is_asked_outright() {
        let failure = failure_of(
            "irc",
            &[
                Us(b"CAP LS 302\r\n"),
                Peer(b":irc 451 * CAP :Register first.\r\n"),
                Us(b"STARTTLS\r\n"),
                Peer(b":irc 451 * STARTTLS :Register first.\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.as_deref().unwrap(), ":irc 451 * STARTTLS :Register first.");
    }

    #[test]
    fn refusals() {
        for script in [
            &[Peer(b"ERROR :Closing link: throttled\r\n")][..],
            &[Peer(b":irc CAP * LS :sasl tls-not\r\n")],
            &[Peer(OFFER), Peer(b":irc 691 * :STARTTLS failure\r\n")],
        ] {
            assert_eq!(failure_of("irc", script).kind, Kind::Rejected);
        }
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let failure = failure_of(
            "irc",
            &[Peer(OFFER), Together(b":irc 670 * :go\r\n:irc NOTICE * :injected\r\n")],
        );
        assert_eq!(failure.kind, Kind::Rejected);
    }

    #[test]
    fn what_is_no_message_breaks_the_protocol() {
        let failure = failure_of("irc", &[Peer(b"220 mx.example.com ESMTP\r\n")]);
        assert_eq!(failure.kind, Kind::Protocol);
    }
}
