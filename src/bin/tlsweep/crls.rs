//! The revocation lists that the command line names.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use tlsweep::cert::Crls;
use tlsweep::escape::shown;

use crate::term;

/// The lists in `files`. One that has ended says nothing, which is told unless `quiet`.
///
/// # Errors
/// A file that cannot be read or has no list in it, or a list of a kind that is not supported.
pub(crate) fn load(files: &[PathBuf], now: SystemTime, quiet: bool) -> Result<Arc<Crls>> {
    let mut lists = Crls::default();
    for path in files {
        let name = shown(path);
        let file = fs::read(path).with_context(|| format!("cannot read --crl {name}"))?;
        let mut of_file = Crls::default();
        of_file.add(&file).with_context(|| format!("cannot use --crl {name}"))?;
        for end in of_file.ended(now).filter(|_| !quiet) {
            term::notice(format_args!(
                "--crl {name}: a list ended on {end} and says nothing; give a newer one"
            ));
        }
        lists.extend(of_file);
    }
    Ok(Arc::new(lists))
}
