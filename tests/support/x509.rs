//! `openssl verify` and `certtool --verify`, which other verdicts are held against.

use std::path::Path;
use std::process::Command;

use rustls_pki_types::CertificateDer;
use tlsweep::cert::pem;

/// What OpenSSL says against a chain, leaf first; `None` when there is no OpenSSL.
pub(crate) fn verify(
    chain: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    host: &str,
) -> Option<Result<(), String>> {
    let folder = tempfile::tempdir().unwrap();
    let mut verify = Command::new("openssl");
    verify
        .args(["verify", "-purpose", "sslserver", "-verify_hostname", host])
        .args(["-no-CApath", "-no-CAstore", "-CAfile"])
        .arg(write(folder.path(), "roots.pem", roots))
        .arg("-untrusted")
        .arg(write(folder.path(), "untrusted.pem", chain))
        .arg(write(folder.path(), "leaf.pem", &chain[..1]));
    let Ok(verify) = verify.output() else {
        let strict = std::env::var_os("TLSWEEP_REAL_SERVERS").is_some();
        assert!(!strict, "no openssl");
        eprintln!("skipped: no openssl");
        return None;
    };
    Some(match verify.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&verify.stderr).into_owned()),
    })
}

fn write(folder: &Path, name: &str, certificates: &[CertificateDer<'_>]) -> std::path::PathBuf {
    let path = folder.join(name);
    let text = certificates.iter().map(|der| pem(der)).collect::<String>();
    std::fs::write(&path, text).unwrap();
    path
}
