//! Reads the stapled OCSP response and checks whether it is genuine.

use std::borrow::Cow;
use std::ops::Range;

use aws_lc_rs::digest::{self, digest};
use rustls_pki_types::CertificateDer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::extensions::ExtendedKeyUsage;

use super::algorithms::Algorithms;
use super::canonical;
use super::contain::contain;
use super::der::{Reader, tag};
use super::issuer::{Hashes, Issuer, hash_of_oid, issuers};
use super::meter::Meter;
use super::name;
use super::named::Named;
use super::reading::{Moment, Reading, algorithm_oid, holds, id, moment};
use super::roots::Roots;
use super::text::bounded_hex;
use crate::limits::{MAX_NAMESAKES, MAX_RESPONDERS, MAX_SINGLE_RESPONSES};
use crate::signature::{Checked, Spki};

/// What the server stapled about its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ocsp {
    /// The status of the leaf.
    pub status: Status,
    /// When the response was signed, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub produced_at: Option<String>,
    /// The moment from which the status is known to be right, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub this_update: Option<String>,
    /// When newer information will be available at the latest, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update: Option<String>,
    /// Since when the certificate is revoked, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    /// The number of single responses; absent up to 16. Only the first 16 are examined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responses_count: Option<usize>,
    /// The responder: its name as in RFC 4514, or the hash of its key in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responder: Option<String>,
    /// Whether now is between `this_update` and `next_update`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<bool>,
    /// Whether the leaf's issuer, or a responder that it authorised, signed the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// The status of a stapled response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked,
    /// The responder does not know the certificate.
    Unknown,
    /// The response is about other certificates only.
    Mismatch,
    /// The staple is not an OCSP response.
    Malformed,
    /// The responder called the server's request malformed.
    MalformedRequest,
    /// The responder had an error of its own.
    InternalError,
    /// The responder wanted to be asked later.
    TryLater,
    /// The responder wanted a signed request.
    SigRequired,
    /// The responder does not answer for this certificate.
    Unauthorized,
}

/// Whether a response is genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// Signed by the leaf's issuer or by a responder that it authorised.
    Valid,
    /// Not signed by either of them.
    Invalid,
    /// The issuer's key is not known, or the signature algorithm is not supported.
    Unchecked,
}

/// What a staple says, and the period in which this does not change.
#[derive(Clone, Debug)]
pub(super) struct Staple {
    pub(super) ocsp: Ocsp,
    /// The period in which `ocsp` does not change, in seconds since 1970.
    pub(super) holds: Range<i64>,
}

impl Staple {
    /// Reads a staple for the first certificate of the chain.
    pub(super) fn read(
        staple: &[u8],
        chain: &[CertificateDer<'_>],
        roots: &Roots,
        algorithms: &Algorithms,
        now: i64,
    ) -> Self {
        let read = || {
            let (leaf, others) = chain.split_first()?;
            Some(match Response::read(staple)? {
                Response::Refused(status) => Ocsp::of(status).into(),
                Response::Basic(basic) => {
                    let leaf = Reading::new(leaf);
                    let issuers = issuers(&leaf, others, roots);
                    Self {
                        ocsp: basic.judge(&leaf, &issuers, algorithms, now),
                        holds: basic.holds(now),
                    }
                }
            })
        };
        let read = contain(read).flatten();
        read.unwrap_or_else(|| Ocsp::of(Status::Malformed).into())
    }
}

impl From<Ocsp> for Staple {
    /// The parts that do not depend on the time.
    fn from(ocsp: Ocsp) -> Self {
        Self { ocsp, holds: i64::MIN..i64::MAX }
    }
}

impl Ocsp {
    /// Whether it proves that the leaf is revoked.
    pub(super) fn revokes(&self) -> bool {
        self.status == Status::Revoked
            && self.signature == Some(Signature::Valid)
            && self.current == Some(true)
    }

