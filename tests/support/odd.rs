//! Issuers with unusual keys and signatures, which OpenSSL makes: what we say of them and why we
//! differ from OpenSSL where we do.

use std::process::{Command, Stdio};
use std::{fmt, fs};

use tempfile::TempDir;
use tlsweep::cert::Problem;
use tlsweep::cert::Problem::{BadSignature, UnsupportedSignature, WeakKey, WeakSignature};

use super::certs::element;
use super::draft::{NULL, SEQUENCE, algorithm};
use super::programs::shown;

/// What a path under such an issuer is worth.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Worth {
    /// We and OpenSSL trust it.
    Trusted,
    /// We and OpenSSL refuse it.
    Refused(Problem),
    /// OpenSSL and GnuTLS trust it, and we do not, on purpose.
    Stricter(Problem, &'static str),
    /// OpenSSL trusts it, and neither GnuTLS nor we do, on purpose.
    StricterThanOpenSsl(Problem, &'static str),
}

use Worth::{Refused, Stricter, StricterThanOpenSsl, Trusted};

/// A key and how it signs.
pub(crate) struct Kind {
    pub(crate) what: &'static str,
    /// The arguments of `openssl genpkey -algorithm`.
    key: &'static [&'static str],
    /// The digest, and arguments that say how to pad it; none for keys that digest by themselves.
    digest: Option<&'static [&'static str]>,
    algorithm: fn() -> Vec<u8>,
    pub(crate) worth: Worth,
}

const RSA: &[&str] = &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const SHORT_RSA: &[&str] = &["RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
/// Nobody waits for a key of this size: the file has one.
const HUGE_RSA: &[&str] = &[];
const CURVE_EXPLAINED: &str = "our library knows three curves, as browsers do";
const HASH_EXPLAINED: &str = "our library does not know SHA-224, as browsers do not";
const WEAK_EXPLAINED: &str = "no browser takes MD5 or SHA-1; OpenSSL does at its default level";
const COST_EXPLAINED: &str = "a peer could make us spend too much on such a key";
const MASK_EXPLAINED: &str = "both hashes of RSASSA-PSS must be the same, as for browsers";

fn rsa_with(digest: u8) -> Vec<u8> {
    algorithm(&format!("1.2.840.113549.1.1.{digest}"), &NULL)
}

fn ecdsa_with(digest: &str) -> Vec<u8> {
    algorithm(&format!("1.2.840.10045.4.{digest}"), &[])
}

const SHA1: &str = "1.3.14.3.2.26";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
const SHA512: &str = "2.16.840.1.101.3.4.2.3";

/// RSASSA-PSS with these parameters: the hash, the one of the mask, the salt, the trailer.
fn pss(hash: &str, mask: &str, salt: u8, trailer: Option<u8>) -> Vec<u8> {
    let hash = algorithm(hash, &NULL);
    let mask = algorithm("1.2.840.113549.1.1.8", &algorithm(mask, &NULL));
    let number = |number: u8| vec![2, 1, number];
    let mut fields =
        vec![element(0xa0, &[hash]), element(0xa1, &[mask]), element(0xa2, &[number(salt)])];
    fields.extend(trailer.map(|trailer| element(0xa3, &[number(trailer)])));
    algorithm(PSS, &element(SEQUENCE, &fields))
}

macro_rules! pss_of {
    ($hash:literal, $mask:literal, $salt:literal) => {
        Some(&[
            concat!("-", $hash),
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            concat!("rsa_pss_saltlen:", $salt),
            "-sigopt",
            concat!("rsa_mgf1_md:", $mask),
        ])
    };
}

/// A key that its algorithm restricts to RSASSA-PSS, and a signature by it.
pub(crate) struct Restricted {
    /// The algorithm of the key.
    pub(crate) key: fn() -> Vec<u8>,
    /// How the key signs, although it may not.
    pub(crate) signs: Kind,
}

const fn restricted(
    what: &'static str,
    key: fn() -> Vec<u8>,
    (digest, algorithm): Signature,
    worth: Worth,
) -> Restricted {
    Restricted { key, signs: kind(what, RSA, digest, algorithm, worth) }
}

/// The arguments of `openssl dgst`, and the AlgorithmIdentifier.
type Signature = (Option<&'static [&'static str]>, fn() -> Vec<u8>);

