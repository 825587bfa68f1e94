//! What the two sides of a connection agreed on.

use std::ptr;

use rustls::client::EchStatus;
use rustls::crypto::SupportedKxGroup;
use rustls::{ClientConnection, HandshakeKind};

use crate::names::{Group, Suite, Version};
use crate::tls::hello::{Answer, Parameters, ServerHello};
use crate::tls::ja3s;
use crate::tls::key_share::REUSED;
use crate::tls::recorder::Seen;

/// What both sides agreed on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Agreed {
    /// The protocol version.
    pub version: Option<Version>,
    /// The suite.
    pub cipher: Option<Suite>,
    /// The group.
    pub group: Option<Group>,
    /// The application protocol; none when the peer chose none.
    pub alpn: Option<Vec<u8>>,
    /// Whether the peer asked for another key share first.
    pub hello_retry: bool,
    /// Whether other connections may have had the same key share of ours.
    pub key_share_reused: bool,
    /// The fingerprint of the ServerHello with which the server answered rustls.
    pub ja3s: Option<[u8; 16]>,
    /// Whether the server announced a session ticket of TLS 1.2 (RFC 5077).
    pub has_ticket: bool,
    /// Whether an earlier session was resumed.
    pub is_resumed: bool,
    /// Whether the server read the encrypted hello, rather than the one in the clear around it.
    pub is_ech_accepted: bool,
}

impl Agreed {
    /// What a server chose in a flight in plain text; nothing when it chose nothing.
    pub fn in_plain_text(answer: &Answer) -> Option<Self> {
        let hello = answer.server_hello()?;
        let parameters = answer.key_exchange.as_ref().map(|exchange| &exchange.parameters);
        Some(Self {
            version: Some(hello.version()),
            cipher: Some(hello.suite),
            group: match parameters {
                Some(Parameters::Ecdh { group }) => Some(*group),
                _ => hello.key_share_group,
            },
            alpn: hello.alpn.clone(),
            hello_retry: answer.retry.is_some(),
            key_share_reused: false,
            ja3s: None,
            has_ticket: hello.has_ticket(),
            is_resumed: false,
            is_ech_accepted: false,
        })
    }

    /// What a server had chosen before the handshake failed: its first bytes tell, and what `seen`
    /// tells of the key exchange.
    pub fn before_failure(beginning: &[u8], seen: &Seen) -> Option<Self> {
        let answer = Answer::of_beginning(beginning);
        let agreed = Self::in_plain_text(&answer)?;
        let ja3s = answer.hello.as_ref().map(ja3s::of_hello);
        Some(Self { group: agreed.group.or(seen.group), ja3s, ..agreed })
    }

    /// What a finished handshake agreed on, given the first bytes of the server.
    pub fn of(connection: &ClientConnection, beginning: &[u8]) -> Self {
        let answer = Answer::of_beginning(beginning);
        let kind = connection.handshake_kind();
        let group = connection.negotiated_key_exchange_group();
        let is = |reused: &&_| group.is_some_and(|group| ptr::addr_eq(*reused, group));
        Self {
            version: connection.protocol_version().map(|version| Version(version.into())),
            cipher: connection.negotiated_cipher_suite().map(|suite| Suite(suite.suite().into())),
            group: group.map(number_of),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            hello_retry: kind == Some(HandshakeKind::FullWithHelloRetryRequest),
            key_share_reused: REUSED.iter().any(is),
            ja3s: answer.hello.as_ref().map(ja3s::of_hello),
            has_ticket: answer.hello.as_ref().is_some_and(ServerHello::has_ticket),
            is_resumed: kind == Some(HandshakeKind::Resumed),
            is_ech_accepted: connection.ech_status() == EchStatus::Accepted,
        }
    }
}

/// A group of rustls by its number.
pub fn number_of(group: &dyn SupportedKxGroup) -> Group {
    Group(group.name().into())
}
