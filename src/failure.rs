//! Why a target failed: a stage, a kind and a sentence.
//!
//! Only this module turns an [`io::Error`] or a [`rustls::Error`] into a [`Failure`]. It classifies
//! both by type and number, never by their text.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};

use rustls::{CertificateError, InvalidMessage, OtherError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::certificate_count::TooMuch;
use crate::escape::cut;
use crate::greeting::not_tls;
use crate::limits::DETAIL_LIMIT;
pub use crate::limits::EVIDENCE_LIMIT;
use crate::names::{AlertDescription, content_type};

/// Why a target has no finished handshake. It is only a pointer in size, because every future that
/// waits in a dial reserves room for one.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Failure(Box<Reason>);

/// The contents of a [`Failure`]: always a stage and a kind, then details for people.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Reason {
    /// How far the target came.
    pub stage: Stage,
    /// What ended it.
    pub kind: Kind,
    /// The alert that the peer sent, by its IANA name; its number when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertDescription>,
    /// One sentence for people; its wording may change between versions.
    pub detail: String,
    /// The first bytes that the peer sent, escaped, at most 64 of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// The step in which a target failed.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Parsing the input line, and checking it against the exclusions.
    Input,
    /// From a name to its addresses.
    Resolve,
    /// From an address to a TCP connection.
    Connect,
    /// The plaintext dialogue before the handshake.
    Starttls,
    /// The TLS handshake.
    Handshake,
    /// This machine failed. The target is not to blame.
    Local,
}

/// What ended a target.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// The peer sent a fatal alert.
    Alert,
    /// The signature over the handshake does not hold under the certificate's key.
    BadSignature,
    /// The peer closed in the middle.
    Eof,
    /// The target is on an exclude list, or its address is not of a family that is wanted.
    Excluded,
    /// A defect of ours.
    Internal,
    /// The run was stopped before this target was finished.
    Interrupted,
    /// The line is not a target.
    InvalidTarget,
    /// The name has no address: NXDOMAIN or no data.
    NotFound,
    /// The first bytes were not TLS.
    NotTls,
    /// The peer broke the protocol.
    Protocol,
    /// Nobody listens on the port (a TCP reset in answer to the SYN).
    Refused,
    /// The STARTTLS peer refused to upgrade, or sent plaintext after it agreed (an injection).
    Rejected,
    /// The peer reset the connection.
    Reset,
    /// Our own machine ran out of descriptors, ports, buffers or memory.
    Resource,
    /// SERVFAIL, REFUSED or nonsense from the name server.
    ServerFailure,
    /// A deadline expired.
    Timeout,
    /// A handshake message beyond what we accept.
    TooLarge,
    /// There is no route to the address.
    Unreachable,
    /// The peer chose a version or cipher suite that tlsweep does not support.
    Unsupported,
}

impl Failure {
    /// A failure with a detail and nothing else.
    pub fn new(stage: Stage, kind: Kind, detail: impl Into<String>) -> Self {
        Reason { stage, kind, alert: None, detail: detail.into(), evidence: None }.into()
    }

    /// Whether our own machine failed, which says nothing about the peer.
    pub fn is_local(&self) -> bool {
        self.stage == Stage::Local
    }

    /// What an error of a socket means when it strikes in `stage`.
    ///
    /// An error of rustls, which tokio-rustls wraps in an [`io::Error`], is classified by
    /// [`Failure::from_tls`].
    #[doc(hidden)]
    pub fn from_io(stage: Stage, error: &io::Error) -> Self {
        if let Some(error) = tls_error(error) {
            return Self::from_tls(stage, error);
        }
        if let Some(Unpackable(reason)) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return Self::new(stage, Kind::NotTls, *reason);
        }
        if error.get_ref().is_some_and(|inner| inner.is::<TooMuch>()) {
            return Self::new(stage, Kind::TooLarge, error.to_string());
        }
        if is_local(error) {
            return Self::new(Stage::Local, Kind::Resource, error.to_string());
        }
        let detail = match error.kind() {
            // Libraries word it each in their own way.
            io::ErrorKind::UnexpectedEof => "the peer closed the connection".to_owned(),
            _ => error.to_string(),
        };
        Self::new(stage, kind_of_io(stage, error), detail)
    }

    /// What an error of rustls means when it strikes in `stage`.
    #[doc(hidden)]
    pub fn from_tls(stage: Stage, error: &rustls::Error) -> Self {
        let kind = kind_of_tls(error);
        let stage = match kind {
            Kind::Resource | Kind::Internal => Stage::Local,
            _ => stage,
        };
        let alert = match error {
            rustls::Error::AlertReceived(alert) => Some(AlertDescription((*alert).into())),
            _ => None,
        };
        let detail = match (&alert, error) {
            (Some(alert), _) => format!("the peer sent the alert {alert}"),
            (None, rustls::Error::Other(OtherError(ours))) => ours.to_string(),
            (None, _) => error.to_string(),
        };
        Reason { stage, kind, alert, detail, evidence: None }.into()
    }

    /// Reconsiders the failure in the light of the first bytes that the peer sent.
    ///
    /// rustls calls a wrong content type the same in the first byte and in mid-stream; only the
    /// former says that the peer does not speak TLS. And rustls wants a whole header before it says
    /// even that, which a peer that hangs up may not have sent.
    #[doc(hidden)]
    pub fn in_view_of(mut self, first: &[u8]) -> Self {
        let is_record = first.first().map(|kind| content_type::KNOWN.contains(kind));
        match (self.kind, is_record) {
            (Kind::NotTls, Some(true)) => self.kind = Kind::Protocol,
            (Kind::Eof | Kind::Reset, None | Some(true)) => {}
            (Kind::NotTls | Kind::Eof | Kind::Reset, _) => {
                self.kind = Kind::NotTls;
                self.detail = not_tls(first);
                self.evidence = Some(evidence(first));
            }
            _ => {}
        }
        self
    }
}

