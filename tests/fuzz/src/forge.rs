//! Certificates and OCSP responses made from their fields, and signed where there is a key for it.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::aws_lc_rs::sign::{any_ecdsa_type, any_eddsa_type};
use rustls::sign::SigningKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The tags that are needed here.
pub mod tag {
    pub const BOOLEAN: u8 = 1;
    pub const INTEGER: u8 = 2;
    pub const BIT_STRING: u8 = 3;
    pub const OCTET_STRING: u8 = 4;
    pub const OID: u8 = 6;
    pub const ENUMERATED: u8 = 0x0a;
    pub const UTF8_STRING: u8 = 0x0c;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    /// A constructed context tag.
    pub const fn context(number: u8) -> u8 {
        0xa0 | number
    }
}

/// An element of these parts.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut out = vec![tag];
    match length {
        ..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend([0x81, length as u8]),
        0x100..0x1_0000 => out.extend([0x82, (length >> 8) as u8, length as u8]),
        _ => out.extend([0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8]),
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// A key, and how it signs.
#[derive(Clone)]
pub struct Key {
    /// The SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// The AlgorithmIdentifier of its signatures.
    pub algorithm: Vec<u8>,
    signer: Signer,
}

#[derive(Clone)]
enum Signer {
    /// With the key.
    Real(Arc<dyn SigningKey>, SignatureScheme),
    /// With so many bytes of junk: it costs as much to check.
    Junk(usize),
}

impl Key {
    /// The P-256 key of this number, which is not 0.
    pub fn p256(number: u8) -> Self {
        const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        Self::ecdsa(P256, 32, number, 2, SignatureScheme::ECDSA_NISTP256_SHA256)
    }

    /// The P-521 key of this number, which is not 0.
    pub fn p521(number: u8) -> Self {
        const P521: &[u8] = &[0x2b, 0x81, 4, 0, 35];
        Self::ecdsa(P521, 66, number, 4, SignatureScheme::ECDSA_NISTP521_SHA512)
    }

    fn ecdsa(curve: &[u8], length: usize, number: u8, hash: u8, scheme: SignatureScheme) -> Self {
        const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        let mut scalar = vec![0; length];
        scalar[length - 1] = number;
        let kind = element(
            tag::SEQUENCE,
            &[&element(tag::OID, &[EC_PUBLIC_KEY]), &element(tag::OID, &[curve])],
        );
        let key = element(
            tag::SEQUENCE,
            &[&[tag::INTEGER, 1, 1], &element(tag::OCTET_STRING, &[&scalar])],
        );
        let version = [tag::INTEGER, 1, 0];
        let key = element(tag::SEQUENCE, &[&version, &kind, &element(tag::OCTET_STRING, &[&key])]);
        let key = any_ecdsa_type(&PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key))).unwrap();
        let signature = element(tag::OID, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, hash]]);
        Self {
            spki: key.public_key().unwrap().to_vec(),
            algorithm: element(tag::SEQUENCE, &[&signature]),
            signer: Signer::Real(key, scheme),
        }
    }

    /// The Ed25519 key of this number. Its signatures are the same each time.
    pub fn ed25519(number: u8) -> Self {
        let algorithm = element(tag::SEQUENCE, &[&element(tag::OID, &[&[0x2b, 0x65, 112]])]);
        let seed = element(tag::OCTET_STRING, &[&[number; 32]]);
        let version = [tag::INTEGER, 1, 0];
        let key = [&version, &*algorithm, &element(tag::OCTET_STRING, &[&seed])];
        let key = any_eddsa_type(&element(tag::SEQUENCE, &key).into()).unwrap();
        let spki = key.public_key().unwrap().to_vec();
        Self { spki, algorithm, signer: Signer::Real(key, SignatureScheme::ED25519) }
    }

    /// What a server signs its handshakes with; nothing when nobody can sign with this key.
    pub fn signing_key(&self) -> Option<Arc<dyn SigningKey>> {
        match &self.signer {
            Signer::Real(key, _) => Some(Arc::clone(key)),
            Signer::Junk(_) => None,
        }
    }

    /// An RSA key of so many bits and this exponent, which nobody can sign with. With a salt length its
    /// signatures are RSASSA-PSS over SHA-256, otherwise PKCS #1 over SHA-256.
    pub fn rsa(number: u8, bits: usize, exponent: &[u8], salt: Option<u8>) -> Self {
        const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
        let mut state = u32::from(number) << 8 | 1;
        let mut modulus = vec![0; bits / 8];
        for byte in &mut modulus {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        if let [first, .., last] = &mut *modulus {
            (*first, *last) = (*first | 0x80, *last | 1);
        }
        let null = [5, 0];
        let numbers = element(
            tag::SEQUENCE,
            &[&element(tag::INTEGER, &[&[0], &modulus]), &element(tag::INTEGER, &[exponent])],
        );
        let kind = element(tag::SEQUENCE, &[&element(tag::OID, &[RSA]), &null]);
        let algorithm = match salt {
            None => element(tag::SEQUENCE, &[&element(tag::OID, &[&RSA[..8], &[11]]), &null]),
            Some(salt) => {
                let sha256 = element(tag::SEQUENCE, &[&element(tag::OID, &[SHA256]), &null]);
                let mask = element(tag::OID, &[&RSA[..8], &[8]]);
                let parameters = element(
                    tag::SEQUENCE,
                    &[
                        &element(tag::context(0), &[&sha256]),
                        &element(tag::context(1), &[&element(tag::SEQUENCE, &[&mask, &sha256])]),
                        &element(tag::context(2), &[&[tag::INTEGER, 1, salt]]),
                    ],
                );
                element(tag::SEQUENCE, &[&element(tag::OID, &[&RSA[..8], &[10]]), &parameters])
            }
        };
        Self {
            spki: element(tag::SEQUENCE, &[&kind, &element(tag::BIT_STRING, &[&[0], &numbers])]),
            algorithm,
            signer: Signer::Junk(bits / 8),
        }
    }

    /// Whether its signatures are genuine.
    pub fn can_sign(&self) -> bool {
        matches!(self.signer, Signer::Real(..))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.signer {
            Signer::Junk(length) => vec![0x5a; *length],
            Signer::Real(key, scheme) => {
                key.choose_scheme(&[*scheme]).unwrap().sign(message).unwrap()
            }
        }
    }

    /// The content of `subjectPublicKey`, which OCSP hashes.
    pub fn bits(&self) -> &[u8] {
        // The point of a curve, or RSA's numbers, stand at the end.
        let length = match &self.signer {
            Signer::Real(_, SignatureScheme::ED25519) => 32,
            Signer::Real(_, SignatureScheme::ECDSA_NISTP256_SHA256) => 65,
            Signer::Real(..) => 133,
            Signer::Junk(_) => return &self.spki[24..],
        };
        &self.spki[self.spki.len() - length..]
    }
}

