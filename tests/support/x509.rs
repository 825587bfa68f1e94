//! `openssl verify` and `openssl x509`, which verdicts and facts are held against.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustls_pki_types::CertificateDer;
use tlsweep::cert::{Certificate, pem};

use crate::support::programs::skip;

/// What OpenSSL says against a chain of a server, leaf first; `None` when there is no OpenSSL.
pub(crate) fn verify(
    chain: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    host: &str,
) -> Option<Result<(), String>> {
    let is_address = host.parse::<IpAddr>().is_ok();
    let asked = if is_address { "-verify_ip" } else { "-verify_hostname" };
    openssl_verify(chain, roots, &["-purpose", "sslserver", asked, host])
}

/// The same whatever the leaf is for.
pub(crate) fn verify_path(
    chain: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
) -> Option<Result<(), String>> {
    openssl_verify(chain, roots, &[])
}

fn openssl_verify(
    chain: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    args: &[&str],
) -> Option<Result<(), String>> {
    let folder = tempfile::tempdir().unwrap();
    let mut verify = Command::new("openssl");
    verify
        .arg("verify")
        .args(args)
        .args(["-no-CApath", "-no-CAstore", "-CAfile"])
        .arg(write(folder.path(), "roots.pem", roots))
        .arg("-untrusted")
        .arg(write(folder.path(), "untrusted.pem", chain))
        .arg(write(folder.path(), "leaf.pem", &chain[..1]));
    let Ok(verify) = verify.output() else {
        skip("openssl is not installed");
        return None;
    };
    Some(match verify.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&verify.stderr).into_owned()),
    })
}

/// What GnuTLS says against a chain, leaf first; `None` when it is not installed.
pub(crate) fn certtool(
    chain: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    host: &str,
) -> Option<Result<(), String>> {
    let folder = tempfile::tempdir().unwrap();
    let mut verify = Command::new("certtool");
    verify
        .args(["--verify", "--verify-hostname", host])
        .args(["--verify-purpose", "1.3.6.1.5.5.7.3.1", "--load-ca-certificate"])
        .arg(write(folder.path(), "roots.pem", roots))
        .arg("--infile")
        .arg(write(folder.path(), "chain.pem", chain));
    let Ok(verify) = verify.output() else {
        skip("certtool is not installed");
        return None;
    };
    Some(match verify.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&verify.stdout).into_owned()),
    })
}

fn write(folder: &Path, name: &str, certificates: &[CertificateDer<'_>]) -> PathBuf {
    let path = folder.join(name);
    let text = certificates.iter().map(|der| pem(der)).collect::<String>();
    std::fs::write(&path, text).unwrap();
    path
}

/// Where our facts of a certificate differ from what `openssl x509` prints. `None` when there is no
/// OpenSSL, or when it cannot read the certificate.
pub(crate) fn differences(der: &CertificateDer<'_>) -> Option<Vec<String>> {
    let theirs = of_openssl(der)?;
    let ours = of_ours(Certificate::new(der));
    let differ = theirs.into_iter().filter(|(field, value)| ours[field] != *value);
    Some(
        differ
            .map(|(field, value)| format!("{field}: {value:?}, ours {:?}", ours[field]))
            .collect(),
    )
}

type Facts = BTreeMap<&'static str, String>;

/// The lines of `openssl x509` that have a counterpart here.
fn of_openssl(der: &CertificateDer<'_>) -> Option<Facts> {
    let openssl = Command::new("openssl")
        .args(["x509", "-noout", "-subject", "-issuer", "-serial", "-startdate", "-enddate"])
        .args(["-fingerprint", "-sha256", "-text", "-dateopt", "iso_8601"])
        .args(["-nameopt", "RFC2253,utf8,-esc_msb,-esc_ctrl"])
        .args(["-certopt", "no_sigdump,no_aux"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut openssl) = openssl else {
        skip("openssl is not installed");
        return None;
    };
    // OpenSSL closes its input when it cannot read the certificate.
    let _broken_pipe = openssl.stdin.take().unwrap().write_all(pem(der).as_bytes());
    let output = openssl.wait_with_output().unwrap();
    let text = output.status.success().then(|| String::from_utf8_lossy(&output.stdout))?;
    let after = |start: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(start));
        line.unwrap_or_default().trim().to_owned()
    };
    // The line below a heading.
    let below = |heading: &str| {
        let mut lines = text.lines().skip_while(|line| !line.trim().starts_with(heading));
        lines.nth(1).unwrap_or_default().trim().to_owned()
    };
    let constraints = Some(below("X509v3 Basic Constraints"));
    Some(Facts::from([
        ("subject", after("subject=")),
        ("issuer", after("issuer=")),
        ("serial", after("serial=").to_lowercase()),
        ("from", after("notBefore=").replace(' ', "T")),
        ("until", after("notAfter=").replace(' ', "T")),
        ("sha256", after("sha256 Fingerprint=").replace(':', "").to_lowercase()),
        ("version", after("Version: ").split(' ').next().unwrap().to_owned()),
        ("key", after("Public Key Algorithm: ")),
        ("bits", after("Public-Key: (").replace(" bit)", "")),
        ("curve", after("ASN1 OID: ")),
        ("signature", after("Signature Algorithm: ")),
        ("constraints", constraints.filter(|text| text.starts_with("CA:TRUE")).unwrap_or_default()),
        ("usage", below("X509v3 Key Usage")),
        ("purposes", sorted(below("X509v3 Extended Key Usage").split(", "))),
        ("names", sorted(below("X509v3 Subject Alternative Name").split(", "))),
        ("crl", after_heading(&text, "X509v3 CRL Distribution Points", "URI:")),
        ("ocsp", after_heading(&text, "Authority Information Access", "OCSP - URI:")),
    ]))
}

