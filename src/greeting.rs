//! Recognizes plaintext greetings, to hint at the `--starttls` protocol that a server expects.

/// A greeting, recognized by its beginning and a word in it, and the `--starttls` protocols that it
/// may belong to.
struct Greeting {
    start: &'static [u8],
    /// A word in lower case that the greeting contains; empty for any greeting.
    word: &'static [u8],
    name: &'static str,
    protocols: &'static str,
}

const fn row(
    start: &'static [u8],
    word: &'static [u8],
    name: &'static str,
    protocols: &'static str,
) -> Greeting {
    Greeting { start, word, name, protocols }
}

/// The first row that matches counts.
const GREETINGS: [Greeting; 12] = [
    row(b"220", b"lmtp", "an LMTP greeting", "lmtp"),
    row(b"220", b"smtp", "an SMTP greeting", "smtp"),
    row(b"220", b"ftp", "an FTP greeting", "ftp"),
    row(b"220", b"", "an SMTP or FTP greeting", "smtp or ftp"),
    row(b"554", b"smtp", "an SMTP refusal", "smtp"),
    row(b"* OK", b"", "an IMAP greeting", "imap"),
    row(b"* PREAUTH", b"", "an IMAP greeting", "imap"),
    row(b"+OK", b"", "a POP3 greeting", "pop3"),
    row(b"\"IMPLEMENTATION\"", b"", "a ManageSieve greeting", "sieve"),
    row(b"200 ", b"", "an NNTP greeting", "nntp"),
    row(b"201 ", b"", "an NNTP greeting", "nntp"),
    row(b":", b"notice", "an IRC greeting", "irc"),
];

/// The detail of a failure when the `first` bytes of a peer are not TLS.
pub(crate) fn not_tls(first: &[u8]) -> String {
    let plain = "the peer's first bytes are not TLS";
    let known = GREETINGS
        .iter()
        .find(|row| first.starts_with(row.start) && contains(first, row.word))
        .map(|row| (row.name, row.protocols))
        .or_else(|| is_mysql(first).then_some(("a MySQL greeting", "mysql")));
    match known {
        Some((name, protocols)) => format!("{plain} but {name}: try --starttls {protocols}"),
        None => plain.to_owned(),
    }
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    word.is_empty() || bytes.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// A packet with number 0 and protocol version 10 (MySQL's HandshakeV10).
fn is_mysql(first: &[u8]) -> bool {
    matches!(first, [_, _, 0, 0, 10, version, ..] if version.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_says_what_to_try() {
        for (first, expected) in [
            (&b"220 mail.test ESMTP Postfix\r\n"[..], Some("--starttls smtp")),
            (b"220-mail.test ESMTP", Some("--starttls smtp")),
            (b"220 lmtp.test LMTP", Some("--starttls lmtp")),
            (b"220 ProFTPD Server", Some("--starttls ftp")),
            (b"220 welcome", Some("--starttls smtp or ftp")),
            (b"* OK [CAPABILITY IMAP4rev1] ready", Some("--starttls imap")),
            (b"+OK ready", Some("--starttls pop3")),
            (b"200 news.test ready", Some("--starttls nntp")),
            (b":irc.test NOTICE * :*** Looking up", Some("--starttls irc")),
            (b"\"IMPLEMENTATION\" \"Dovecot Pigeonhole\"", Some("--starttls sieve")),
            (b"\x4a\x00\x00\x00\x0a8.0.36\x00", Some("--starttls mysql")),
            (b"HTTP/1.1 400 Bad Request", None),
            (b"SSH-2.0-OpenSSH_9.2p1", None),
            (b"", None),
        ] {
            let said = not_tls(first);
            assert_eq!(said.split_once("try ").map(|(_, remedy)| remedy), expected, "{said}");
        }
    }
}
