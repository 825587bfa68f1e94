//! What a well-behaved server of each protocol says, and what it hears.

use crate::support::script::{Step, hear, send};
use crate::support::tds::Packing;

pub(super) struct Dialogue {
    pub(super) protocol: &'static str,
    pub(super) turns: &'static [Turn],
    pub(super) banner: Option<&'static str>,
    /// The beginning of a message that has no end, and what goes on in it for ever.
    pub(super) endless: (&'static [u8], &'static [u8]),
}

pub(super) enum Turn {
    Client(&'static [u8]),
    /// The last one is the consent to TLS.
    Server(&'static [u8]),
}

use Turn::{Client, Server};

impl Dialogue {
    pub(super) fn of(protocol: &str) -> &'static Self {
        let mut all = DIALOGUES.iter();
        all.find(|known| known.protocol == protocol).unwrap()
    }

    /// The whole of it, up to where TLS begins.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.turns.iter().map(Turn::step).collect()
    }

    /// What follows: TLS, packed as the protocol has it.
    pub(super) fn tls(&self, server: Step) -> Step {
        match self.protocol {
            "mssql" => Step::InPackets(Packing::USUAL, Box::new(server)),
            _ => server,
        }
    }

    /// Reads the ClientHello, packed as the protocol has it.
    pub(super) fn hear_hello(&self) -> Step {
        match self.protocol {
            "mssql" => Step::HearPackets,
            _ => Step::ReadHello,
        }
    }

    /// How often the server speaks.
    pub(super) fn replies(&self) -> usize {
        self.turns.iter().filter(|turn| turn.reply().is_some()).count()
    }

    /// All that comes before a reply, counted from 0, and the reply.
    pub(super) fn cut_at(&self, reply: usize) -> (Vec<Step>, &'static [u8]) {
        let turns = self.turns.iter().enumerate();
        let mut replies = turns.filter_map(|(place, turn)| Some((place, turn.reply()?)));
        let (place, reply) = replies.nth(reply).unwrap();
        (self.turns[..place].iter().map(Turn::step).collect(), reply)
    }

    /// All that comes before the consent, and the consent.
    pub(super) fn cut_at_consent(&self) -> (Vec<Step>, &'static [u8]) {
        self.cut_at(self.replies() - 1)
    }
}

impl Turn {
    fn step(&self) -> Step {
        match self {
            Client(bytes) => hear(bytes),
            Server(bytes) => send(bytes),
        }
    }

    fn reply(&self) -> Option<&'static [u8]> {
        match self {
            Client(_) => None,
            Server(bytes) => Some(bytes),
        }
    }
}