/// What comes after `start` in the lines of one extension.
fn after_heading(text: &str, heading: &str, start: &str) -> String {
    let mut lines = text.lines().skip_while(|line| !line.trim().starts_with(heading)).skip(1);
    let is_inside = |line: &&str| !line.trim().starts_with("X509v3") && !line.contains("Signature");
    let found =
        lines.by_ref().take_while(is_inside).find_map(|line| line.trim().strip_prefix(start));
    // Reasons stand in the same line.
    found.and_then(|line| line.split(' ').next()).unwrap_or_default().to_owned()
}

/// The same from the facts.
fn of_ours(facts: Certificate) -> Facts {
    let key = match facts.key.as_deref().unwrap_or_default() {
        "RSA" => "rsaEncryption",
        "EC" => "id-ecPublicKey",
        "DSA" => "dsaEncryption",
        "Ed25519" => "ED25519",
        "Ed448" => "ED448",
        other => other,
    };
    let curve = match facts.key_curve.as_deref() {
        Some("secp256r1") => "prime256v1",
        other => other.unwrap_or_default(),
    };
    let bits = match key {
        "ED25519" | "ED448" => String::new(),
        _ => facts.key_bits.map(|bits| bits.to_string()).unwrap_or_default(),
    };
    let constraints = match (facts.ca, facts.path_length) {
        (Some(true), Some(length)) => format!("CA:TRUE, pathlen:{length}"),
        (Some(true), None) => "CA:TRUE".to_owned(),
        _ => String::new(),
    };
    let usages = words(
        facts.key_usage.unwrap_or_default(),
        &[
            ("digitalSignature", "Digital Signature"),
            ("nonRepudiation", "Non Repudiation"),
            ("keyEncipherment", "Key Encipherment"),
            ("dataEncipherment", "Data Encipherment"),
            ("keyAgreement", "Key Agreement"),
            ("keyCertSign", "Certificate Sign"),
            ("cRLSign", "CRL Sign"),
            ("encipherOnly", "Encipher Only"),
            ("decipherOnly", "Decipher Only"),
        ],
    );
    let purposes = words(
        facts.extended_key_usage.unwrap_or_default(),
        &[
            ("anyExtendedKeyUsage", "Any Extended Key Usage"),
            ("serverAuth", "TLS Web Server Authentication"),
            ("clientAuth", "TLS Web Client Authentication"),
            ("codeSigning", "Code Signing"),
            ("emailProtection", "E-mail Protection"),
            ("timeStamping", "Time Stamping"),
            ("OCSPSigning", "OCSP Signing"),
        ],
    );
    let addresses = facts.addresses.unwrap_or_default();
    let addresses = addresses.iter().map(|address| match address.parse().unwrap() {
        IpAddr::V6(v6) => {
            let groups = v6.segments().map(|group| format!("{group:X}"));
            format!("IP Address:{}", groups.join(":"))
        }
        IpAddr::V4(v4) => format!("IP Address:{v4}"),
    });
    let others = facts.other_names.unwrap_or_default();
    let others = others.into_iter().map(|name| match name.split_once(':') {
        Some(("directory", name)) => {
            let parts = name.split(',').rev().collect::<Vec<_>>();
            format!("DirName:/{}", parts.join("/"))
        }
        Some(("uri", uri)) => format!("URI:{uri}"),
        Some(("registered", oid)) => format!("Registered ID:{oid}"),
        _ => name,
    });
    let names = facts.names.unwrap_or_default();
    let names = names.iter().map(|name| format!("DNS:{name}")).chain(addresses).chain(others);
    let signature = match facts.signature_algorithm.as_deref().unwrap_or_default() {
        "Ed25519" => "ED25519",
        "Ed448" => "ED448",
        "RSASSA-PSS" => "rsassaPss",
        "dsa-with-sha1" => "dsaWithSHA1",
        "dsa-with-sha256" => "dsa_with_SHA256",
        other => other,
    };
    let first = |list: Option<Vec<String>>| list.unwrap_or_default().first().cloned();
    Facts::from([
        ("subject", facts.subject.unwrap_or_default()),
        ("issuer", facts.issuer.unwrap_or_default()),
        ("serial", facts.serial.unwrap_or_default()),
        ("from", facts.not_before.unwrap_or_default()),
        ("until", facts.not_after.unwrap_or_default()),
        ("sha256", facts.sha256.unwrap_or_default()),
        ("version", facts.version.unwrap_or_default().to_string()),
        ("key", key.to_owned()),
        ("bits", bits),
        ("curve", curve.to_owned()),
        ("signature", signature.to_owned()),
        ("constraints", constraints),
        ("usage", usages),
        ("purposes", sorted(purposes.split(", "))),
        ("names", sorted(names)),
        ("crl", first(facts.crl_urls).unwrap_or_default()),
        ("ocsp", first(facts.ocsp_urls).unwrap_or_default()),
    ])
}

/// In one order, for ours are grouped by type.
fn sorted(names: impl Iterator<Item = impl Into<String>>) -> String {
    let mut names = names.map(Into::into).collect::<Vec<String>>();
    names.sort();
    names.join(", ")
}

fn words(ours: Vec<String>, theirs: &[(&str, &str)]) -> String {
    let words = ours.iter().map(|our| {
        let found = theirs.iter().find(|(word, _)| word == our);
        found.map_or(our.as_str(), |(_, their)| their)
    });
    words.collect::<Vec<_>>().join(", ")
}