/// A name of one attribute, a common name.
pub fn name(text: &[u8]) -> Vec<u8> {
    let attribute = element(
        tag::SEQUENCE,
        &[&element(tag::OID, &[&[0x55, 4, 3]]), &element(tag::UTF8_STRING, &[text])],
    );
    element(tag::SEQUENCE, &[&element(tag::SET, &[&attribute])])
}

/// An extension of the arc 2.5.29.
pub fn extension(number: u8, is_critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if is_critical { &[tag::BOOLEAN, 1, 0xff] } else { &[] };
    let id = element(tag::OID, &[&[0x55, 0x1d, number]]);
    element(tag::SEQUENCE, &[&id, critical, &element(tag::OCTET_STRING, &[value])])
}

/// Basic constraints of a CA.
pub fn ca() -> Vec<u8> {
    extension(19, true, &[tag::SEQUENCE, 3, tag::BOOLEAN, 1, 0xff])
}

/// Alternative names, or other names in a list, each with its header.
pub fn alternative_names(names: &[Vec<u8>]) -> Vec<u8> {
    extension(17, false, &element(tag::SEQUENCE, &[&names.concat()]))
}

/// Name constraints of these bases, each with its header.
pub fn name_constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Vec<u8> {
    let list = |number, bases: &[Vec<u8>]| {
        let subtrees = bases.iter().map(|base| element(tag::SEQUENCE, &[base]));
        let subtrees = subtrees.collect::<Vec<_>>().concat();
        if bases.is_empty() { vec![] } else { element(tag::context(number), &[&subtrees]) }
    };
    let value = element(tag::SEQUENCE, &[&list(0, permitted), &list(1, excluded)]);
    extension(30, true, &value)
}

