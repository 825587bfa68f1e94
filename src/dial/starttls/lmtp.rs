//! LMTP: RFC 2033, which is SMTP with another greeting.

use super::Protocol;
use super::lines::Lines;
use super::smtp::Smtp;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "lmtp",
    schemes: &["lmtp"],
    ports: &[24],
    alpn: &[],
    dialogue: |_| Lines::boxed(Smtp::new("LHLO")),
};

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use crate::failure::Kind;

    #[test]
    fn upgrades() {
        upgrade_of(
            "lmtp",
            &[
                Peer(b"220 mail.example.com Dovecot ready.\r\n"),
                Us(b"LHLO tlsweep.invalid\r\n"),
                Peer(b"250-mail.example.com\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 PIPELINING\r\n"),
                Us(b"STARTTLS\r\n"),
                Peer(b"220 2.0.0 Begin TLS negotiation now.\r\n"),
            ],
        );
    }

    #[test]
    fn an_smtp_server_refuses() {
        let failure = failure_of(
            "lmtp",
            &[
                Peer(b"220 mx.example.com ESMTP Postfix\r\n"),
                Us(b"LHLO tlsweep.invalid\r\n"),
                Peer(b"502 5.5.2 Error: command not recognized\r\n"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server refused LHLO");
    }
}
