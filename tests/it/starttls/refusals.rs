//! Servers that have TLS and do not give it, and servers that give more than that.

use std::iter::repeat_n;

use super::dialogues::{DIALOGUES, Dialogue};
use super::{Server, assert_failed, assert_upgraded, sweep};
use crate::support::script::Step::{Fin, Hold};
use crate::support::script::{Step, send};

/// The protocol, how many good replies come first, the reply that ends it, and the evidence.
type Refusal = (&'static str, usize, &'static [u8], Option<&'static str>);

const REFUSED: &[Refusal] = &[
    ("ftp", 0, b"421 Too many users\r\n", Some("421 Too many users")),
    (
        "ftp",
        2,
        b"431 Necessary security resource unavailable\r\n",
        Some("431 Necessary security resource unavailable"),
    ),
    ("ftp", 2, b"502 Not here\r\n", Some("502 Not here")),
    ("imap", 0, b"* BYE Too many connections\r\n", Some("* BYE Too many connections")),
    ("imap", 0, b"* PREAUTH hello root\r\n", Some("* PREAUTH hello root")),
    ("imap", 1, b"a1 BAD What?\r\n", Some("a1 BAD What?")),
    ("imap", 2, b"a2 NO Not today\r\n", Some("a2 NO Not today")),
    ("irc", 0, b"ERROR :Closing Link: (Throttled)\r\n", Some("ERROR :Closing Link: (Throttled)")),
    ("irc", 1, b":irc.test 691 * :No TLS\r\n", Some(":irc.test 691 * :No TLS")),
    (
        "ldap",
        0,
        b"\x30\x2a\x02\x01\x01\x78\x25\x0a\x01\x02\x04\x00\x04\x1eunsupported extended operation",
        Some("unsupported extended operation"),
    ),
    ("lmtp", 0, b"421 4.3.2 Full\r\n", Some("421 4.3.2 Full")),
    ("lmtp", 1, b"502 5.5.2 Unknown command\r\n", Some("502 5.5.2 Unknown command")),
    ("lmtp", 2, b"454 4.7.0 Not now\r\n", Some("454 4.7.0 Not now")),
    (
        "mssql",
        0,
        b"\x04\x01\x00\x1d\x00\x00\x01\x00\xaa\x12\x00\x14\x43\x00\x00\x01\x10\x04\x00F\0u\0l\0l\0\0\0",
        Some("Full"),
    ),
    (
        "mysql",
        0,
        b"\x1b\x00\x00\x00\xff\x10\x04Too many connections now",
        Some("Too many connections now"),
    ),
    ("nntp", 0, b"400 Not for you\r\n", Some("400 Not for you")),
    ("nntp", 1, b"480 Log in first\r\n", Some("480 Log in first")),
    ("nntp", 2, b"580 No TLS\r\n", Some("580 No TLS")),
    ("pop3", 0, b"-ERR [SYS/TEMP] Busy\r\n", Some("-ERR [SYS/TEMP] Busy")),
    ("pop3", 2, b"-ERR No TLS\r\n", Some("-ERR No TLS")),
    ("postgres", 0, b"Etoo many clients already\0", Some("too many clients already")),
    (
        "rdp",
        0,
        b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x03\x00\x08\x00\x02\x00\x00\x00",
        Some(
            "\\x03\\x00\\x00\\x13\\x0e\\xd0\\x00\\x00\\x124\\x00\\x03\\x00\\x08\\x00\\x02\\x00\\x00\\x00",
        ),
    ),
    ("sieve", 0, b"BYE \"Too many\"\r\n", Some("BYE \\\"Too many\\\"")),
    ("sieve", 1, b"NO \"Not now\"\r\n", Some("NO \\\"Not now\\\"")),
    ("smtp", 0, b"554 5.7.1 Blocked\r\n", Some("554 5.7.1 Blocked")),
    ("smtp", 1, b"502 5.5.2 What?\r\n", Some("502 5.5.2 What?")),
    ("smtp", 2, b"454 4.7.0 Not now\r\n", Some("454 4.7.0 Not now")),
    ("xmpp", 0, b"<stream:stream><stream:error><host-unknown/>", Some("<host-unknown/>")),
    ("xmpp", 1, b"<failure/></stream:stream>", Some("<failure/>")),
    ("xmpp-server", 1, b"</stream:stream>", Some("</stream:stream>")),
];

const NOT_OFFERED: &[Refusal] = &[
    ("ftp", 1, b"211-Features:\r\n UTF8\r\n AUTH KERBEROS_V4\r\n211 End\r\n", Some("211 End")),
    ("imap", 1, b"* CAPABILITY IMAP4rev1 AUTH=STARTTLS\r\na1 OK listed\r\n", Some("a1 OK listed")),
    ("irc", 0, b":irc.test CAP * LS :sasl tls-like\r\n", Some(":irc.test CAP * LS :sasl tls-like")),
    ("lmtp", 1, b"250-mail\r\n250 8BITMIME\r\n", Some("250 8BITMIME")),
    (
        "mssql",
        0,
        b"\x04\x01\x00\x1a\x00\x00\x01\x00\x00\x00\x0b\x00\x06\x01\x00\x11\x00\x01\xff\
            \x10\x00\x03\xe8\x00\x00\x02",
        Some(
            "\\x00\\x00\\x0b\\x00\\x06\\x01\\x00\\x11\\x00\\x01\\xff\\x10\\x00\\x03\\xe8\\x00\\x00\\x02",
        ),
    ),
    (
        "mysql",
        0,
        b"\x1e\x00\x00\x00\x0a8.0.36\0\x1f\0\0\0Zx1}Ck3q\0\xff\xf7\x2d\x02\x00\xff\x81\0\0",
        Some("8.0.36"),
    ),
    ("nntp", 1, b"101 List:\r\nVERSION 2\r\nXSTARTTLS\r\n.\r\n", None),
    ("pop3", 1, b"+OK\r\nUIDL\r\nXSTLS\r\n.\r\n", None),
    ("postgres", 0, b"N", Some("N")),
    (
        "rdp",
        0,
        b"\x03\x00\x00\x0b\x06\xd0\x00\x00\x12\x34\x00",
        Some("\\x03\\x00\\x00\\x0b\\x06\\xd0\\x00\\x00\\x124\\x00"),
    ),
    ("sieve", 0, b"\"SASL\" \"STARTTLS\"\r\nOK\r\n", Some("OK")),
    (
        "smtp",
        1,
        b"250-mx.example.com STARTTLS\r\n250-XSTARTTLS\r\n250 AUTH=STARTTLS\r\n",
        Some("250 AUTH=STARTTLS"),
    ),
    (
        "xmpp",
        0,
        b"<stream:stream><stream:features><bind/></stream:features>",
        Some("</stream:features>"),
    ),
];

#[test]
fn a_refusal_is_told_in_the_server_s_words() {
    check(REFUSED, "refuse");
}

#[test]
fn what_is_not_offered_is_not_asked_for() {
    check(NOT_OFFERED, "offer");
}

/// Whether a server stays open or closes at once, the reason is what it said.
fn check(refusals: &[Refusal], detail: &str) {
    for end in [Hold, Fin] {
        let server = |(protocol, replies, words, _): &Refusal| {
            let (before, _) = Dialogue::of(protocol).cut_at(*replies);
            Server::start(protocol, [before, vec![send(words), end.clone()]].concat())
        };
        let servers: Vec<_> = refusals.iter().map(server).collect();
        let (_, records) = sweep(&servers, &["--starttls-timeout", "60s"]);
        for ((.., evidence), record) in refusals.iter().zip(&records) {
            assert_failed(record, "starttls/rejected");
            let told = record["error"].get("evidence").map(|told| told.as_str().unwrap());
            assert_eq!(told, *evidence, "{record:#}");
        }
        let details = records.iter().map(|record| record["error"]["detail"].as_str().unwrap());
        let alike = details.filter(|told| told.contains(detail)).count();
        assert!(alike * 2 > records.len(), "few details speak of it: {records:#?}");
    }
}

#[test]
fn bytes_behind_the_consent_are_an_injection() {
    for injected in [&b"250 injected\r\n"[..], b"\r", b"\x16\x03\x03\x00\x01\x02"] {
        let servers: Vec<_> = DIALOGUES
            .iter()
            .map(|dialogue| {
                let (mut steps, consent) = dialogue.cut_at_consent();
                steps.extend([send([consent, injected].concat()), Hold]);
                Server::start(dialogue.protocol, steps)
            })
            .collect();
        let (_, records) = sweep(&servers, &[]);
        for record in &records {
            assert_failed(record, "starttls/rejected");
            let evidence = record["error"]["evidence"].as_str().unwrap();
            assert_eq!(evidence, injected.escape_ascii().to_string(), "{record:#}");
        }
    }
}

#[test]
fn a_consent_before_the_question_is_an_injection() {
    let several = DIALOGUES.iter().filter(|dialogue| dialogue.replies() > 1);
    let servers: Vec<_> = several
        .map(|dialogue| {
            let replies = (0..dialogue.replies()).map(|reply| dialogue.cut_at(reply).1);
            let (mut steps, _) = dialogue.cut_at(0);
            steps.extend([send(replies.collect::<Vec<_>>().concat()), Hold]);
            Server::start(dialogue.protocol, steps)
        })
        .collect();
    let (_, records) = sweep(&servers, &[]);
    records.iter().for_each(|record| assert_failed(record, "starttls/rejected"));
}

/// The protocol, the reply that is long, and how it begins, goes on and ends.
const LONG: [(&str, usize, [&str; 3]); 10] = [
    ("ftp", 0, ["220-Welcome\r\n", "anything at all 220\r\n", "220 Go\r\n"]),
    ("ftp", 1, ["211-Features\r\n", " MLST size*;modify*\r\n", " AUTH SSL;TLS\r\n211 End\r\n"]),
    ("imap", 1, ["", "* CAPABILITY IMAP4rev1\r\n", "* capability starttls\r\na1 OK\r\n"]),
    ("irc", 0, ["", ":irc.test CAP * LS * :sasl\r\n", ":irc.test CAP * LS :x tls\r\n"]),
    ("lmtp", 1, ["250-mail\r\n", "250-X-NOTHING at all\r\n", "250 STARTTLS\r\n"]),
    ("nntp", 1, ["101 List\r\n", "XOVER and so on\r\n", "STARTTLS\r\n.\r\n"]),
    ("pop3", 1, ["+OK\r\n", "X-NOTHING at all\r\n", "STLS\r\n.\r\n"]),
    ("sieve", 0, ["", "\"X\" \"nothing at all\"\r\n", "\"starttls\"\r\nOK\r\n"]),
    ("smtp", 1, ["250-mx\r\n", "250-X-NOTHING at all\r\n", "250 starttls\r\n"]),
    (
        "xmpp",
        0,
        ["<stream:stream><stream:features>", "<x y='/>'>.</x>", "<starttls/></stream:features>"],
    ),
];

#[test]
fn a_reply_of_a_hundred_lines_is_read_to_its_end() {
    let servers = LONG.map(|(protocol, reply, [begin, middle, end])| {
        let dialogue = Dialogue::of(protocol);
        let long: String = [begin].into_iter().chain(repeat_n(middle, 98)).chain([end]).collect();
        let (before, _) = dialogue.cut_at(reply);
        let behind = dialogue.steps().split_off(before.len() + 1);
        Server::start_with_tls(protocol, [before, vec![send(long)], behind].concat())
    });
    let (_, records) = sweep(&servers, &[]);
    for ((protocol, reply, _), record) in LONG.iter().zip(&records) {
        if *reply > 0 {
            assert_upgraded(record, Dialogue::of(protocol));
        }
        assert_eq!(record["ok"], true, "{record:#}");
    }
}

#[test]
fn what_the_server_says_is_escaped_and_cut() {
    let long = format!("220 \u{1b}[31m{}\r\n", "x".repeat(1000));
    let steps: Vec<Step> = vec![send(&long), Step::Hear(b"EHLO tlsweep.invalid\r\n".to_vec())];
    let refusal = [steps, vec![send("554 \u{1b}]0;owned\u{7}\r\n"), Hold]].concat();
    let (_, records) = sweep(&[Server::start("smtp", refusal)], &[]);
    let record = &records[0];
    assert_failed(record, "starttls/rejected");
    assert_eq!(record["error"]["evidence"], "554 \\x1b]0;owned\\x07");
    let banner = record["starttls"]["banner"].as_str().unwrap();
    assert_eq!(banner, &long[..256]);
}