const PSS: &str = "1.2.840.113549.1.1.10";
const PKCS1: Signature = (SHA_256, || rsa_with(11));
const SHA256_32: Signature = (pss_of!("sha256", "sha256", 32), || pss(SHA256, SHA256, 32, None));
const SHA512_64: Signature = (pss_of!("sha512", "sha512", 64), || pss(SHA512, SHA512, 64, None));
const SHA256_20: Signature = (pss_of!("sha256", "sha256", 20), || pss(SHA256, SHA256, 20, None));
const MASK_OF_SHA1: Signature = (pss_of!("sha256", "sha1", 32), || pss(SHA256, SHA1, 32, None));

pub(crate) static RESTRICTED: [Restricted; 14] = [
    restricted("to PSS", || algorithm(PSS, &[]), SHA256_32, Trusted),
    restricted("to PSS, another hash", || algorithm(PSS, &[]), SHA512_64, Trusted),
    restricted("to PSS, signs otherwise", || algorithm(PSS, &[]), PKCS1, Refused(BadSignature)),
    restricted("to SHA-256", || pss(SHA256, SHA256, 32, None), SHA256_32, Trusted),
    restricted("to the usual trailer", || pss(SHA256, SHA256, 32, Some(1)), SHA256_32, Trusted),
    restricted("to a short salt", || pss(SHA256, SHA256, 20, None), SHA256_32, Trusted),
    restricted(
        "to a long salt, signs with a short one",
        || pss(SHA256, SHA256, 32, None),
        SHA256_20,
        Refused(BadSignature),
    ),
    restricted(
        "to SHA-256, signs with SHA-512",
        || pss(SHA256, SHA256, 32, None),
        SHA512_64,
        Refused(BadSignature),
    ),
    restricted(
        "to SHA-256, signs with the mask of SHA-1",
        || pss(SHA256, SHA256, 32, None),
        MASK_OF_SHA1,
        Refused(UnsupportedSignature),
    ),
    restricted(
        "to the mask of SHA-1",
        || pss(SHA256, SHA1, 32, None),
        MASK_OF_SHA1,
        StricterThanOpenSsl(UnsupportedSignature, MASK_EXPLAINED),
    ),
    restricted(
        "to the mask of SHA-1, signs with that of SHA-256",
        || pss(SHA256, SHA1, 32, None),
        SHA256_32,
        Refused(UnsupportedSignature),
    ),
    restricted(
        "to SHA-1 by default",
        || algorithm(PSS, &element(SEQUENCE, &[])),
        (pss_of!("sha1", "sha1", 20), || algorithm(PSS, &element(SEQUENCE, &[]))),
        StricterThanOpenSsl(WeakSignature, WEAK_EXPLAINED),
    ),
    restricted(
        "to trailer 2",
        || pss(SHA256, SHA256, 32, Some(2)),
        SHA256_32,
        StricterThanOpenSsl(
            UnsupportedSignature,
            "1 is the only trailer that there is (RFC 8017, appendix A.2.3)",
        ),
    ),
    restricted("to junk", || algorithm(PSS, &NULL), SHA256_32, Refused(UnsupportedSignature)),
];

const fn kind(
    what: &'static str,
    key: &'static [&'static str],
    digest: Option<&'static [&'static str]>,
    algorithm: fn() -> Vec<u8>,
    worth: Worth,
) -> Kind {
    Kind { what, key, digest, algorithm, worth }
}

const P224: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-224"];
const P256: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const P521: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
const K256: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"];
const BRAINPOOL: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"];
const SHA_1: Option<&[&str]> = Some(&["-sha1"]);
const SHA_224: Option<&[&str]> = Some(&["-sha224"]);
const SHA_256: Option<&[&str]> = Some(&["-sha256"]);
const SHA_384: Option<&[&str]> = Some(&["-sha384"]);
const SHA_512: Option<&[&str]> = Some(&["-sha512"]);

