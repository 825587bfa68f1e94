//! RSA keys that rustls' provider does not make: small ones, and with unusual exponents.

use std::io::Write as _;
use std::process::{Command, Stdio};

use rcgen::{PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use tempfile::NamedTempFile;

use crate::support::certs::children;

/// A key that OpenSSL made and signs with.
pub(super) struct OddKey {
    pub(super) bits: u32,
    pub(super) exponent: u64,
    file: NamedTempFile,
    /// The RSAPublicKey.
    public: Vec<u8>,
}

impl OddKey {
    /// One key of each kind. Making them takes a second, so that they are made once.
    pub(super) fn all() -> Vec<Self> {
        [(2_048, 3), (3_072, 65_537), (1_024, 65_537), (2_048, 1_099_511_627_791)]
            .map(|(bits, exponent)| Self::new(bits, exponent))
            .into()
    }

    fn new(bits: u32, exponent: u64) -> Self {
        let file = NamedTempFile::new().unwrap();
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")])
            .args(["-pkeyopt", &format!("rsa_keygen_pubexp:{exponent}"), "-out"])
            .arg(file.path())
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let spki = Command::new("openssl")
            .args(["pkey", "-pubout", "-outform", "DER", "-in"])
            .arg(file.path())
            .output()
            .unwrap();
        // Behind the header and the number of unused bits.
        let bit_string = children(&spki.stdout)[1].clone();
        let at = bit_string.windows(2).position(|window| window == [0, 0x30]).unwrap() + 1;
        Self { bits, exponent, file, public: bit_string[at..].to_vec() }
    }
}

impl PublicKeyData for OddKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

impl SigningKey for OddKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut openssl = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(self.file.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        openssl.stdin.take().unwrap().write_all(message).unwrap();
        let output = openssl.wait_with_output().unwrap();
        assert!(output.status.success());
        Ok(output.stdout)
    }
}