    fn of(status: Status) -> Self {
        Self {
            status,
            produced_at: None,
            this_update: None,
            next_update: None,
            revoked_at: None,
            responses_count: None,
            responder: None,
            current: None,
            signature: None,
        }
    }
}

enum Response<'a> {
    Refused(Status),
    Basic(Basic<'a>),
}

/// RFC 6960's BasicOCSPResponse.
struct Basic<'a> {
    /// The signed part with its header.
    data: &'a [u8],
    responder: Responder<'a>,
    produced_at: Option<Moment<'a>>,
    /// The first [`MAX_SINGLE_RESPONSES`].
    answers: Vec<Answer<'a>>,
    answers_count: usize,
    algorithm: &'a [u8],
    signature: &'a [u8],
    certificates: Vec<Named<'a>>,
}

enum Responder<'a> {
    Name {
        /// With its header.
        name: &'a [u8],
        /// Without.
        canonical: Cow<'a, [u8]>,
    },
    KeyHash(&'a [u8]),
}

/// A SingleResponse: the status of one certificate.
struct Answer<'a> {
    hash: Option<&'static digest::Algorithm>,
    issuer_name_hash: &'a [u8],
    issuer_key_hash: &'a [u8],
    serial: &'a [u8],
    status: Status,
    revoked_at: Option<Moment<'a>>,
    this_update: Moment<'a>,
    next_update: Option<Moment<'a>>,
}

impl<'a> Response<'a> {
    fn read(staple: &'a [u8]) -> Option<Self> {
        const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
        let mut response = Reader::new(Reader::new(staple).expect(tag::SEQUENCE)?.value);
        let refusal = match response.expect(tag::ENUMERATED)?.value {
            [0] => None,
            [1] => Some(Status::MalformedRequest),
            [2] => Some(Status::InternalError),
            [3] => Some(Status::TryLater),
            [5] => Some(Status::SigRequired),
            [6] => Some(Status::Unauthorized),
            _ => return None,
        };
        if let Some(status) = refusal {
            return Some(Self::Refused(status));
        }
        let explicit = response.expect(tag::context(0))?.value;
        let mut bytes = Reader::new(Reader::new(explicit).expect(tag::SEQUENCE)?.value);
        if bytes.expect(tag::OID)?.value != BASIC {
            return None;
        }
        Basic::read(bytes.expect(tag::OCTET_STRING)?.value).map(Self::Basic)
    }
}