/// The fields of a certificate.
pub struct Fields<'a> {
    pub serial: &'a [u8],
    /// Names with their headers.
    pub issuer: &'a [u8],
    pub subject: &'a [u8],
    pub not_before: &'a [u8],
    pub not_after: &'a [u8],
    pub key: &'a Key,
    /// Each with its header.
    pub extensions: &'a [Vec<u8>],
}

impl Fields<'_> {
    /// The certificate, signed by this key.
    pub fn signed_by(&self, issuer: &Key) -> Vec<u8> {
        let moment = |moment| element(tag::GENERALIZED_TIME, &[moment]);
        let extensions = match self.extensions {
            [] => vec![],
            all => element(tag::context(3), &[&element(tag::SEQUENCE, &[&all.concat()])]),
        };
        let validity = [moment(self.not_before), moment(self.not_after)].concat();
        let signed = element(
            tag::SEQUENCE,
            &[
                &[tag::context(0), 3, tag::INTEGER, 1, 2],
                &element(tag::INTEGER, &[self.serial]),
                &issuer.algorithm,
                self.issuer,
                &element(tag::SEQUENCE, &[&validity]),
                self.subject,
                &self.key.spki,
                &extensions,
            ],
        );
        let signature = element(tag::BIT_STRING, &[&[0], &issuer.sign(&signed)]);
        element(tag::SEQUENCE, &[&signed, &issuer.algorithm, &signature])
    }
}

/// What an OCSP response says of the certificate with this serial number under this issuer. `status`
/// comes with its header.
pub fn answer(serial: &[u8], issuer: &[u8], key: &Key, status: &[u8]) -> Vec<u8> {
    let id = element(
        tag::SEQUENCE,
        &[
            &element(tag::SEQUENCE, &[&element(tag::OID, &[SHA256])]),
            &element(tag::OCTET_STRING, &[&sha256(issuer)]),
            &element(tag::OCTET_STRING, &[&sha256(key.bits())]),
            &element(tag::INTEGER, &[serial]),
        ],
    );
    let from = element(tag::GENERALIZED_TIME, &[b"20200101000000Z"]);
    let until = element(tag::GENERALIZED_TIME, &[b"20900101000000Z"]);
    element(tag::SEQUENCE, &[&id, status, &from, &element(tag::context(0), &[&until])])
}

/// An OCSP response by whoever has this name and key.
pub fn response(
    responder: &[u8],
    key: &Key,
    answers: &[Vec<u8>],
    certificates: &[Vec<u8>],
) -> Vec<u8> {
    let at = element(tag::GENERALIZED_TIME, &[b"20260101000000Z"]);
    let answers = element(tag::SEQUENCE, &[&answers.concat()]);
    let data = element(tag::SEQUENCE, &[&element(tag::context(1), &[responder]), &at, &answers]);
    let signature = element(tag::BIT_STRING, &[&[0], &key.sign(&data)]);
    let certificates = match certificates {
        [] => vec![],
        all => element(tag::context(0), &[&element(tag::SEQUENCE, &[&all.concat()])]),
    };
    let basic = element(tag::SEQUENCE, &[&data, &key.algorithm, &signature, &certificates]);
    const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
    let bytes = element(
        tag::SEQUENCE,
        &[&element(tag::OID, &[BASIC]), &element(tag::OCTET_STRING, &[&basic])],
    );
    let status = [tag::ENUMERATED, 1, 0];
    element(tag::SEQUENCE, &[&status, &element(tag::context(0), &[&bytes])])
}

const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];

fn sha256(bytes: &[u8]) -> Vec<u8> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
    suite.common.hash_provider.hash(bytes).as_ref().to_vec()
}
