//! What a certificate says about itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::extensions::{
    DistributionPointName, ExtendedKeyUsage, GeneralName, ParsedExtension, X509Extension,
};

use super::bounded::Bounded;
use super::contain::contain;
use super::der::{Reader, tag};
use super::name::{self, Alternative};
use super::oid;
use super::reading::{Extension, Moment, Reading, algorithm_oid, id};
use super::text::{DAY, bounded_hex, bounded_list, days_until, hex, list_length, sha256};
use crate::escape::{cut, written_length};
use crate::limits::{CHAIN_NAMES_LIMIT, NAME_LIMIT, NAMES_LIMIT, TEXT_LIMIT, URLS_LIMIT};
use crate::signature::{Key, Spki};

/// The facts of one certificate. What could not be read is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Certificate {
    /// Whom it speaks for, by RFC 4514.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who signed it, by RFC 4514.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The alternative names that are DNS names. A DNS name that looks like an address is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// How many DNS names there are, when they are not all in `names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names_count: Option<usize>,
    /// The alternative names that are IP addresses; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// How many IP addresses there are, when they are not all in `addresses`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses_count: Option<usize>,
    /// The alternative names of other types, after their type (`email:`, `uri:`, `directory:`);
    /// absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_names: Option<Vec<String>>,
    /// How many of these there are, when they are not all in `other_names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_names_count: Option<usize>,
    /// The first moment of validity, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// The last moment of validity, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// Whole days until `not_after`; negative when that has passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// Whole days from `not_before` to `not_after`, both ends included: 90 for a certificate of
    /// 90 days less a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_days: Option<i64>,
    /// The serial number in hex, as `openssl x509 -serial` prints it, but in lower case: pairs of
    /// digits, with a minus before a negative number (`-01`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// SHA-256 of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// SHA-256 of the SubjectPublicKeyInfo, which is what pins are made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spki_sha256: Option<String>,
    /// The type of the key: `RSA`, `EC`, `Ed25519`, `ML-DSA-65`; a dotted OID where it has no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The size of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_bits: Option<u32>,
    /// The curve of an EC key, by the name that TLS has for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_curve: Option<String>,
    /// The algorithm of the signature over the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_algorithm: Option<String>,
    /// How many certificate timestamps are embedded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sct_count: Option<usize>,
    /// Whether it may sign certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<bool>,
    /// How many more CAs may stand below it, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_length: Option<u32>,
    /// What the key is for, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_usage: Option<Vec<String>>,
    /// What the certificate is for, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_key_usage: Option<Vec<String>>,
    /// How the subject was validated, where it says so: `DV`, `OV`, `EV`, `IV`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Whether it demands a stapled OCSP response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub must_staple: Option<bool>,
    /// Where its OCSP responders are, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocsp_urls: Option<Vec<String>>,
    /// Where its revocation lists are, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl_urls: Option<Vec<String>>,
    /// Where its issuer's certificate is, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_urls: Option<Vec<String>>,
    /// Whether one of its names has a wildcard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wildcard: Option<bool>,
    /// Whether subject and issuer are the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_issued: Option<bool>,
    /// The X.509 version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
    /// The certificate itself, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pem: Option<String>,

    /// `not_after` in seconds since 1970, from which `days_left` is made.
    #[serde(skip)]
    expires: Option<i64>,
    /// A parser panicked, so that nothing but the hash is known.
    #[serde(skip)]
    pub(super) unreadable: bool,
}

impl Certificate {
    /// The type of the key with its curve or its size, for people: `EC secp256r1`, `RSA 2048`, `Ed25519`.
    pub fn key_and_size(&self) -> Option<String> {
        let key = self.key.as_deref()?;
        // The names of the other keys say how large they are.
        let bits = self.key_bits.filter(|_| key == "RSA").map(|bits| bits.to_string());
        let size = self.key_curve.clone().or(bits);
        Some(size.map_or_else(|| key.to_owned(), |size| format!("{key} {size}")))
    }

