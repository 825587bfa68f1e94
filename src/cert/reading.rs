//! Parses a certificate leniently: fields that cannot be read are `None`.
//!
//! Facts and mending both start from this, so that one bad byte does not hide the rest.

use std::ops::Range;

use x509_parser::asn1_rs::FromDer;
use x509_parser::time::ASN1Time;

use super::canonical;
use super::der::{Element, Reader, tag};
use super::text::rfc3339;
use crate::signature::spki_of;

/// The pieces of one certificate.
#[derive(Debug, Default)]
pub(super) struct Reading<'a> {
    /// The to-be-signed part with its header.
    pub(super) tbs: Option<&'a [u8]>,
    /// 1, 2, 3, or whatever number stands there plus one.
    pub(super) version: Option<u8>,
    pub(super) serial: Option<&'a [u8]>,
    /// The algorithm named inside the signed part, with its header.
    pub(super) inner_algorithm: Option<&'a [u8]>,
    /// The issuer's name with its header.
    pub(super) issuer: Option<&'a [u8]>,
    pub(super) not_before: Option<Moment<'a>>,
    pub(super) not_after: Option<Moment<'a>>,
    /// The subject's name with its header.
    pub(super) subject: Option<&'a [u8]>,
    /// The key with its header.
    pub(super) spki: Option<&'a [u8]>,
    pub(super) extensions: Vec<Extension<'a>>,
    /// The extensions were read to their end: what is not among them is not there.
    pub(super) extensions_complete: bool,
    /// The algorithm named beside the signature, with its header.
    pub(super) algorithm: Option<&'a [u8]>,
    pub(super) signature: Option<&'a [u8]>,
}

/// One end of the validity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    /// Since 1970.
    pub(super) seconds: i64,
    pub(super) whole: &'a [u8],
}

impl Moment<'_> {
    /// As RFC 3339 writes it; `None` beyond its years.
    pub(super) fn rfc3339(self) -> Option<String> {
        rfc3339(self.seconds)
    }
}

/// One extension.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension<'a> {
    /// The OID's bytes, without header.
    pub(super) id: &'a [u8],
    pub(super) critical: bool,
    pub(super) value: &'a [u8],
    /// All of it, with its header.
    pub(super) whole: &'a [u8],
}

impl<'a> Reading<'a> {
    /// Parses as much of the certificate as possible.
    pub(super) fn new(der: &'a [u8]) -> Self {
        let mut reading = Self { spki: spki_of(der), ..Self::default() };
        // A step that fails returns `None`. The fields that were read before stay.
        let _cut_short = reading.read(der);
        reading
    }

    fn read(&mut self, der: &'a [u8]) -> Option<()> {
        let mut certificate = Reader::new(der).enter_cut(tag::SEQUENCE)?.inside;
        let tbs = certificate.enter_cut(tag::SEQUENCE)?;
        if tbs.complete {
            self.tbs = Some(tbs.whole);
            self.algorithm = certificate.expect(tag::SEQUENCE).map(|found| found.whole);
            self.signature = certificate
                .expect(tag::BIT_STRING)
                .and_then(|found| found.value.split_first())
                // A signature has whole bytes. OpenSSL calls any other one false.
                .map(|(&unused_bits, signature)| if unused_bits == 0 { signature } else { &[] });
        }
        self.read_tbs(tbs.inside, tbs.complete)
    }

    fn read_tbs(&mut self, mut tbs: Reader<'a>, complete: bool) -> Option<()> {
        self.version = match tbs.peek()? {
            tag::INTEGER => Some(1),
            _ => version(tbs.expect(tag::context(0))?),
        };
        self.serial = Some(tbs.expect(tag::INTEGER)?.value);
        self.inner_algorithm = Some(tbs.expect(tag::SEQUENCE)?.whole);
        self.issuer = Some(tbs.expect(tag::SEQUENCE)?.whole);
        let mut validity = Reader::new(tbs.expect(tag::SEQUENCE)?.value);
        self.not_before = validity.element().and_then(moment);
        self.not_after = validity.element().and_then(moment);
        self.subject = Some(tbs.expect(tag::SEQUENCE)?.whole);
        // Found by `spki_of` already, so that the key is the one that the handshake was checked with.
        tbs.expect(tag::SEQUENCE)?;
        while tbs.peek().is_some_and(|found| matches!(found, 0x81 | 0x82 | 0xa1 | 0xa2)) {
            tbs.element()?;
        }
        if tbs.is_empty() {
            self.extensions_complete = complete;
            return Some(());
        }
        let explicit = tbs.enter_cut(tag::context(3))?;
        let mut list = explicit.inside;
        let list = list.enter_cut(tag::SEQUENCE)?;
        let mut extensions = list.inside;
        while let Some(found) = extensions.expect(tag::SEQUENCE) {
            self.extensions.extend(extension(found));
        }
        self.extensions_complete = explicit.complete && list.complete && extensions.is_empty();
        Some(())
    }

