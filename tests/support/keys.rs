//! Keys of every kind that TLS can sign with, and certificates for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{
    KeyPair as _, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair,
};
use rustls_pki_types::CertificateDer;

use super::certs::{Entity, element, example};
use super::openssl::OpenSsl;

/// A key that signs.
pub(crate) enum Key {
    /// By the name of its file.
    OpenSsl(&'static OpenSsl, String),
    MlDsa(PqdsaKeyPair),
}

static FILES: AtomicUsize = AtomicUsize::new(0);

fn file_name() -> String {
    format!("proof.{}", FILES.fetch_add(1, Ordering::Relaxed))
}

impl Key {
    /// A key that `openssl genpkey -algorithm` makes.
    pub(crate) fn openssl(openssl: &'static OpenSsl, algorithm: &[&str]) -> Self {
        let made = openssl.run(&[&["genpkey", "-algorithm"], algorithm].concat());
        Self::OpenSsl(openssl, openssl.write(&file_name(), made))
    }

    /// A key for signatures of this scheme.
    pub(crate) fn for_scheme(openssl: &'static OpenSsl, scheme: u16) -> Self {
        let ec = |curve: &str| {
            Self::openssl(openssl, &["EC", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")])
        };
        match scheme {
            0x0403 | 0x0203 => ec("P-256"),
            0x0503 => ec("P-384"),
            0x0603 => ec("P-521"),
            0x0807 => Self::openssl(openssl, &["ED25519"]),
            0x0808 => Self::openssl(openssl, &["ED448"]),
            0x0904 => Self::MlDsa(PqdsaKeyPair::generate(&ML_DSA_44_SIGNING).unwrap()),
            0x0905 => Self::MlDsa(PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap()),
            0x0906 => Self::MlDsa(PqdsaKeyPair::generate(&ML_DSA_87_SIGNING).unwrap()),
            0x0201 | 0x0401 | 0x0501 | 0x0601 | 0x0804..=0x0806 => {
                Self::openssl(openssl, &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            }
            0x0809..=0x080b => {
                Self::openssl(openssl, &["RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"])
            }
            _ => panic!("no key is known for the scheme {scheme:04x}: add one, and a way to sign"),
        }
    }

    /// The SubjectPublicKeyInfo.
    pub(crate) fn spki(&self) -> Vec<u8> {
        match self {
            Self::OpenSsl(openssl, file) => {
                openssl.run(&["pkey", "-in", file, "-pubout", "-outform", "DER"])
            }
            Self::MlDsa(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
        }
    }

    /// The signature of a text, as a server makes it for this scheme.
    pub(crate) fn sign(&self, scheme: u16, text: &[u8]) -> Vec<u8> {
        let (openssl, key) = match self {
            Self::OpenSsl(openssl, key) => (openssl, key),
            Self::MlDsa(key) => {
                let mut signature = vec![0; key.algorithm().signature_len()];
                let length = key.sign(text, &mut signature).unwrap();
                signature.truncate(length);
                return signature;
            }
        };
        let text = openssl.write(&file_name(), text);
        let digest = match scheme {
            0x0201 | 0x0203 => "-sha1",
            0x0401 | 0x0403 | 0x0804 | 0x0809 => "-sha256",
            0x0501 | 0x0503 | 0x0805 | 0x080a => "-sha384",
            0x0601 | 0x0603 | 0x0806 | 0x080b => "-sha512",
            _ => {
                return openssl.run(&["pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", &text]);
            }
        };
        let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
        let options = if scheme >> 8 == 8 { &pss[..] } else { &[] };
        openssl.run(&[&["dgst", digest][..], options, &["-sign", key, &text]].concat())
    }

    /// A server certificate for `example.com` with this key.
    pub(crate) fn certify(&self, root: &Entity) -> CertificateDer<'static> {
        certify(root, self.spki())
    }
}

/// A server certificate for `example.com` with this SubjectPublicKeyInfo.
pub(crate) fn certify(root: &Entity, spki: Vec<u8>) -> CertificateDer<'static> {
    const SPKI: usize = 6;
    root.issue(example()).altered(root, |fields| fields[SPKI] = spki)
}

/// The SubjectPublicKeyInfo of an RSA key of so many bits that nobody has: its modulus is an odd
/// number.
pub(crate) fn rsa_spki_of(bits: usize) -> Vec<u8> {
    let modulus = [vec![0, 0x80], vec![0x55; bits / 8 - 1]].concat();
    let key = element(0x30, &[element(2, &[modulus]), element(2, &[vec![1, 0, 1]])]);
    let rsa_encryption = vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    let algorithm = element(0x30, &[element(6, &[rsa_encryption]), vec![5, 0]]);
    element(0x30, &[algorithm, element(3, &[vec![0], key])])
}