impl From<Reason> for Failure {
    /// A detail that quotes a peer at length is cut.
    fn from(reason: Reason) -> Self {
        Self(Box::new(Reason { detail: cut(reason.detail, DETAIL_LIMIT), ..reason }))
    }
}

impl Deref for Failure {
    type Target = Reason;

    fn deref(&self) -> &Reason {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Reason {
        &mut self.0
    }
}

impl Stage {
    /// The word in the record.
    pub fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Starttls => "starttls",
            Self::Handshake => "handshake",
            Self::Local => "local",
        }
    }
}

impl Kind {
    /// The word in the record.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::BadSignature => "bad_signature",
            Self::Eof => "eof",
            Self::Excluded => "excluded",
            Self::Internal => "internal",
            Self::Interrupted => "interrupted",
            Self::InvalidTarget => "invalid_target",
            Self::NotFound => "not_found",
            Self::NotTls => "not_tls",
            Self::Protocol => "protocol",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Reset => "reset",
            Self::Resource => "resource",
            Self::ServerFailure => "server_failure",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::Unreachable => "unreachable",
            Self::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: {}", self.stage.word(), self.kind.word(), self.detail)
    }
}

/// The error of rustls inside an [`io::Error`], as tokio-rustls wraps it.
pub(crate) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What is wrong with the packets inside which a peer sends TLS, as an error of the stream.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unpackable(pub &'static str);

impl fmt::Display for Unpackable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unpackable {}

/// Whether this machine lacks or forbids something, whoever the peer is.
#[doc(hidden)]
pub fn is_local(error: &io::Error) -> bool {
    is_shortage(error) || matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM))
}

/// An error that came from the network, some time after our own machine had let the packet out. Linux
/// reports a router's ICMPv6 "administratively prohibited" as EACCES, which otherwise means that
/// something on this machine forbids it.
pub(crate) fn from_the_network(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => {
            io::Error::new(io::ErrorKind::HostUnreachable, "the network says that it is prohibited")
        }
        _ => error,
    }
}

/// Whether this machine lacks something now that may be available again in a moment.
#[doc(hidden)]
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            // ENOSPC: more sockets than epoll watches.
            libc::ENOSPC
                | libc::EMFILE
                | libc::ENFILE
                | libc::ENOBUFS
                | libc::ENOMEM
                | libc::EADDRNOTAVAIL
                | libc::EADDRINUSE
                | libc::EAGAIN
        )
    )
}

/// At most [`EVIDENCE_LIMIT`] bytes that a peer sent, escaped as in a Rust byte string.
#[doc(hidden)]
pub fn evidence(bytes: &[u8]) -> String {
    let kept = bytes.get(..EVIDENCE_LIMIT).unwrap_or(bytes);
    kept.escape_ascii().to_string()
}

fn kind_of_io(stage: Stage, error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Kind::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => Kind::Reset,
        io::ErrorKind::TimedOut => Kind::Timeout,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::WriteZero => Kind::Eof,
        // rustls' deframer buffer is full, and the message is not complete.
        io::ErrorKind::InvalidData => Kind::TooLarge,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => Kind::Unreachable,
        _ if stage == Stage::Connect => Kind::Unreachable,
        _ => Kind::Reset,
    }
}

/// The kind of every error that rustls 0.23 can give.
///
/// Its enums are non-exhaustive. A variant that a later version adds is `protocol`, because nearly
/// all of them describe what the peer did.
fn kind_of_tls(error: &rustls::Error) -> Kind {
    use rustls::Error as E;
    match error {
        E::AlertReceived(_) => Kind::Alert,
        E::InvalidMessage(
            InvalidMessage::HandshakePayloadTooLarge | InvalidMessage::CertificatePayloadTooLarge,
        ) => Kind::TooLarge,
        E::Other(OtherError(error)) if error.is::<TooMuch>() => Kind::TooLarge,
        E::InvalidMessage(InvalidMessage::InvalidContentType) => Kind::NotTls,
        E::InvalidCertificate(CertificateError::BadSignature) => Kind::BadSignature,
        E::PeerIncompatible(_) => Kind::Unsupported,
        E::FailedToGetRandomBytes => Kind::Resource,
        _ => Kind::Protocol,
    }
}