    /// Reads what can be read. `days_left` waits for [`Certificate::at`].
    #[doc(hidden)]
    pub fn new(der: &[u8]) -> Self {
        Self::hashed(der, &sha256(der))
    }

    /// The same, where the certificate's SHA-256 is known already.
    pub(super) fn hashed(der: &[u8], sha256: &[u8; 32]) -> Self {
        let facts = contain(|| Self::read(der))
            .unwrap_or_else(|| Self { unreadable: true, ..Self::default() });
        Self { sha256: Some(hex(sha256)), ..facts }
    }

    /// The same facts with the days that are left at this moment (seconds since 1970).
    pub(super) fn at(self, now: i64) -> Self {
        Self { days_left: self.expires.map(|expires| days_until(expires, now)), ..self }
    }

    /// Whether these are the days that are left at this moment.
    pub(super) fn is_of(&self, now: i64) -> bool {
        self.days_left == self.expires.map(|expires| days_until(expires, now))
    }

    /// The same facts as a certificate of `--chain` has them: with fewer names.
    pub(crate) fn in_chain(mut self) -> Self {
        let mut left = CHAIN_NAMES_LIMIT;
        for (list, count) in [
            (&mut self.names, &mut self.names_count),
            (&mut self.addresses, &mut self.addresses_count),
            (&mut self.other_names, &mut self.other_names_count),
        ] {
            let Some(names) = list else { continue };
            let mut bounded = Bounded::default();
            names.drain(..).for_each(|name| bounded.push(name, &mut left));
            *count = count.or(bounded.whole_count());
            *names = bounded.kept;
        }
        self
    }

    /// The most bytes that the facts take in a line of output.
    pub(super) fn written_length(&self) -> usize {
        /// The names of all fields and their values of bounded length: numbers, dates, hashes, key
        /// usages; as JSON in a CSV cell.
        const OTHER_FIELDS: usize = 1000;
        let texts = [
            &self.subject,
            &self.issuer,
            &self.serial,
            &self.key,
            &self.key_curve,
            &self.signature_algorithm,
            &self.pem,
        ];
        let lists = [
            &self.names,
            &self.addresses,
            &self.other_names,
            &self.extended_key_usage,
            &self.ocsp_urls,
            &self.crl_urls,
            &self.issuer_urls,
        ];
        OTHER_FIELDS
            + texts.into_iter().flatten().map(|text| written_length(text)).sum::<usize>()
            + lists.into_iter().flatten().map(|list| list_length(list)).sum::<usize>()
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let lists = [
            &self.names,
            &self.addresses,
            &self.other_names,
            &self.key_usage,
            &self.extended_key_usage,
            &self.ocsp_urls,
            &self.crl_urls,
            &self.issuer_urls,
        ];
        let texts = [&self.subject, &self.issuer];
        size_of::<Self>()
            + lists
                .into_iter()
                .flatten()
                .flatten()
                .map(|text| size_of::<String>() + text.capacity())
                .sum::<usize>()
            + texts.into_iter().flatten().map(String::capacity).sum::<usize>()
    }

    fn read(der: &[u8]) -> Self {
        let reading = Reading::new(der);
        let basic_constraints = reading.basic_constraints();
        let mut facts = Self {
            subject: reading.subject.and_then(name::bounded),
            issuer: reading.issuer.and_then(name::bounded),
            not_before: reading.not_before.and_then(Moment::rfc3339),
            not_after: reading.not_after.and_then(Moment::rfc3339),
            lifetime_days: lifetime_days(&reading),
            serial: reading.serial.map(serial),
            spki_sha256: reading.spki.map(|spki| hex(&sha256(spki))),
            signature_algorithm: reading
                .algorithm
                .or(reading.inner_algorithm)
                .and_then(algorithm_oid)
                .map(|found| cut(oid::signature_algorithm(found).into_owned(), TEXT_LIMIT)),
            ca: basic_constraints.map(|(ca, _)| ca),
            path_length: basic_constraints.and_then(|(_, length)| length),
            key_usage: reading.key_usage().map(key_usages),
            self_issued: reading.self_issued(),
            version: reading.version,
            expires: reading.not_after.map(|until| until.seconds),
            ..Self::default()
        };
        facts.read_key(&reading);
        facts.read_names(&reading);
        facts.read_extensions(&reading);
        facts
    }

