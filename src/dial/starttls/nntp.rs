//! NNTP: RFC 4642.

use super::Protocol;
use super::lines::Lines;
use super::pop3::{Pop3, Words};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "nntp",
    schemes: &["nntp", "news"],
    ports: &[119],
    alpn: &["nntp"],
    dialogue: |_| {
        Lines::boxed(Pop3::new(Words {
            greeting: &["200", "201"],
            list: "CAPABILITIES",
            listed: "101",
            unlisted: "5",
            upgrade: "STARTTLS",
            consent: "382",
            refusal: &["4", "5"],
        }))
    },
};

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
        assert_eq!(failure.evidence.as_deref().unwrap(), "580 Can not initiate TLS negotiation");
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
