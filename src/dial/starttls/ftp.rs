//! FTP: RFC 4217.

use super::lines::{LineDialogue, Lines, Reply};
use super::{Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "ftp",
    schemes: &["ftp"],
    ports: &[21],
    alpn: &["ftp"],
    dialogue: |_| Lines::boxed(Ftp { awaited: Awaited::Greeting, many: None, offered: false }),
};

struct Ftp {
    awaited: Awaited,
    /// The code of the reply of many lines that is under way: what ends it is that code and a
    /// blank, and the lines between may look like anything.
    many: Option<u16>,
    offered: bool,
}

enum Awaited {
    Greeting,
    Features,
    Consent,
}

impl LineDialogue for Ftp {
    fn line(&mut self, line: &[u8]) -> Result<Step, Failure> {
        if matches!(self.awaited, Awaited::Features) {
            self.offered |= offers_tls(line);
        }
        let reply = Reply::parse(line);
        let code = match (self.many, reply) {
            (None, None) => return Err(broken("the peer's line is no FTP reply", line)),
            (None, Some(reply)) if reply.more => {
                self.many = Some(reply.code);
                return Ok(Step::Wait);
            }
            (Some(code), Some(reply)) if reply.code == code && !reply.more => code,
            (Some(_), _) => return Ok(Step::Wait),
            (None, Some(reply)) => reply.code,
        };
        self.many = None;
        self.reply(code, line)
    }
}

impl Ftp {
    fn reply(&mut self, code: u16, line: &[u8]) -> Result<Step, Failure> {
        match (&self.awaited, code) {
            (Awaited::Greeting, 120) => Ok(Step::Wait),
            (Awaited::Greeting, 220) => {
                self.awaited = Awaited::Features;
                Ok(Step::Send(b"FEAT\r\n".to_vec()))
            }
            (Awaited::Greeting, 400..) => Err(rejected("the server refused the session", line)),
            (Awaited::Features, 211) if !self.offered => {
                Err(rejected("the server does not offer AUTH TLS", line))
            }
            // A server may support AUTH TLS although it does not list its features before the
            // login.
            (Awaited::Features, 211 | 500..) => {
                self.awaited = Awaited::Consent;
                Ok(Step::Send(b"AUTH TLS\r\n".to_vec()))
            }
            (Awaited::Consent, 234 | 334) => Ok(Step::Upgrade(Vec::new())),
            (Awaited::Features | Awaited::Consent, 400..) => {
                Err(rejected("the server refused AUTH TLS", line))
            }
            _ => Err(broken("the peer's reply is out of place", line)),
        }
    }
}

/// True for `AUTH TLS`, and for lists such as `AUTH SSL;TLS-C;TLS`.
fn offers_tls(line: &[u8]) -> bool {
    let mut words = line.split(|byte| b" \t-;,".contains(byte));
    words.any(|word| word.eq_ignore_ascii_case(b"AUTH"))
        && words.any(|word| word.eq_ignore_ascii_case(b"TLS"))
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use crate::failure::Kind;

    const GREETING: &[u8] = b"220 (vsFTPd 3.0.3)\r\n";
    const FEATURES: &[u8] = b"211-Features:\r\n AUTH TLS\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n \
        PBSZ\r\n PROT\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n UTF8\r\n211 End\r\n";

    #[test]
    fn upgrades() {
        let banner = upgrade_of(
            "ftp",
            &[
                Peer(GREETING),
                Us(b"FEAT\r\n"),
                Peer(FEATURES),
                Us(b"AUTH TLS\r\n"),
                Peer(b"234 Proceed with negotiation.\r\n"),
            ],
        );
        assert_eq!(banner.unwrap(), "220 (vsFTPd 3.0.3)");
    }

    #[test]
    fn upgrades_behind_a_long_welcome() {
        let banner = upgrade_of(
            "ftp",
            &[
                Peer(
                    b"120 Wait a moment\r\n220---------- Welcome ----------\r\n220-Local time\r\n",
                ),
                Peer(b"221 looks like a reply\r\n \xe9t\xe9\r\n220 You will be disconnected.\r\n"),
                Us(b"FEAT\r\n"),
                Peer(b"211-Extensions supported:\r\n AUTH SSL;TLS-C;TLS;\r\n211 End.\r\n"),
                Us(b"AUTH TLS\r\n"),
                Peer(b"234 AUTH TLS OK.\r\n"),
            ],
        );
        assert_eq!(banner.unwrap(), "120 Wait a moment");
    }

    #[test]
    fn a_server_that_lists_nothing_is_asked_outright() {
        upgrade_of(
            "ftp",
            &[
                Peer(GREETING),
                Us(b"FEAT\r\n"),
                Peer(b"530 Please login with USER and PASS.\r\n"),
                Us(b"AUTH TLS\r\n"),
                Peer(b"234 Go\r\n"),
            ],
        );
    }

    #[test]
    fn refusals() {
        let failure = failure_of("ftp", &[Peer(b"421 Too many users\r\n")]);
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.as_deref().unwrap(), "421 Too many users");

        let failure = failure_of(
            "ftp",
            &[
                Peer(GREETING),
                Us(b"FEAT\r\n"),
                Peer(b"211-Features:\r\n SIZE\r\n AUTH KERBEROS_V4\r\n211 End\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server does not offer AUTH TLS");

        let failure = failure_of(
            "ftp",
            &[
                Peer(GREETING),
                Us(b"FEAT\r\n"),
                Peer(FEATURES),
                Us(b"AUTH TLS\r\n"),
                Peer(b"431 Unable to accept this security mechanism\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let failure = failure_of(
            "ftp",
            &[
                Peer(GREETING),
                Us(b"FEAT\r\n"),
                Peer(FEATURES),
                Us(b"AUTH TLS\r\n"),
                Together(b"234 Go\r\n\x16\x03\x03"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.as_deref().unwrap(), "\\x16\\x03\\x03");
    }
}
