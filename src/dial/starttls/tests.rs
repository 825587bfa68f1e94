use std::collections::HashSet;

use super::*;
use crate::failure::Kind;

#[test]
fn names_schemes_and_ports_are_unambiguous() {
    let mut seen = HashSet::new();
    for protocol in PROTOCOLS {
        assert!(seen.insert(protocol.name.to_owned()));
        for port in protocol.ports {
            assert!(seen.insert(port.to_string()), "{port}");
        }
    }
    let mut seen = HashSet::new();
    for scheme in PROTOCOLS.iter().flat_map(|protocol| protocol.schemes) {
        assert!(seen.insert(scheme), "{scheme}");
    }
    assert!(PROTOCOLS.is_sorted_by_key(|protocol| protocol.name));
}

#[test]
fn protocols_are_found() {
    for (port, name) in [
        (25, "smtp"),
        (587, "smtp"),
        (143, "imap"),
        (110, "pop3"),
        (21, "ftp"),
        (119, "nntp"),
        (4190, "sieve"),
        (5222, "xmpp"),
        (5269, "xmpp-server"),
        (389, "ldap"),
        (5432, "postgres"),
        (1433, "mssql"),
        (3306, "mysql"),
        (6667, "irc"),
        (3389, "rdp"),
    ] {
        assert_eq!(Protocol::by_port(port).unwrap().name, name);
    }
    assert_eq!(Protocol::by_scheme("PostgreSQL").unwrap().name, "postgres");
    assert_eq!(Protocol::by_name("lmtp").unwrap().ports.first(), Some(&24));
    assert!(Protocol::by_port(443).is_none());
}

#[test]
fn no_peer_gets_past_the_limit() {
    for protocol in PROTOCOLS {
        for byte in 0..=255 {
            let mut conversation = Conversation::new(protocol, "example.com");
            conversation.open();
            let flood = vec![byte; PLAINTEXT_LIMIT + 1];
            assert!(conversation.receive(&flood).is_err(), "{protocol:?} {byte:#04x}");
            assert!(conversation.pending.len() <= PLAINTEXT_LIMIT);
        }
    }
}

#[test]
fn no_protocol_takes_another_s_first_words_for_consent() {
    for words in [
        &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03",
        b"RFB 003.008\n",
    ] {
        for protocol in PROTOCOLS {
            let mut conversation = Conversation::new(protocol, "example.com");
            conversation.open();
            let failure = conversation.receive(words).unwrap_err();
            // To PostgreSQL, the first byte of SSH is consent with more behind it.
            let spoken = matches!(failure.kind, Kind::Protocol | Kind::Rejected);
            assert!(spoken, "{protocol:?} {words:?}");
            assert!(failure.evidence.is_some());
        }
    }
}

proptest::proptest! {
    #[test]
    fn nothing_makes_a_dialogue_panic(which in 0..PROTOCOLS.len(), input: Vec<u8>, cut: usize) {
        let mut conversation = Conversation::new(&PROTOCOLS[which], "example.com");
        conversation.open();
        let (first, second) = input.split_at(cut % (input.len() + 1));
        if conversation.receive(first).is_ok() {
            let _any_outcome = conversation.receive(second);
        }
    }
}
