//! `--enumerate`: every certificate of a server, one for each kind of key.
//!
//! A handshake offers every signature scheme that can be verified. What the server signs with is
//! left out of the next offer, together with the other schemes of that key, until the server
//! refuses. The handshakes are those of rustls, so a certificate is believed only with its proof.

use rustls::SignatureScheme;

use super::enumeration::ENUMERATE;
use super::questions::Questions;
use super::{Facts, Follow, Row};
use crate::cert::Examined;
use crate::failure::{Kind, Stage};
use crate::probe::{Attempt, Speech};
use crate::signature::Proof;
use crate::tls::handshake::{Hello, Schemes};
use crate::tls::schemes::{RSA_PSS_PSS_SHA256, SchemeSet, scheme_of_number};

pub(super) const ROW: Row = Row {
    topic: "certificates",
    flag: &ENUMERATE,
    make: |start| {
        Box::new(Certificates {
            hello: start.hello,
            left: SchemeSet::usable(start.versions),
            questions: Questions::default(),
            by_close: false,
            found: Found::default(),
        })
    },
    without_tls: |_facts| {},
};

/// Every certificate that a server showed.
#[derive(Debug, Default)]
pub struct Found {
    /// Each leaf once, in the order in which they were shown.
    pub certificates: Vec<Shown>,
    /// Whether the server refused to show another one. Otherwise it fell silent, or could not be
    /// asked.
    pub is_complete: bool,
}

/// A certificate, and the handshake in which it was shown.
#[derive(Debug)]
pub struct Shown {
    /// The number of the scheme of the signature over the handshake, once that has come.
    pub scheme: Option<u16>,
    /// What that signature proves.
    pub proof: Proof,
    /// What the chain is worth.
    pub examined: Box<Examined>,
}

struct Certificates {
    hello: Hello,
    /// The schemes that are still to be offered; none when the asking is over.
    left: SchemeSet,
    questions: Questions,
    /// Whether the refusal that ended the asking was a close.
    by_close: bool,
    found: Found,
}

impl Follow for Certificates {
    fn next(&mut self) -> Option<Speech> {
        if self.left.is_empty() || !self.questions.may_begin() {
            return None;
        }
        self.questions.begin();
        Some(Speech::Handshake(Hello { schemes: Schemes::Only(self.left), ..self.hello }))
    }

    fn judges(&self) -> bool {
        true
    }

    fn settle(&mut self, _number: usize, attempt: &Attempt) {
        self.questions.end();
        let Some(examined) = &attempt.examined else {
            if attempt.is_refused() {
                self.by_close |= attempt.is_refusal;
                // A server that showed nothing at all may speak only what rustls cannot.
                self.end(!self.found.certificates.is_empty());
            } else {
                self.questions.unanswered();
            }
            return;
        };
        let seen = &attempt.seen;
        let is_new = self
            .found
            .certificates
            .iter()
            .all(|shown| shown.examined.sha256.first() != examined.sha256.first());
        if is_new {
            self.found.certificates.push(Shown {
                scheme: seen.signature_scheme,
                proof: seen.proof.clone(),
                examined: examined.clone(),
            });
        }
        match seen.signature_scheme.and_then(scheme_of_number) {
            Some(scheme) if self.left.contains(scheme) => {
                self.questions.answered();
                self.left = self.left.without_key_of(scheme);
                if self.left.is_empty() {
                    self.found.is_complete = true;
                }
            }
            // It signed in TLS 1.2 with a key of which rustls takes no signature there.
            _ if attempt.failed(Stage::Handshake, &[Kind::Unsupported])
                && self.left.contains(without_tls12(examined)) =>
            {
                self.questions.answered();
                self.left = self.left.without_key_of(without_tls12(examined));
            }
            // It broke off before it signed.
            _ if attempt.result.is_err() && seen.signature_scheme.is_none() => {
                self.questions.unanswered()
            }
            // It shows the same whatever it is asked for.
            _ => self.end(!is_new),
        }
    }

    fn doubt_closes(&mut self) {
        self.found.is_complete &= !self.by_close;
    }

    fn into_facts(self: Box<Self>, facts: &mut Facts) {
        facts.certificates = Some(Box::new(self.found));
    }
}

impl Certificates {
    fn end(&mut self, is_complete: bool) {
        self.left = SchemeSet::EMPTY;
        self.found.is_complete = is_complete;
    }
}

/// A scheme of the leaf's key, given that rustls takes no signature by it in TLS 1.2.
fn without_tls12(examined: &Examined) -> SignatureScheme {
    let key = examined.cert.as_ref().and_then(|leaf| leaf.key.as_deref());
    match key {
        Some("Ed448") => SignatureScheme::ED448,
        _ => RSA_PSS_PSS_SHA256,
    }
}
