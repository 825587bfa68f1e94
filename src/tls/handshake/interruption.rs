//! What ends a handshake before it is finished, and whose fault that is.

use std::io;

use rustls::{Error, PeerMisbehaved};

use crate::deadline::Expired;
use crate::failure::{Failure, Kind, Stage, tls_error};
use crate::signature::without_tls12;
use crate::tls::ech::{Configurations, rejection};
use crate::tls::recorder::Seen;

/// What ended a handshake: an error of the socket or the session, or the deadline.
pub(super) struct Interruption {
    failure: Failure,
    /// Whether rustls refused a signature for its scheme.
    is_wrong_scheme: bool,
    /// The configurations that the server sent when it refused an encrypted hello.
    ech_rejection: Option<Box<Configurations>>,
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        const WRONG_SCHEME: Error =
            Error::PeerMisbehaved(PeerMisbehaved::SignedKxWithWrongAlgorithm);
        Self {
            failure: Failure::from_io(Stage::Handshake, &error),
            is_wrong_scheme: tls_error(&error) == Some(&WRONG_SCHEME),
            ech_rejection: rejection(&error).map(Box::new),
        }
    }
}

impl From<Expired> for Interruption {
    fn from(expired: Expired) -> Self {
        Self { failure: expired.into(), is_wrong_scheme: false, ech_rejection: None }
    }
}

impl Interruption {
    /// Why the handshake failed, given what was seen of it, and what came with the refusal of an
    /// encrypted hello.
    ///
    /// In TLS 1.2, rustls refuses schemes for which it has no suite before it asks the recorder. Some
    /// keys sign with no other scheme, so their servers broke no rule.
    pub(super) fn into_parts(self, seen: &Seen) -> (Failure, Option<Box<Configurations>>) {
        let is_refused_unseen = self.is_wrong_scheme && seen.signature_scheme.is_none();
        let key = seen.chain.first().and_then(|leaf| without_tls12(leaf));
        let failure = match key.filter(|_| is_refused_unseen) {
            Some(key) => {
                let detail = format!("rustls does not take signatures by an {key} key in TLS 1.2");
                Failure::new(Stage::Handshake, Kind::Unsupported, detail)
            }
            None => self.failure,
        };
        (failure, self.ech_rejection)
    }
}
