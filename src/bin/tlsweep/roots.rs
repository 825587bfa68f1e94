//! The certificates that a chain may end at, from where the command line says.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use tlsweep::cert::Roots;
use tlsweep::escape::shown;

use crate::term;

/// The roots in `files`, or else the built-in ones; with `system`, this machine's as well.
///
/// # Errors
/// A file that cannot be read or has no certificate in it; a machine without roots.
pub(crate) fn load(files: &[PathBuf], system: bool, quiet: bool) -> Result<Roots> {
    let mut roots = match files {
        [] => Roots::built_in(),
        _ => Roots::default(),
    };
    for path in files {
        let name = shown(path);
        let file = fs::read(path).with_context(|| format!("cannot read the roots file {name}"))?;
        let more = Roots::read(&file);
        roots.extend(more.with_context(|| format!("cannot use the roots file {name}"))?);
    }
    if system {
        roots.extend(of_system(quiet)?);
    }
    Ok(roots)
}

/// One certificate that cannot be used does not spoil the others: nobody here chose them.
fn of_system(quiet: bool) -> Result<Roots> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = Roots::default();
    let mut unusable = loaded.errors.len();
    for certificate in &loaded.certs {
        unusable += usize::from(roots.add(certificate).is_err());
    }
    // The first of them tells most: often it is why there are no others.
    let reason = loaded.errors.first().map_or_else(String::new, |error| format!(": {error}"));
    if roots.is_empty() {
        bail!(
            "--system-roots: this machine has no roots{reason} \
             (on Debian: apt install ca-certificates)"
        );
    }
    if unusable > 0 && !quiet {
        term::notice(format_args!("{unusable} of this machine's roots cannot be used{reason}"));
    }
    Ok(roots)
}
