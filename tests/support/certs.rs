//! Certificates made at run time, also such as no CA would sign.

use std::sync::LazyLock;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SignatureAlgorithm, SigningKey,
    date_time_ymd,
};
use rustls_pki_types::{CertificateDer, ServerName};
use tlsweep::cert::{Examined, Judge, Presented, Problem, Roots, Wanted};
use tlsweep::signature::{Proof, SignedHandshake};

/// The moment that chains are judged at. OpenSSL's certificates begin now.
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// A certificate with its key.
pub(crate) struct Entity {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    pub(crate) der: CertificateDer<'static>,
}

impl Entity {
    pub(crate) fn root(name: &str) -> Self {
        Self::self_signed(ca(name))
    }

    pub(crate) fn self_signed(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    pub(crate) fn self_signed_with(
        params: CertificateParams,
        algorithm: &'static SignatureAlgorithm,
    ) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    /// A certificate under this one, with a P-256 key.
    pub(crate) fn issue(&self, params: CertificateParams) -> Self {
        self.issue_with(params, &PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn issue_with(
        &self,
        params: CertificateParams,
        algorithm: &'static SignatureAlgorithm,
    ) -> Self {
        self.issue_for(params, KeyPair::generate_for(algorithm).unwrap())
    }

    pub(crate) fn issue_for(&self, params: CertificateParams, key: KeyPair) -> Self {
        let der = self.sign(&params, &key);
        Self { params, key, der }
    }

    /// Another certificate for the same name and key, under another issuer.
    pub(crate) fn cross_signed_by(&self, issuer: &Self) -> CertificateDer<'static> {
        issuer.sign(&self.params, &self.key)
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> CertificateDer<'static> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(key, &issuer).unwrap().der().clone()
    }

    /// This certificate after surgery on the signed part, signed anew by a P-256 issuer.
    pub(crate) fn altered(
        &self,
        issuer: &Self,
        surgery: impl FnOnce(&mut Vec<Vec<u8>>),
    ) -> CertificateDer<'static> {
        self.altered_and_signed(surgery, |part| issuer.key.sign(part).unwrap())
    }

    /// The same, signed otherwise.
    pub(crate) fn altered_and_signed(
        &self,
        surgery: impl FnOnce(&mut Vec<Vec<u8>>),
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> CertificateDer<'static> {
        let mut parts = children(&self.der);
        let mut fields = children(&parts[0]);
        surgery(&mut fields);
        parts[0] = element(0x30, &fields);
        // Version 1 is not written.
        let algorithm = if fields[0][0] == 0xa0 { 2 } else { 1 };
        parts[1].clone_from(&fields[algorithm]);
        parts[2] = element(0x03, &[vec![0], sign(&parts[0])]);
        element(0x30, &parts).into()
    }

    /// The same with one bit of the signature flipped.
    pub(crate) fn flipped(&self) -> CertificateDer<'static> {
        let mut der = self.der.to_vec();
        *der.last_mut().unwrap() ^= 1;
        der.into()
    }
}

/// A root, a CA under it and a server certificate.
pub(crate) struct Pki {
    pub(crate) root: Entity,
    pub(crate) ca: Entity,
    pub(crate) leaf: Entity,
}

impl Pki {
    pub(crate) fn new() -> Self {
        Self::of(Entity::root("root"), ca("intermediate"), example())
    }

    pub(crate) fn of(
        root: Entity,
        intermediate: CertificateParams,
        leaf: CertificateParams,
    ) -> Self {
        let ca = root.issue(intermediate);
        let leaf = ca.issue(leaf);
        Self { root, ca, leaf }
    }
}

/// A CA of this name.
pub(crate) fn ca(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A server certificate for these names.
pub(crate) fn server(names: &[&str]) -> CertificateParams {
    let names = names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let mut params = named("leaf");
    params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// The usual server certificate.
pub(crate) fn example() -> CertificateParams {
    server(&["example.com"])
}

/// With this validity, from the first of January to the first of January.
pub(crate) fn valid(mut params: CertificateParams, from: i32, until: i32) -> CertificateParams {
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    valid(params, 2020, 2090)
}

/// A judge who trusts these.
pub(crate) fn judge(roots: &[&CertificateDer<'_>]) -> Judge {
    let mut trusted = Roots::default();
    for root in roots {
        trusted.add(root).unwrap();
    }
    Judge::new(trusted)
}

/// The proof of a peer that has the key of its certificate.
pub(crate) static HELD: LazyLock<Proof> = LazyLock::new(|| {
    let own = Entity::self_signed(example());
    let signature = own.key.sign(b"a handshake").unwrap();
    let signed = SignedHandshake {
        certificate: &own.der,
        scheme: 0x0403,
        is_tls13: true,
        message: b"a handshake",
        signature: &signature,
    };
    signed.prove().unwrap()
});

/// The whole examination of a chain for a name.
pub(crate) fn examine(judge: &Judge, chain: &[CertificateDer<'_>], host: &str) -> Examined {
    let name = ServerName::try_from(host).unwrap();
    let presented = Presented { chain, name: Some(&name), ocsp: &[], proof: &HELD };
    judge.examine(presented, now(), Wanted::default())
}

/// The problems of a chain for `example.com`.
pub(crate) fn problems(
    chain: &[&CertificateDer<'static>],
    roots: &[&CertificateDer<'static>],
) -> Vec<Problem> {
    let chain = chain.iter().map(|&der| der.clone()).collect::<Vec<_>>();
    let examined = examine(&judge(roots), &chain, "example.com");
    examined.trust.unwrap().problems
}

/// The elements inside of an element, each with its header.
pub(crate) fn children(der: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = value(der);
    let mut children = Vec::new();
    while !rest.is_empty() {
        let (child, after) = rest.split_at(size(rest));
        children.push(child.to_vec());
        rest = after;
    }
    children
}

/// An element of these parts.
pub(crate) fn element(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let value = parts.concat();
    let length = match value.len() {
        short @ ..128 => vec![short as u8],
        long @ ..256 => vec![0x81, long as u8],
        long => vec![0x82, (long >> 8) as u8, long as u8],
    };
    [vec![tag], length, value].concat()
}

fn value(der: &[u8]) -> &[u8] {
    let header = match der[1] {
        ..0x80 => 2,
        long => 2 + usize::from(long & 0x7f),
    };
    &der[header..size(der)]
}

fn size(der: &[u8]) -> usize {
    match der[1] {
        short @ 0..=0x7f => 2 + usize::from(short),
        0x81 => 3 + usize::from(der[2]),
        0x82 => 4 + usize::from(der[2]) * 256 + usize::from(der[3]),
        _ => panic!("no certificate is that long"),
    }
}