    fn read_key(&mut self, reading: &Reading<'_>) -> Option<()> {
        let spki = Spki::read(reading.spki?)?;
        let name = match oid::key_kind(spki.algorithm) {
            Some(oid::KeyKind::Rsa) => {
                self.key_bits = Key::read(reading.spki?).and_then(|key| key.rsa_bits());
                "RSA".into()
            }
            Some(oid::KeyKind::Ec) => {
                if let Some(curve) = Reader::new(spki.parameters).expect(tag::OID) {
                    let (curve, bits) = oid::curve(curve.value);
                    self.key_curve = Some(cut(curve.into_owned(), TEXT_LIMIT));
                    self.key_bits = bits;
                }
                "EC".into()
            }
            Some(oid::KeyKind::Fixed(name, bits)) => {
                self.key_bits = bits;
                name.into()
            }
            None => oid::numbered(spki.algorithm),
        };
        self.key = Some(cut(name.into_owned(), TEXT_LIMIT));
        Some(())
    }

    fn read_names(&mut self, reading: &Reading<'_>) -> Option<()> {
        let mut list = match reading.extension(id::SUBJECT_ALT_NAME) {
            Some(found) => Reader::new(Reader::new(found.value).expect(tag::SEQUENCE)?.value),
            None if reading.extensions_complete => Reader::new(&[]),
            None => return None,
        };
        let mut names = Bounded::default();
        let mut addresses = Bounded::default();
        let mut others = Bounded::default();
        let mut left = NAMES_LIMIT;
        let mut wildcard = false;
        while let Some(found) = list.element() {
            match name::alternative(found) {
                Alternative::Dns(name) => {
                    wildcard |= name.starts_with("*.");
                    names.push(name, &mut left);
                }
                Alternative::Address(address) => addresses.push(address, &mut left),
                Alternative::Other(other) => others.push(other, &mut left),
            }
        }
        let some = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
        self.names_count = names.whole_count();
        self.names = Some(names.kept);
        self.addresses_count = addresses.whole_count();
        self.addresses = some(addresses.kept);
        self.other_names_count = others.whole_count();
        self.other_names = some(others.kept);
        self.wildcard = Some(wildcard);
        Some(())
    }

    fn read_extensions(&mut self, reading: &Reading<'_>) {
        const MUST_STAPLE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 24];
        let no_such = reading.extensions_complete;
        self.must_staple = match reading.extension(MUST_STAPLE) {
            Some(found) => Some(demands_staple(found.value)),
            None => no_such.then_some(false),
        };
        self.sct_count = no_such.then_some(0);
        for extension in &reading.extensions {
            self.read_extension(extension);
        }
    }

    fn read_extension(&mut self, extension: &Extension<'_>) {
        // The names are read by themselves, because thousands of them may stand there.
        if extension.id == id::SUBJECT_ALT_NAME {
            return;
        }
        let parsed = X509Extension::from_der(extension.whole);
        match parsed.as_ref().map(|(_, found)| found.parsed_extension()) {
            Ok(ParsedExtension::ExtendedKeyUsage(usage)) => {
                self.extended_key_usage = Some(purposes(usage));
            }
            Ok(ParsedExtension::CertificatePolicies(policies)) => {
                self.policy = policies
                    .iter()
                    .find_map(|policy| oid::policy(policy.policy_id.as_bytes()))
                    .map(str::to_owned);
            }
            Ok(ParsedExtension::AuthorityInfoAccess(access)) => {
                const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1];
                const CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 2];
                let of_method = |method: &[u8]| {
                    let urls = access
                        .iter()
                        .filter(|access| access.access_method.as_bytes() == method)
                        .filter_map(|access| url(&access.access_location));
                    bounded_list(urls, NAME_LIMIT, URLS_LIMIT)
                };
                self.ocsp_urls = Some(of_method(OCSP));
                self.issuer_urls = Some(of_method(CA_ISSUERS));
            }
            Ok(ParsedExtension::CRLDistributionPoints(points)) => {
                let urls = points
                    .iter()
                    .filter_map(|point| match point.distribution_point.as_ref()? {
                        DistributionPointName::FullName(names) => Some(names),
                        DistributionPointName::NameRelativeToCRLIssuer(_) => None,
                    })
                    .flatten()
                    .filter_map(url);
                self.crl_urls = Some(bounded_list(urls, NAME_LIMIT, URLS_LIMIT));
            }
            Ok(ParsedExtension::SCT(timestamps)) => self.sct_count = Some(timestamps.len()),
            _ if extension.id == id::CERTIFICATE_TIMESTAMPS => self.sct_count = None,
            _ => {}
        }
    }
}

