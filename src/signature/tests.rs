use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PublicKeyData as _};
use rustls::crypto::aws_lc_rs::default_provider;

use super::algorithm::Hash;
use super::key::{Kind, RsaNumbers};
use super::rsa::{Padding, verify};
use super::*;
use crate::bytes::tag;

/// An element of at most 65,535 bytes.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    let header = match value.len() {
        0..=0x7f => vec![tag, length[1]],
        0x80..=0xff => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [header, value].concat()
}

/// A SubjectPublicKeyInfo for rsaEncryption.
fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let oid = element(tag::OID, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]]);
    let algorithm = element(tag::SEQUENCE, &[&oid, &[5, 0]]);
    let numbers = [element(tag::INTEGER, &[&[0], modulus]), element(tag::INTEGER, &[exponent])];
    let key = element(tag::SEQUENCE, &[&numbers[0], &numbers[1]]);
    element(tag::SEQUENCE, &[&algorithm, &element(tag::BIT_STRING, &[&[0], &key])])
}

#[test]
fn everything_that_rustls_checks_is_known() {
    let all = default_provider().signature_verification_algorithms.all;
    assert!(!all.is_empty());
    for known in all {
        let signature = element(tag::SEQUENCE, &[known.signature_alg_id().as_ref()]);
        assert!(Algorithm::of_identifier(&signature).is_some(), "{known:?}");
        let algorithm = element(tag::SEQUENCE, &[known.public_key_alg_id().as_ref()]);
        let key = element(tag::BIT_STRING, &[&[0, 4]]);
        let spki = element(tag::SEQUENCE, &[&algorithm, &key]);
        let kind = Key::read(&spki).unwrap().kind;
        assert!(!matches!(kind, Kind::Unknown(_) | Kind::Ec(None)), "{known:?}");
    }
    for scheme in default_provider().signature_verification_algorithms.supported_schemes() {
        assert!(Algorithm::of_scheme(scheme.into()).is_some(), "{scheme:?}");
    }
}

#[test]
fn the_key_is_where_webpki_finds_it() {
    let key = KeyPair::generate().unwrap();
    let der = CertificateParams::new(["example.com".to_owned()]).unwrap().self_signed(&key);
    let der = der.unwrap().der().clone();
    let certificate = webpki::EndEntityCert::try_from(&der).unwrap();
    assert_eq!(spki_of(&der).unwrap(), certificate.subject_public_key_info().as_ref());
    let ends = der.windows(key.der_bytes().len()).position(|part| part == key.der_bytes());
    let ends = ends.unwrap() + key.der_bytes().len();
    for length in 0..der.len() {
        assert_eq!(spki_of(&der[..length]).is_some(), length >= ends, "{length}");
    }
}

#[test]
fn keys_that_no_library_takes_are_not_supported() {
    let modulus = |bytes: usize| vec![0xc5; bytes];
    for (modulus, exponent, expected) in [
        (modulus(63), &[3][..], Unsupported::RsaSize(504)),
        (modulus(1025), &[3], Unsupported::RsaSize(8_200)),
        (modulus(256), &[1, 0, 0, 0, 0, 0x0f], Unsupported::RsaExponent(41)),
        (modulus(256), &[1], Unsupported::BadKey),
        (modulus(256), &[4], Unsupported::BadKey),
        (modulus(256), &[0], Unsupported::BadKey),
        (modulus(256), &[0x83], Unsupported::BadKey),
        ([modulus(255), vec![0]].concat(), &[3], Unsupported::BadKey),
    ] {
        let spki = rsa_spki(&modulus, exponent);
        let key = Key::read(&spki).unwrap();
        for hash in [Hash::Sha1, Hash::Sha256] {
            let checked = check(&key, Algorithm::RsaPkcs1(hash), b"", &modulus);
            assert_eq!(checked, Checked::Unsupported(expected.clone()), "{exponent:?}");
        }
    }
    let off_the_curve = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let mut spki = off_the_curve.subject_public_key_info();
    *spki.last_mut().unwrap() ^= 1;
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        let key = Key::read(&spki).unwrap();
        let checked = check(&key, Algorithm::Ecdsa(hash), b"", b"");
        assert_eq!(checked, Checked::Unsupported(Unsupported::BadKey), "{hash:?}");
    }
}

/// Whatever a peer makes up for a key and a signature, the check ends with an answer.
#[test]
fn odd_sizes_make_no_panic() {
    for bytes in [64, 65, 96, 127, 128, 255] {
        let modulus = vec![0xc5; bytes];
        let numbers = RsaNumbers { modulus: &modulus, exponent: &[3] };
        for hash in [Hash::Md5, Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            for salt in [0, 1, 20, 64, bytes - 1, bytes, bytes + 1, 0x7fff] {
                for length in [0, 1, bytes - 1, bytes, bytes + 1] {
                    let signature = vec![0x33; length];
                    for padding in [Padding::Pkcs1, Padding::Pss { salt }] {
                        let held = verify(numbers, (padding, hash), b"message", &signature);
                        assert_eq!(held, Ok(false), "{bytes} {hash:?} {padding:?} {length}");
                    }
                }
            }
        }
    }
}

#[test]
fn parameters_of_pss() {
    const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
    const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
    const PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
    let identifier = |parameters: &[&[u8]]| {
        let parameters = element(tag::SEQUENCE, parameters);
        element(tag::SEQUENCE, &[&element(tag::OID, &[PSS]), &parameters])
    };
    let hash = element(tag::SEQUENCE, &[&element(tag::OID, &[SHA256]), &[5, 0]]);
    let mask = element(tag::SEQUENCE, &[&element(tag::OID, &[MGF1]), &hash]);
    let [hash, mask] = [(0, hash), (1, mask)].map(|(n, of)| element(tag::context(n), &[&of]));
    let salt = |length: &[u8]| element(tag::context(2), &[&element(tag::INTEGER, &[length])]);
    let read = |parameters: &[&[u8]]| Algorithm::of_identifier(&identifier(parameters));
    let pss = |hash, salt| Some(Algorithm::RsaPss { hash, salt });
    assert_eq!(read(&[]), pss(Hash::Sha1, 20));
    assert_eq!(read(&[&hash, &mask, &salt(&[32])]), pss(Hash::Sha256, 32));
    assert_eq!(read(&[&hash, &mask, &salt(&[0, 0xde])]), pss(Hash::Sha256, 222));
    assert_eq!(read(&[&hash, &mask]), pss(Hash::Sha256, 20));
    assert_eq!(read(&[&hash]), None, "the mask is of SHA-1");
    assert_eq!(read(&[&hash, &mask, &salt(&[0xff])]), None, "a negative salt");
    assert_eq!(read(&[&hash, &mask, &salt(&[32]), &[5, 0]]), None, "something behind them");
    assert_eq!(read(&[&mask, &hash]), None, "out of order");
}
