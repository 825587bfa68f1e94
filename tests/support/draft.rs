//! Certificates written field by field, also such as no library would write.

use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use rustls_pki_types::CertificateDer;

use super::certs::element;

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const UTF8: u8 = 0x0c;
pub(crate) const NULL: [u8; 2] = [5, 0];

/// The numbers of extensions.
pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const ALTERNATIVE_NAMES: &str = "2.5.29.17";
pub(crate) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub(crate) const NAME_CONSTRAINTS: &str = "2.5.29.30";
pub(crate) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";

/// All fields of a certificate, each with its header. What is empty is left out.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) validity: [Vec<u8>; 2],
    pub(crate) subject: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) identifiers: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
    /// What follows the extensions.
    pub(crate) behind: Vec<u8>,
}

impl Draft {
    /// A certificate of version 3 that is valid from 2020 to 2090.
    pub(crate) fn new(subject: &str, issuer: &str, key: &KeyPair) -> Self {
        Self {
            version: element(0xa0, &[vec![2, 1, 2]]),
            serial: vec![2, 1, 1],
            algorithm: ecdsa_sha256(),
            issuer: name(issuer),
            validity: [utc("200101000000Z"), generalized("20900101000000Z")],
            subject: name(subject),
            key: key.subject_public_key_info(),
            identifiers: Vec::new(),
            extensions: Vec::new(),
            behind: Vec::new(),
        }
    }

    /// With these extensions as well.
    pub(crate) fn with(mut self, extensions: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.extensions.extend(extensions);
        self
    }

    /// Changed by hand.
    pub(crate) fn but(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The part that is signed.
    pub(crate) fn signed_part(&self) -> Vec<u8> {
        let extensions = match self.extensions.is_empty() {
            true => Vec::new(),
            false => element(0xa3, &[element(SEQUENCE, &self.extensions)]),
        };
        element(
            SEQUENCE,
            &[
                self.version.clone(),
                self.serial.clone(),
                self.algorithm.clone(),
                self.issuer.clone(),
                element(SEQUENCE, &self.validity),
                self.subject.clone(),
                self.key.clone(),
                self.identifiers.clone(),
                extensions,
                self.behind.clone(),
            ],
        )
    }

    /// The certificate under the signature of a P-256 key.
    pub(crate) fn signed_by(&self, key: &KeyPair) -> CertificateDer<'static> {
        self.signed(|part| key.sign(part).unwrap())
    }

    pub(crate) fn signed(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> CertificateDer<'static> {
        let part = self.signed_part();
        let signature = element(3, &[vec![0], sign(&part)]);
        element(SEQUENCE, &[part, self.algorithm.clone(), signature]).into()
    }
}

pub(crate) fn ecdsa_sha256() -> Vec<u8> {
    algorithm("1.2.840.10045.4.3.2", &[])
}

/// An AlgorithmIdentifier.
pub(crate) fn algorithm(id: &str, parameters: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[oid(id), parameters.to_vec()])
}

/// A distinguished name of one common name; the empty name for the empty text.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    match common_name {
        "" => element(SEQUENCE, &[]),
        _ => element(SEQUENCE, &[attribute("2.5.4.3", UTF8, common_name.as_bytes())]),
    }
}

/// A relative distinguished name of one attribute.
pub(crate) fn attribute(id: &str, string: u8, value: &[u8]) -> Vec<u8> {
    let value = element(string, &[value.to_vec()]);
    element(SET, &[element(SEQUENCE, &[oid(id), value])])
}

pub(crate) fn utc(time: &str) -> Vec<u8> {
    element(0x17, &[time.into()])
}

pub(crate) fn generalized(time: &str) -> Vec<u8> {
    element(0x18, &[time.into()])
}

/// An extension that is not critical.
pub(crate) fn plain(id: &str, value: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[oid(id), element(4, &[value.to_vec()])])
}

pub(crate) fn critical(id: &str, value: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[oid(id), vec![1, 1, 0xff], element(4, &[value.to_vec()])])
}

pub(crate) fn alternative_names(names: &[Vec<u8>]) -> Vec<u8> {
    plain(ALTERNATIVE_NAMES, &element(SEQUENCE, names))
}

pub(crate) fn dns(name: impl AsRef<[u8]>) -> Vec<u8> {
    element(0x82, &[name.as_ref().to_vec()])
}

pub(crate) fn email(name: &str) -> Vec<u8> {
    element(0x81, &[name.into()])
}

pub(crate) fn uri(name: &str) -> Vec<u8> {
    element(0x86, &[name.into()])
}

pub(crate) fn address(octets: &[u8]) -> Vec<u8> {
    element(0x87, &[octets.to_vec()])
}

/// A key usage of these bits, of which the first one is digitalSignature.
pub(crate) fn key_usage(unused: u8, bits: u8) -> Vec<u8> {
    critical(KEY_USAGE, &element(3, &[vec![unused, bits]]))
}

pub(crate) fn is_ca() -> Vec<u8> {
    critical(BASIC_CONSTRAINTS, &element(SEQUENCE, &[vec![1, 1, 0xff]]))
}

/// The value of an extended key usage.
pub(crate) fn purposes(ids: &[&str]) -> Vec<u8> {
    element(SEQUENCE, &ids.iter().map(|id| oid(id)).collect::<Vec<_>>())
}

/// An object identifier.
pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let mut numbers = dotted.split('.').map(|number| number.parse::<u32>().unwrap());
    let first = numbers.next().unwrap() * 40 + numbers.next().unwrap();
    let mut value = Vec::new();
    for number in std::iter::once(first).chain(numbers) {
        let groups = (u32::BITS - number.max(1).leading_zeros()).div_ceil(7);
        for group in (0..groups).rev() {
            let more = u8::from(group > 0) << 7;
            value.push((number >> (7 * group)) as u8 & 0x7f | more);
        }
    }
    element(6, &[value])
}
