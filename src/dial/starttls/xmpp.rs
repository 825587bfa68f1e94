//! XMPP: RFC 6120, section 5.

use super::{Dialogue, Protocol, Step, broken, rejected};
use crate::failure::Failure;

pub(super) const CLIENT: Protocol = Protocol {
    name: "xmpp",
    schemes: &["xmpp"],
    ports: &[5222],
    alpn: &["xmpp-client"],
    dialogue: |host| Box::new(Xmpp::new("jabber:client", host)),
};

pub(super) const SERVER: Protocol = Protocol {
    name: "xmpp-server",
    schemes: &["xmpp-server"],
    ports: &[5269],
    alpn: &["xmpp-server"],
    dialogue: |host| Box::new(Xmpp::new("jabber:server", host)),
};

struct Xmpp {
    header: String,
    awaited: Awaited,
    offered: bool,
}

enum Awaited {
    Stream,
    Features,
    /// The name of what went wrong, inside an error or a failure.
    Condition,
    Consent,
    /// The end tag, where the server did not close `proceed` at once.
    ConsentEnd,
}

impl Xmpp {
    fn new(namespace: &str, host: &str) -> Self {
        let host = host.replace('&', "&amp;").replace('<', "&lt;");
        let host = host.replace('\'', "&apos;");
        Self {
            header: format!(
                "<?xml version='1.0'?><stream:stream to='{host}' xmlns='{namespace}' \
                 xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
            ),
            awaited: Awaited::Stream,
            offered: false,
        }
    }

    fn tag(&mut self, tag: &Tag<'_>) -> Result<Step, Failure> {
        match (&self.awaited, tag.name, tag.shape) {
            (Awaited::Stream, b"?xml", _) => Ok(Step::Wait),
            (Awaited::Stream, b"stream", Shape::Start) => {
                self.awaited = Awaited::Features;
                Ok(Step::Wait)
            }
            (Awaited::Stream, ..) => Err(broken("the peer's tag opens no XMPP stream", tag.markup)),
            (Awaited::Condition, name, _) => {
                let condition = name.escape_ascii();
                let detail = format!("the server refused the session: {condition}");
                Err(rejected(detail, tag.markup))
            }
            (_, b"stream", Shape::End) => Err(rejected("the server closed the stream", tag.markup)),
            (_, b"error", Shape::Start) => {
                self.awaited = Awaited::Condition;
                Ok(Step::Wait)
            }
            (Awaited::Features, b"starttls", Shape::Start | Shape::Empty) => {
                self.offered = true;
                Ok(Step::Wait)
            }
            (Awaited::Features, b"features", Shape::End | Shape::Empty) => self.ask(tag),
            (Awaited::Features, ..) => Ok(Step::Wait),
            (Awaited::Consent, b"proceed", Shape::Start) => {
                self.awaited = Awaited::ConsentEnd;
                Ok(Step::Wait)
            }
            (Awaited::Consent, b"proceed", Shape::Empty)
            | (Awaited::ConsentEnd, b"proceed", Shape::End) => Ok(Step::Upgrade(Vec::new())),
            (Awaited::Consent, b"failure", _) => {
                Err(rejected("the server refused STARTTLS", tag.markup))
            }
            (Awaited::Consent | Awaited::ConsentEnd, ..) => {
                Err(broken("the peer's tag is out of place", tag.markup))
            }
        }
    }

    fn ask(&mut self, tag: &Tag<'_>) -> Result<Step, Failure> {
        if !self.offered {
            return Err(rejected("the server does not offer STARTTLS", tag.markup));
        }
        self.awaited = Awaited::Consent;
        let ask = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        Ok(Step::Send(ask.to_vec()))
    }
}

impl Dialogue for Xmpp {
    fn open(&mut self) -> Vec<u8> {
        self.header.clone().into_bytes()
    }

    fn read(&mut self, input: &[u8]) -> Result<Option<(usize, Step)>, Failure> {
        let between_tags_only = matches!(self.awaited, Awaited::Stream | Awaited::Consent);
        let text = input.iter().take_while(|byte| **byte != b'<');
        if between_tags_only && !text.clone().all(u8::is_ascii_whitespace) {
            return Err(broken("the peer's bytes are no XML stream", input));
        }
        let start = text.count();
        let Some(tag) = Tag::parse(input.get(start..).unwrap_or_default()) else {
            return Ok(None);
        };
        Ok(Some((start + tag.markup.len(), self.tag(&tag)?)))
    }
}