impl<'a> Basic<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut basic = Reader::new(Reader::new(bytes).expect(tag::SEQUENCE)?.value);
        let signed = basic.expect(tag::SEQUENCE)?;
        let algorithm = basic.expect(tag::SEQUENCE)?.whole;
        let (_unused_bits, signature) = basic.expect(tag::BIT_STRING)?.value.split_first()?;
        let certificates = basic
            .expect(tag::context(0))
            .and_then(|explicit| Reader::new(explicit.value).expect(tag::SEQUENCE))
            .map(|list| certificates(list.value))
            .unwrap_or_default();

        let mut data = Reader::new(signed.value);
        // The version, which has only ever been 1.
        data.expect(tag::context(0));
        let responder = data.element()?;
        let responder = match responder.tag {
            0xa1 => {
                let name = responder.value;
                Responder::Name { name, canonical: canonical::of_name(name)? }
            }
            0xa2 => {
                Responder::KeyHash(Reader::new(responder.value).expect(tag::OCTET_STRING)?.value)
            }
            _ => return None,
        };
        let produced_at = moment(data.element()?);
        let mut list = Reader::new(data.expect(tag::SEQUENCE)?.value);
        let mut elements = std::iter::from_fn(|| list.expect(tag::SEQUENCE));
        let answers = elements
            .by_ref()
            .take(MAX_SINGLE_RESPONSES)
            .map(|answer| Answer::read(answer.value))
            .collect::<Option<Vec<_>>>()?;
        let answers_count = answers.len() + elements.count();
        Some(Self {
            data: signed.whole,
            responder,
            produced_at,
            answers,
            answers_count,
            algorithm,
            signature,
            certificates,
        })
    }

    fn judge(
        &self,
        leaf: &Reading<'_>,
        issuers: &[Issuer<'_>],
        algorithms: &Algorithms,
        now: i64,
    ) -> Ocsp {
        let responder = match self.responder {
            Responder::Name { name, .. } => name::bounded(name),
            Responder::KeyHash(hash) => Some(bounded_hex(hash)),
        };
        let is_cut = self.answers_count > self.answers.len();
        let ocsp = Ocsp {
            responses_count: is_cut.then_some(self.answers_count),
            produced_at: self.produced_at.and_then(Moment::rfc3339),
            responder,
            ..Ocsp::of(Status::Mismatch)
        };
        let Some((answer, signature)) = self.answer_about(leaf, issuers, algorithms, now) else {
            return ocsp;
        };
        let begun = answer.this_update.seconds <= now;
        let ended = answer.next_update.is_some_and(|until| until.seconds < now);
        Ocsp {
            status: answer.status,
            this_update: answer.this_update.rfc3339(),
            next_update: answer.next_update.and_then(Moment::rfc3339),
            revoked_at: answer.revoked_at.and_then(Moment::rfc3339),
            current: Some(begun && !ended),
            signature: Some(signature),
            ..ocsp
        }
    }

    /// The answer about the leaf by its issuer, and what its signature proves.
    fn answer_about(
        &self,
        leaf: &Reading<'_>,
        issuers: &[Issuer<'_>],
        algorithms: &Algorithms,
        now: i64,
    ) -> Option<(&Answer<'a>, Signature)> {
        let of_leaf = |answer: &&Answer<'_>| Some(answer.serial) == leaf.serial;
        let checker = Checker { algorithms, meter: Meter::of_staple() };
        // All candidate issuers have the same name, so one hash per algorithm serves all of them.
        let mut name_hashes = Hashes::default();
        let name = leaf.issuer.unwrap_or_default();
        let is_named = |answer: &&Answer<'_>| {
            answer.hash.is_some_and(|hash| name_hashes.of(hash, name) == answer.issuer_name_hash)
        };
        let named: Vec<_> = self.answers.iter().filter(of_leaf).filter(is_named).collect();
        let mut of_issuers = issuers.iter().filter_map(|issuer| {
            let answer = named.iter().find(|answer| answer.is_of_key(issuer))?;
            Some((*answer, self.check(leaf, issuer, &checker, now)))
        });
        // The first candidate may be forged: anybody can send a certificate with the issuer's name
        // and another key.
        let first = of_issuers.next();
        let genuine = |(_, signature): &(_, Signature)| *signature != Signature::Invalid;
        let certified = match first {
            Some(found) if !genuine(&found) => {
                of_issuers.take(MAX_NAMESAKES - 1).find(genuine).or(first)
            }
            first => first,
        };
        // Without the issuer, or without a known hash, only the serial number can be compared.
        let (answer, signature) = match certified {
            Some(found) => found,
            None => match self.answers.iter().find(of_leaf) {
                Some(answer) if issuers.is_empty() || answer.hash.is_none() => {
                    (answer, Signature::Unchecked)
                }
                _ => return None,
            },
        };
        Some((answer, signature))
    }

    /// The period around now in which no answer or certificate of the response begins or ends.
    fn holds(&self, now: i64) -> Range<i64> {
        let answers = self.answers.iter().map(|answer| (answer.this_update, answer.next_update));
        let validities = self
            .certificates
            .iter()
            .filter_map(|Named { reading, .. }| Some((reading.not_before?, reading.not_after)));
        let moments = answers.chain(validities).flat_map(|(from, until)| {
            [Some(from.seconds), until.map(|until| until.seconds.saturating_add(1))]
        });
        holds(moments.flatten(), now)
    }

    /// Whether the issuer signed the leaf, and either the issuer or a responder whose certificate
    /// the issuer signed has signed the response (RFC 6960, section 4.2.2.2).
    fn check(
        &self,
        leaf: &Reading<'_>,
        issuer: &Issuer<'_>,
        checker: &Checker<'_>,
        now: i64,
    ) -> Signature {
        match signature_of(leaf, issuer, checker) {
            Signature::Valid => {}
            other => return other,
        }
        // A responder whose certificate cannot be checked leaves open who it is.
        let mut otherwise = Signature::Invalid;
        let spki = if self.is_responder(&issuer.name, issuer.key()) {
            Some(&*issuer.spki)
        } else {
            let mut certificates = self.certificates.iter();
            let authorised = certificates.find(|certificate| {
                let authority = self.authority(certificate, issuer, checker, now);
                if authority == Signature::Unchecked {
                    otherwise = authority;
                }
                authority == Signature::Valid
            });
            authorised.and_then(|certificate| certificate.reading.spki)
        };
        spki.map_or(otherwise, |spki| {
            checker.check(spki, (self.algorithm, self.data, self.signature))
        })
    }

    fn is_responder(&self, name: &[u8], key: Option<&[u8]>) -> bool {
        match &self.responder {
            Responder::Name { canonical, .. } => **canonical == *name,
            Responder::KeyHash(hash) => key.is_some_and(|key| {
                digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key).as_ref() == *hash
            }),
        }
    }

    fn authority(
        &self,
        Named { reading: certificate, subject, issuer: issued_by }: &Named<'_>,
        issuer: &Issuer<'_>,
        checker: &Checker<'_>,
        now: i64,
    ) -> Signature {
        let is_meant = || {
            let usage = certificate.extension(id::EXTENDED_KEY_USAGE)?;
            let (_, usage) = ExtendedKeyUsage::from_der(usage.value).ok()?;
            let is_valid =
                certificate.not_before?.seconds <= now && now <= certificate.not_after?.seconds;
            let is_responder =
                self.is_responder(subject.as_ref()?, Spki::read(certificate.spki?)?.key());
            let is_issued = issued_by.as_ref() == Some(&issuer.name);
            (usage.ocsp_signing && is_valid && is_issued && is_responder).then_some(())
        };
        is_meant().map_or(Signature::Invalid, |()| signature_of(certificate, issuer, checker))
    }
}

