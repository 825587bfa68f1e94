//! OpenSSL's server, and the files that it wants.

use std::fs;

use rustls_pki_types::CertificateDer;
use tempfile::TempDir;
use tlsweep::cert::pem;

use super::programs::{Program, Server, free_port, shown};

/// OpenSSL, with a folder to work in.
pub(crate) struct OpenSsl {
    program: Program,
    folder: TempDir,
}

impl OpenSsl {
    /// None, after a loud word, when it is not installed.
    pub(crate) fn find() -> Option<Self> {
        let program = Program::find("openssl")?;
        Some(Self { program, folder: TempDir::new().unwrap() })
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file into the folder; its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Runs a command that must succeed.
    pub(crate) fn run(&self, args: &[&str]) -> Vec<u8> {
        let output = self.program.run(args);
        assert!(output.status.success(), "openssl {args:?}: {}", shown(&output));
        output.stdout
    }

    /// A server that shows this chain and signs with this key (PKCS#8). It takes whatever key and
    /// certificate it is given.
    pub(crate) fn serve(&self, chain: &[CertificateDer<'_>], key: &[u8], flags: &[&str]) -> Server {
        let port = free_port();
        let (leaf, others) = chain.split_first().unwrap();
        let accept = format!("127.0.0.1:{port}");
        let leaf = self.write(&format!("{port}.leaf"), pem(leaf));
        let key = self.write(&format!("{port}.key"), key);
        let rest = others.iter().map(|der| pem(der)).collect::<String>();
        let rest = self.write(&format!("{port}.chain"), rest);
        let mut args = vec!["s_server", "-quiet", "-www", "-accept", &accept];
        args.extend(["-cert", &leaf, "-key", &key, "-keyform", "DER"]);
        args.extend(["-cipher", "ALL:@SECLEVEL=0"]);
        if !others.is_empty() {
            args.extend(["-cert_chain", &rest]);
        }
        args.extend(flags);
        self.program.serve(port, args)
    }
}