/// RFC 5280, section 4.1.2.5: the validity includes both of its ends.
fn lifetime_days(reading: &Reading<'_>) -> Option<i64> {
    let seconds = reading.not_after?.seconds - reading.not_before?.seconds;
    Some((seconds + 1).div_euclid(DAY))
}

/// A serial number (the value of an INTEGER, in two's complement) as OpenSSL prints it.
fn serial(value: &[u8]) -> String {
    let is_negative = value.first().is_some_and(|first| first & 0x80 != 0);
    let mut magnitude = value.to_vec();
    if is_negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let zeros = magnitude.iter().take_while(|&&byte| byte == 0).count();
    let significant = magnitude.get(zeros..).filter(|rest| !rest.is_empty()).unwrap_or(&[0]);
    format!("{}{}", if is_negative { "-" } else { "" }, bounded_hex(significant))
}

fn key_usages(bits: u16) -> Vec<String> {
    const USAGES: [&str; 9] = [
        "digitalSignature",
        "nonRepudiation",
        "keyEncipherment",
        "dataEncipherment",
        "keyAgreement",
        "keyCertSign",
        "cRLSign",
        "encipherOnly",
        "decipherOnly",
    ];
    (0..)
        .zip(USAGES)
        .filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, usage)| usage.to_owned())
        .collect()
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let purposes = [
        (usage.any, "anyExtendedKeyUsage"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ]
    .into_iter()
    .filter(|&(is_set, _)| is_set)
    .map(|(_, purpose)| purpose.to_owned())
    .chain(usage.other.iter().map(|other| oid::numbered(other.as_bytes()).into_owned()));
    bounded_list(purposes, TEXT_LIMIT, NAME_LIMIT)
}

/// Whether the TLS feature extension lists `status_request`.
fn demands_staple(value: &[u8]) -> bool {
    const STATUS_REQUEST: &[u8] = &[5];
    let Some(list) = Reader::new(value).expect(tag::SEQUENCE) else {
        return false;
    };
    let mut features = Reader::new(list.value);
    std::iter::from_fn(|| features.expect(tag::INTEGER))
        .any(|feature| feature.value == STATUS_REQUEST)
}

fn url(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::URI(url) => Some((*url).to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_left_are_rounded_down() {
        let facts = Certificate { expires: Some(86_400), ..Certificate::default() };
        for (now, days) in [(0, 1), (1, 0), (86_400, 0), (86_401, -1), (172_801, -2)] {
            assert_eq!(facts.clone().at(now).days_left, Some(days));
        }
    }

    #[test]
    fn serials_keep_their_sign() {
        for (value, text) in [
            (&[0xff][..], "-01"),
            (&[0x00, 0xff], "ff"),
            (&[0x00], "00"),
            (&[], "00"),
            (&[0x00, 0x00, 0x01], "01"),
            (&[0x80], "-80"),
            (&[0xff, 0x7f], "-81"),
            (&[0x80, 0x00], "-8000"),
            (&[0x0a, 0xbc], "0abc"),
        ] {
            assert_eq!(serial(value), text, "{value:02x?}");
        }
    }

    #[test]
    fn garbage_gives_its_hash_only() {
        let facts = Certificate::new(b"garbage");
        assert_eq!(
            facts,
            Certificate { sha256: Some(hex(&sha256(b"garbage"))), ..Certificate::default() }
        );
    }
}