impl<'a> Answer<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut answer = Reader::new(bytes);
        let mut certificate = Reader::new(answer.expect(tag::SEQUENCE)?.value);
        let hash = hash_of_oid(algorithm_oid(certificate.expect(tag::SEQUENCE)?.whole)?);
        let issuer_name_hash = certificate.expect(tag::OCTET_STRING)?.value;
        let issuer_key_hash = certificate.expect(tag::OCTET_STRING)?.value;
        let serial = certificate.expect(tag::INTEGER)?.value;
        let status = answer.element()?;
        let (status, revoked_at) = match status.tag {
            0x80 => (Status::Good, None),
            0xa1 => (Status::Revoked, Reader::new(status.value).element().and_then(moment)),
            0x82 => (Status::Unknown, None),
            _ => return None,
        };
        Some(Self {
            hash,
            issuer_name_hash,
            issuer_key_hash,
            serial,
            status,
            revoked_at,
            this_update: moment(answer.element()?)?,
            next_update: answer
                .expect(tag::context(0))
                .and_then(|explicit| Reader::new(explicit.value).element())
                .and_then(moment),
        })
    }

    fn is_of_key(&self, issuer: &Issuer<'_>) -> bool {
        self.hash.is_some_and(|hash| issuer.has_key_hash(hash, self.issuer_key_hash))
    }
}

/// Checks the signatures of one staple until its meter runs out.
struct Checker<'a> {
    algorithms: &'a Algorithms,
    meter: Meter,
}

impl Checker<'_> {
    fn check(&self, spki: &[u8], signed: (&[u8], &[u8], &[u8])) -> Signature {
        match self.algorithms.check_metered(spki, signed, &self.meter) {
            Some(Checked::Valid) => Signature::Valid,
            Some(Checked::Invalid) => Signature::Invalid,
            Some(Checked::Unsupported(_)) | None => Signature::Unchecked,
        }
    }
}

/// Whether this issuer signed a certificate.
fn signature_of(
    certificate: &Reading<'_>,
    issuer: &Issuer<'_>,
    checker: &Checker<'_>,
) -> Signature {
    let signed = || Some((certificate.algorithm?, certificate.tbs?, certificate.signature?));
    signed().map_or(Signature::Invalid, |signed| checker.check(&issuer.spki, signed))
}

/// The first [`MAX_RESPONDERS`] certificates of a response.
fn certificates(list: &[u8]) -> Vec<Named<'_>> {
    let mut list = Reader::new(list);
    std::iter::from_fn(|| list.expect(tag::SEQUENCE))
        .take(MAX_RESPONDERS)
        .map(|certificate| Named::new(certificate.whole))
        .collect()
}