    /// The first extension with this OID.
    pub(super) fn extension(&self, id: &[u8]) -> Option<Extension<'a>> {
        self.extensions.iter().find(|extension| extension.id == id).copied()
    }

    /// Whether subject and issuer are the same name.
    pub(super) fn self_issued(&self) -> Option<bool> {
        let (subject, issuer) = (self.subject?, self.issuer?);
        Some(subject == issuer || canonical::of_name(subject) == canonical::of_name(issuer))
    }

    /// The CA flag and the path length; not a CA when nothing says so.
    pub(super) fn basic_constraints(&self) -> Option<(bool, Option<u32>)> {
        let Some(extension) = self.extension(id::BASIC_CONSTRAINTS) else {
            return self.extensions_complete.then_some((false, None));
        };
        let mut fields = Reader::new(Reader::new(extension.value).expect(tag::SEQUENCE)?.value);
        let ca = fields.expect(tag::BOOLEAN).is_some_and(|flag| flag.value != [0]);
        let path_length = fields
            .expect(tag::INTEGER)
            .filter(|length| length.value.len() <= 4)
            .map(|length| number(length.value));
        Some((ca, path_length))
    }

    /// Whether the key usage, if there is one, lets the key sign certificates.
    pub(super) fn may_sign_certificates(&self) -> bool {
        self.key_usage().is_none_or(|usage| usage & KEY_CERT_SIGN != 0)
    }

    /// Whether the extended key usage, if there is one, lists TLS servers.
    pub(super) fn is_for_servers(&self) -> bool {
        const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
        self.extension(id::EXTENDED_KEY_USAGE).is_none_or(|extension| {
            let list = Reader::new(extension.value).expect(tag::SEQUENCE);
            let mut purposes = Reader::new(list.map_or(&[], |list| list.value));
            std::iter::from_fn(|| purposes.expect(tag::OID)).any(|oid| oid.value == SERVER_AUTH)
        })
    }

    /// The name constraints, without the header of their SEQUENCE.
    pub(super) fn name_constraints(&self) -> Option<&'a [u8]> {
        let extension = self.extension(id::NAME_CONSTRAINTS)?;
        // What cannot be read permits nothing.
        const UNREADABLE: &[u8] = &[0];
        let constraints = Reader::new(extension.value).expect(tag::SEQUENCE);
        Some(constraints.map_or(UNREADABLE, |constraints| constraints.value))
    }

    /// The key usage bits, `digitalSignature` lowest.
    pub(super) fn key_usage(&self) -> Option<u16> {
        let extension = self.extension(id::KEY_USAGE)?;
        let bits = Reader::new(extension.value).expect(tag::BIT_STRING)?.value;
        let octet = |at: usize| bits.get(at).map_or(0, |bits| u16::from(bits.reverse_bits()));
        Some(octet(1) | octet(2) << 8)
    }
}

/// OIDs of the extensions that more than one file looks at, without header.
pub(super) mod id {
    pub(crate) const CERTIFICATE_TIMESTAMPS: &[u8] = &[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
    pub(crate) const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 14];
    pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
    pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
    pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
    pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
    pub(crate) const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 32];
    pub(crate) const POLICY_MAPPINGS: &[u8] = &[0x55, 0x1d, 33];
    pub(crate) const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
    pub(crate) const POLICY_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 36];
    pub(crate) const INHIBIT_ANY_POLICY: &[u8] = &[0x55, 0x1d, 54];
    pub(crate) const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
    pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
    pub(crate) const NETSCAPE_CERT_TYPE: &[u8] = &[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 1, 1];
    pub(crate) const OCSP_NO_CHECK: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 5];
}

/// The bit of [`Reading::key_usage`] that lets a key sign certificates.
pub(super) const KEY_CERT_SIGN: u16 = 1 << 5;

/// The OID of an AlgorithmIdentifier (given with its header).
pub(super) fn algorithm_oid(algorithm: &[u8]) -> Option<&[u8]> {
    let inside = Reader::new(algorithm).expect(tag::SEQUENCE)?.value;
    Some(Reader::new(inside).expect(tag::OID)?.value)
}

fn version(explicit: Element<'_>) -> Option<u8> {
    match Reader::new(explicit.value).expect(tag::INTEGER)?.value {
        [number] => number.checked_add(1),
        _ => None,
    }
}

/// The span around `now` in which none of the moments lies: a moment begins a new span.
pub(super) fn holds(moments: impl Iterator<Item = i64>, now: i64) -> Range<i64> {
    moments.fold(i64::MIN..i64::MAX, |holds, moment| match moment <= now {
        true => holds.start.max(moment)..holds.end,
        false => holds.start..holds.end.min(moment),
    })
}

/// A UTCTime or GeneralizedTime.
pub(super) fn moment(element: Element<'_>) -> Option<Moment<'_>> {
    let (_, time) = ASN1Time::from_der(element.whole).ok()?;
    Some(Moment { seconds: time.timestamp(), whole: element.whole })
}

fn extension(found: Element<'_>) -> Option<Extension<'_>> {
    let mut fields = Reader::new(found.value);
    Some(Extension {
        id: fields.expect(tag::OID)?.value,
        critical: fields.expect(tag::BOOLEAN).is_some_and(|flag| flag.value != [0]),
        value: fields.expect(tag::OCTET_STRING)?.value,
        whole: found.whole,
    })
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, &digit| number << 8 | u32::from(digit))
}