/// What stands between `<` and `>`. XMPP allows no comments, sections or entities of one's own.
struct Tag<'a> {
    markup: &'a [u8],
    shape: Shape,
    /// Without its prefix.
    name: &'a [u8],
}

#[derive(Clone, Copy)]
enum Shape {
    Start,
    End,
    Empty,
}

impl<'a> Tag<'a> {
    /// Reads the tag at the front of `input`, when it is whole.
    fn parse(input: &'a [u8]) -> Option<Self> {
        let mut quote = None;
        let end = input.iter().position(|byte| {
            match quote {
                Some(open) if open == *byte => quote = None,
                None if b"'\"".contains(byte) => quote = Some(*byte),
                _ => {}
            }
            quote.is_none() && *byte == b'>'
        })?;
        let inner = input.get(1..end)?;
        let (shape, inner) = match (inner.strip_prefix(b"/"), inner.strip_suffix(b"/")) {
            (Some(inner), _) => (Shape::End, inner),
            (None, Some(inner)) => (Shape::Empty, inner),
            (None, None) => (Shape::Start, inner),
        };
        let name = inner.split(u8::is_ascii_whitespace).next()?;
        Some(Self {
            markup: input.get(..=end)?,
            shape,
            name: name.rsplit(|byte| *byte == b':').next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Said::*, failure_of, upgrade_of};
    use super::super::{Conversation, Protocol, Step};
    use crate::failure::Kind;

    const HEADER: &[u8] = b"<?xml version='1.0'?><stream:stream to='example.com' \
        xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
    const STREAM: &[u8] = b"<?xml version='1.0'?>\n<stream:stream xmlns='jabber:client' \
        xml:lang='en' id='a>b' from=\"example.com\" version='1.0' \
        xmlns:stream='http://etherx.jabber.org/streams'>";
    const FEATURES: &[u8] = b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>\
        <required/></starttls><mechanisms><mechanism>PLAIN</mechanism></mechanisms>\
        </stream:features>";
    const ASK: &[u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

    #[test]
    fn upgrades() {
        for consent in [
            &b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"[..],
            b" <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'></proceed>",
        ] {
            upgrade_of("xmpp", &[Us(HEADER), Peer(STREAM), Peer(FEATURES), Us(ASK), Peer(consent)]);
        }
    }

    #[test]
    fn servers_are_greeted_as_servers() {
        let protocol = Protocol::by_name("xmpp-server").unwrap();
        let Step::Send(header) = Conversation::new(protocol, "a'b<&").open() else {
            panic!("a server waits for the header");
        };
        let header = String::from_utf8(header).unwrap();
        assert!(header.contains("xmlns='jabber:server'"));
        assert!(header.contains("to='a&apos;b&lt;&amp;'"));
        upgrade_of("xmpp-server", &[Peer(STREAM), Peer(FEATURES), Peer(b"<proceed/>")]);
    }

    #[test]
    fn refusals() {
        let failure = failure_of(
            "xmpp",
            &[
                Peer(STREAM),
                Peer(
                    b"<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                    </stream:error></stream:stream>",
                ),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server refused the session: host-unknown");

        for features in [&b"<stream:features><bind/></stream:features>"[..], b"<stream:features/>"]
        {
            let failure = failure_of("xmpp", &[Peer(STREAM), Peer(features)]);
            assert_eq!(failure.kind, Kind::Rejected);
            assert_eq!(failure.detail, "the server does not offer STARTTLS");
        }

        let failure = failure_of(
            "xmpp",
            &[
                Peer(STREAM),
                Peer(FEATURES),
                Peer(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"),
            ],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.detail, "the server refused STARTTLS");
    }

    #[test]
    fn bytes_behind_the_consent_are_an_injection() {
        let failure = failure_of(
            "xmpp",
            &[Peer(STREAM), Peer(FEATURES), Together(b"<proceed/><stream:features/>")],
        );
        assert_eq!(failure.kind, Kind::Rejected);
        assert_eq!(failure.evidence.as_deref().unwrap(), "<stream:features/>");
    }

    #[test]
    fn what_is_no_stream_breaks_the_protocol() {
        for junk in [&b"<!DOCTYPE html>"[..], b"<html>", b"220 smtp\r\n"] {
            assert_eq!(failure_of("xmpp", &[Peer(junk)]).kind, Kind::Protocol);
        }
        let endless = format!("<stream:stream id='{}", ">".repeat(17_000));
        let failure = failure_of("xmpp", &[Peer(endless.as_bytes())]);
        assert_eq!(failure.kind, Kind::TooLarge);
    }
}