pub(super) const DIALOGUES: &[Dialogue] = &[
    Dialogue {
        protocol: "ftp",
        turns: &[
            Server(b"220-Welcome\r\n to the files\r\n220 ftp.example.com ready\r\n"),
            Client(b"FEAT\r\n"),
            Server(b"211-Features:\r\n AUTH TLS\r\n EPRT\r\n PBSZ\r\n211 End\r\n"),
            Client(b"AUTH TLS\r\n"),
            Server(b"234 Proceed with negotiation.\r\n"),
        ],
        banner: Some("220-Welcome"),
        endless: (b"220-Welcome\r\n", b" and welcome again\r\n"),
    },
    Dialogue {
        protocol: "imap",
        turns: &[
            Server(b"* OK IMAP4rev1 server ready\r\n"),
            Client(b"a1 CAPABILITY\r\n"),
            Server(b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\na1 OK listed\r\n"),
            Client(b"a2 STARTTLS\r\n"),
            Server(b"a2 OK Begin TLS negotiation now.\r\n"),
        ],
        banner: Some("* OK IMAP4rev1 server ready"),
        endless: (b"* OK ready\r\n", b"* OK and still ready\r\n"),
    },
    Dialogue {
        protocol: "irc",
        turns: &[
            Client(b"CAP LS 302\r\n"),
            Server(b":irc.test CAP * LS * :multi-prefix sasl\r\n:irc.test CAP * LS :tls\r\n"),
            Client(b"STARTTLS\r\n"),
            Server(b":irc.test 670 * :STARTTLS successful, proceed\r\n"),
        ],
        banner: Some(":irc.test CAP * LS * :multi-prefix sasl"),
        endless: (b"NOTICE AUTH :hello\r\n", b"NOTICE AUTH :*** Looking up your hostname\r\n"),
    },
    Dialogue {
        protocol: "ldap",
        turns: &[
            Client(b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"),
            Server(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
        ],
        banner: None,
        endless: (b"\x30\x82\x40\x00\x02\x01\x01\x78\x82\x3f\xf9", b"\x0a\x01\x00\x04\x00\x04"),
    },
    Dialogue {
        protocol: "lmtp",
        turns: &[
            Server(b"220 mail.example.com LMTP ready\r\n"),
            Client(b"LHLO tlsweep.invalid\r\n"),
            Server(b"250-mail.example.com\r\n250-STARTTLS\r\n250 PIPELINING\r\n"),
            Client(b"STARTTLS\r\n"),
            Server(b"220 2.0.0 Begin TLS negotiation now.\r\n"),
        ],
        banner: Some("220 mail.example.com LMTP ready"),
        endless: (b"220-mail", b".example.com"),
    },
    Dialogue {
        protocol: "mssql",
        turns: &[
            Client(
                b"\x12\x01\x00\x2f\x00\x00\x01\x00\
                \x00\x00\x1a\x00\x06\x01\x00\x20\x00\x01\x02\x00\x21\x00\x01\x03\x00\x22\x00\x04\
                \x04\x00\x26\x00\x01\xff\x10\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00",
            ),
            Server(
                b"\x04\x01\x00\x2b\x00\x00\x01\x00\
                \x00\x00\x1a\x00\x06\x01\x00\x20\x00\x01\x02\x00\x21\x00\x01\x03\x00\x22\x00\x00\
                \x04\x00\x22\x00\x01\xff\x10\x00\x03\xe8\x00\x00\x01\x00\x00",
            ),
        ],
        banner: Some("16.0.1000.0"),
        endless: (b"", b"\x04\x00\x00\x0c\x00\x00\x01\x00\x00\x00\x00\x00"),
    },
    Dialogue {
        protocol: "mysql",
        turns: &[
            Server(
                b"\x63\x00\x00\x00\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0\x1f\0\0\0Zx1}Ck3q\0\
                \xfe\xff\x2d\x02\x00\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0nJ(QZ4d^3r1i\0\
                mysql_native_password\0",
            ),
            Client(
                b"\x20\x00\x00\x01\x01\x8a\x00\x00\x00\x00\x00\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\
                \0\0\0\0\0\0\0\0\0\0",
            ),
        ],
        banner: Some("5.5.5-10.11.6-MariaDB-0+deb12u1"),
        endless: (b"\xff\xff\x7f\x00\x0a", b"8.0.36"),
    },
    Dialogue {
        protocol: "nntp",
        turns: &[
            Server(b"201 news.example.com ready (no posting)\r\n"),
            Client(b"CAPABILITIES\r\n"),
            Server(b"101 Capability list:\r\nVERSION 2\r\nREADER\r\nSTARTTLS\r\n.\r\n"),
            Client(b"STARTTLS\r\n"),
            Server(b"382 Continue with TLS negotiation\r\n"),
        ],
        banner: Some("201 news.example.com ready (no posting)"),
        endless: (b"201 news", b".example.com"),
    },
    Dialogue {
        protocol: "pop3",
        turns: &[
            Server(b"+OK POP3 ready <1@mail.example.com>\r\n"),
            Client(b"CAPA\r\n"),
            Server(b"+OK\r\nCAPA\r\nUIDL\r\nSTLS\r\nSASL\r\n.\r\n"),
            Client(b"STLS\r\n"),
            Server(b"+OK Begin TLS negotiation now.\r\n"),
        ],
        banner: Some("+OK POP3 ready <1@mail.example.com>"),
        endless: (b"+OK POP3", b" ready"),
    },
    Dialogue {
        protocol: "postgres",
        turns: &[Client(b"\x00\x00\x00\x08\x04\xd2\x16\x2f"), Server(b"S")],
        banner: None,
        endless: (b"E", b"too many connections"),
    },
    Dialogue {
        protocol: "rdp",
        turns: &[
            Client(b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00"),
            Server(b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x1f\x08\x00\x02\x00\x00\x00"),
        ],
        banner: None,
        endless: (b"\x03\x00\xff\xff\x0e\xd0", b"\x00\x00\x12\x34"),
    },
    Dialogue {
        protocol: "sieve",
        turns: &[
            Server(b"\"IMPLEMENTATION\" \"Sieve 1\"\r\n\"SIEVE\" \"fileinto\"\r\n\"STARTTLS\"\r\nOK ready\r\n"),
            Client(b"STARTTLS\r\n"),
            Server(b"OK Begin TLS negotiation now.\r\n"),
        ],
        banner: Some("\"IMPLEMENTATION\" \"Sieve 1\""),
        endless: (b"\"IMPLEMENTATION\" \"Sieve 1\"\r\n", b"\"SIEVE\" \"fileinto\"\r\n"),
    },
    Dialogue {
        protocol: "smtp",
        turns: &[
            Server(b"220-mx.example.com ESMTP\r\n220 No spam\r\n"),
            Client(b"EHLO tlsweep.invalid\r\n"),
            Server(b"250-mx.example.com\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 HELP\r\n"),
            Client(b"STARTTLS\r\n"),
            Server(b"220 2.0.0 Ready to start TLS\r\n"),
        ],
        banner: Some("220-mx.example.com ESMTP"),
        endless: (b"220-mx.example.com ESMTP\r\n", b"220-and a word of advice\r\n"),
    },
    Dialogue {
        protocol: "xmpp",
        turns: &[
            Client(
                b"<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' \
                xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
            ),
            Server(XMPP_STREAM),
            Client(XMPP_ASK),
            Server(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        ],
        banner: None,
        endless: (b"<?xml version='1.0'?><stream:stream id='1'>", b"<stream:features>"),
    },
    Dialogue {
        protocol: "xmpp-server",
        turns: &[
            Client(
                b"<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:server' \
                xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
            ),
            Server(XMPP_STREAM),
            Client(XMPP_ASK),
            Server(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'></proceed>"),
        ],
        banner: None,
        endless: (b"<?xml version='1.0'?><stream:stream id='", b">>>>>>>>"),
    },
];

const XMPP_STREAM: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' id='a>b' \
    from='localhost' version='1.0' xmlns:stream='http://etherx.jabber.org/streams'>\
    <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
    <mechanisms><mechanism>PLAIN</mechanism></mechanisms></stream:features>";

const XMPP_ASK: &[u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