pub(crate) static KINDS: [Kind; 34] = [
    kind("RSA", RSA, SHA_256, || rsa_with(11), Trusted),
    kind("RSA without NULL", RSA, SHA_256, || algorithm("1.2.840.113549.1.1.11", &[]), Trusted),
    kind("RSA, SHA-384", RSA, SHA_384, || rsa_with(12), Trusted),
    kind("RSA, SHA-512", RSA, SHA_512, || rsa_with(13), Trusted),
    kind(
        "RSA with exponent 3",
        &["RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"],
        SHA_256,
        || rsa_with(11),
        Trusted,
    ),
    kind(
        "RSA with an exponent of 41 bits",
        &["RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:1099511627791"],
        SHA_256,
        || rsa_with(11),
        Stricter(UnsupportedSignature, COST_EXPLAINED),
    ),
    kind(
        "RSA of 16,384 bits",
        HUGE_RSA,
        SHA_256,
        || rsa_with(11),
        Stricter(UnsupportedSignature, COST_EXPLAINED),
    ),
    kind(
        "RSA of 3,072 bits",
        &["RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
        SHA_256,
        || rsa_with(11),
        Trusted,
    ),
    kind(
        "RSA of 1,024 bits",
        SHORT_RSA,
        SHA_256,
        || rsa_with(11),
        Stricter(WeakKey, "browsers want 2,048 bits; OpenSSL takes 1,024 at its default level"),
    ),
    kind(
        "RSA of 1,536 bits",
        &["RSA", "-pkeyopt", "rsa_keygen_bits:1536"],
        SHA_256,
        || rsa_with(11),
        Stricter(WeakKey, "browsers want 2,048 bits; OpenSSL takes 1,024 at its default level"),
    ),
    kind(
        "RSA, MD5",
        RSA,
        Some(&["-md5"]),
        || rsa_with(4),
        StricterThanOpenSsl(WeakSignature, WEAK_EXPLAINED),
    ),
    kind(
        "RSA, SHA-1",
        RSA,
        SHA_1,
        || rsa_with(5),
        StricterThanOpenSsl(WeakSignature, WEAK_EXPLAINED),
    ),
    kind(
        "RSA, SHA-224",
        RSA,
        SHA_224,
        || rsa_with(14),
        Stricter(UnsupportedSignature, HASH_EXPLAINED),
    ),
    kind(
        "PSS, SHA-256",
        RSA,
        pss_of!("sha256", "sha256", 32),
        || pss(SHA256, SHA256, 32, None),
        Trusted,
    ),
    kind(
        "PSS, SHA-512",
        RSA,
        pss_of!("sha512", "sha512", 64),
        || pss(SHA512, SHA512, 64, None),
        Trusted,
    ),
    kind(
        "PSS with a salt of 20",
        RSA,
        pss_of!("sha256", "sha256", 20),
        || pss(SHA256, SHA256, 20, None),
        Trusted,
    ),
    kind(
        "PSS without salt",
        RSA,
        pss_of!("sha256", "sha256", 0),
        || pss(SHA256, SHA256, 0, None),
        Trusted,
    ),
    kind(
        "PSS with another salt than it says",
        RSA,
        pss_of!("sha256", "sha256", 20),
        || pss(SHA256, SHA256, 32, None),
        Refused(BadSignature),
    ),
    kind(
        "PSS with the trailer spelt out",
        RSA,
        pss_of!("sha256", "sha256", 32),
        || pss(SHA256, SHA256, 32, Some(1)),
        Trusted,
    ),
    kind(
        "PSS with trailer 2",
        RSA,
        pss_of!("sha256", "sha256", 32),
        || pss(SHA256, SHA256, 32, Some(2)),
        Refused(UnsupportedSignature),
    ),
    kind(
        "PSS with the mask of SHA-1",
        RSA,
        pss_of!("sha256", "sha1", 32),
        || pss(SHA256, SHA1, 32, None),
        StricterThanOpenSsl(UnsupportedSignature, MASK_EXPLAINED),
    ),
    kind(
        "PSS, SHA-1 by default",
        RSA,
        pss_of!("sha1", "sha1", 20),
        || algorithm(PSS, &element(SEQUENCE, &[])),
        StricterThanOpenSsl(WeakSignature, WEAK_EXPLAINED),
    ),
    kind(
        "PSS without parameters",
        RSA,
        pss_of!("sha1", "sha1", 20),
        || algorithm(PSS, &[]),
        Refused(UnsupportedSignature),
    ),
    kind("P-256, SHA-384", P256, SHA_384, || ecdsa_with("3.3"), Trusted),
    kind(
        "P-256, SHA-1",
        P256,
        SHA_1,
        || ecdsa_with("1"),
        StricterThanOpenSsl(WeakSignature, WEAK_EXPLAINED),
    ),
    kind(
        "P-256, SHA-224",
        P256,
        SHA_224,
        || ecdsa_with("3.1"),
        Stricter(UnsupportedSignature, HASH_EXPLAINED),
    ),
    kind("P-384, SHA-256", P384, SHA_256, || ecdsa_with("3.2"), Trusted),
    kind("P-521, SHA-512", P521, SHA_512, || ecdsa_with("3.4"), Trusted),
    kind("P-521, SHA-256", P521, SHA_256, || ecdsa_with("3.2"), Trusted),
    kind(
        "P-224",
        P224,
        SHA_256,
        || ecdsa_with("3.2"),
        Stricter(UnsupportedSignature, CURVE_EXPLAINED),
    ),
    kind(
        "secp256k1",
        K256,
        SHA_256,
        || ecdsa_with("3.2"),
        StricterThanOpenSsl(UnsupportedSignature, CURVE_EXPLAINED),
    ),
    kind(
        "brainpoolP256r1",
        BRAINPOOL,
        SHA_256,
        || ecdsa_with("3.2"),
        StricterThanOpenSsl(UnsupportedSignature, CURVE_EXPLAINED),
    ),
    kind("Ed25519", &["ED25519"], None, || algorithm("1.3.101.112", &[]), Trusted),
    kind(
        "Ed448",
        &["ED448"],
        None,
        || algorithm("1.3.101.113", &[]),
        Stricter(UnsupportedSignature, "our library does not know Ed448, as browsers do not"),
    ),
];

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

/// The keys of all kinds.
pub(crate) struct OddKeys {
    folder: TempDir,
}

impl OddKeys {
    /// Making them takes seconds, so that they are made once.
    pub(crate) fn make() -> Self {
        let keys = Self { folder: TempDir::new().unwrap() };
        for kind in &KINDS {
            let file = keys.file(kind);
            if kind.key.is_empty() {
                fs::write(&file, include_str!("rsa16384.key")).unwrap();
            } else if !fs::exists(&file).unwrap() {
                let args = [&["genpkey", "-algorithm"], kind.key, &["-out", &file]].concat();
                openssl(&args);
            }
        }
        keys
    }

    fn file(&self, kind: &Kind) -> String {
        let name = kind.key.last().unwrap_or(&"huge").replace(':', "-");
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The SubjectPublicKeyInfo.
    pub(crate) fn public(&self, kind: &Kind) -> Vec<u8> {
        openssl(&["pkey", "-pubout", "-outform", "DER", "-in", &self.file(kind)])
    }

    /// The AlgorithmIdentifier.
    pub(crate) fn algorithm(&self, kind: &Kind) -> Vec<u8> {
        (kind.algorithm)()
    }

    pub(crate) fn sign(&self, kind: &Kind, message: &[u8]) -> Vec<u8> {
        let input = tempfile::NamedTempFile::new().unwrap();
        fs::write(&input, message).unwrap();
        let input = input.path().to_str().unwrap();
        let key = self.file(kind);
        match kind.digest {
            Some(digest) => openssl(&[&["dgst", "-sign", &key], digest, &[input]].concat()),
            None => openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", &key, "-in", input]),
        }
    }
}

fn openssl(args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", shown(&output));
    output.stdout
}
