//! SHA-1, MD5 and short keys, which only OpenSSL still makes.

use std::process::Command;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use super::programs::{Program, shown};

/// A PKI of OpenSSL's.
pub(crate) struct Weak {
    folder: TempDir,
    pub(crate) root: CertificateDer<'static>,
}

impl Weak {
    /// None, after a loud word, without OpenSSL.
    pub(crate) fn make() -> Option<Self> {
        const SCRIPT: &str = r#"
            new() { # name, key, subject, signing CA, digest, extensions
                openssl req -new -newkey $2 -nodes -keyout $1.key -subj "/CN=$3" -out $1.csr
                printf "$6" > $1.ext
                openssl x509 -req -in $1.csr -CA $4.pem -CAkey $4.key -$5 -days 3650 \
                    -extfile $1.ext -set_serial 1 -out $1.pem
            }
            leaf='subjectAltName=DNS:example.com'
            ca='basicConstraints=critical,CA:TRUE'
            openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -subj '/CN=weak root' \
                -days 3650 -sha1 -out root.pem
            new good rsa:2048 leaf root sha256 $leaf
            new sha1 rsa:2048 leaf root sha1 $leaf
            new md5 rsa:2048 leaf root md5 $leaf
            new pss rsa:2048 leaf root 'sha1 -sigopt rsa_padding_mode:pss' $leaf
            new rsa1024 rsa:1024 leaf root sha256 $leaf
            new both rsa:1024 leaf root sha1 $leaf
            new ca1024 rsa:1024 small root sha256 $ca
            new under1024 rsa:2048 leaf ca1024 sha256 $leaf
            openssl req -x509 -newkey rsa:1024 -nodes -keyout self1024.key -subj /CN=self \
                -days 3650 -addext $leaf -addext basicConstraints=CA:FALSE -out self1024.pem
        "#;
        Program::find("openssl")?;
        let folder = TempDir::new().unwrap();
        let made = Command::new("sh").args(["-ec", SCRIPT]).current_dir(&folder).output().unwrap();
        assert!(made.status.success(), "{}", shown(&made));
        let mut weak = Self { folder, root: CertificateDer::from_slice(&[]) };
        weak.root = weak.certificate("root");
        Some(weak)
    }

    pub(crate) fn certificate(&self, name: &str) -> CertificateDer<'static> {
        let file = self.folder.path().join(name).with_extension("pem");
        CertificateDer::from_pem_file(file).unwrap()
    }

    /// As PKCS#8.
    pub(crate) fn key(&self, name: &str) -> Vec<u8> {
        let file = self.folder.path().join(name).with_extension("key");
        PrivateKeyDer::from_pem_file(file).unwrap().secret_der().to_vec()
    }
}
