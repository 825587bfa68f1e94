//! The filters of CRLite that the command line names.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use tlsweep::cert::Crlite;
use tlsweep::escape::shown;
use tlsweep::limits::CRLITE_LIMIT;
use tlsweep::plural::count;

use crate::term;

/// The age from which filters are called old. Mozilla makes new ones every twelve hours.
const FRESH: Duration = Duration::from_secs(7 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// The folder for filters in the cache of `upki fetch`.
const IN_CACHE: &str = "revocation";

/// The filters in a folder, or in its folder `revocation`. Old ones get a warning, unless `quiet`.
///
/// # Errors
/// A folder that cannot be read or has no filter in it, a file that is no filter, or too many bytes.
pub(crate) fn load(folder: Option<&Path>, now: SystemTime, quiet: bool) -> Result<Arc<Crlite>> {
    let mut filters = Crlite::default();
    let Some(folder) = folder else {
        return Ok(Arc::new(filters));
    };
    let name = shown(folder);
    let files = files(folder).with_context(|| format!("cannot read --crlite {name}"))?;
    if files.is_empty() {
        bail!("--crlite {name}: no *.filter and no *.delta in it; `upki fetch` downloads them");
    }
    let mut left = CRLITE_LIMIT;
    for path in files {
        let name = shown(&path);
        let size = fs::metadata(&path).map(|file| file.len());
        let size = size.with_context(|| format!("cannot read --crlite {name}"))?;
        let Some(rest) = left.checked_sub(size) else {
            bail!(
                "--crlite {name}: with this file the filters have more than {} MiB; keep only those \
                 of the last download",
                CRLITE_LIMIT >> 20
            );
        };
        left = rest;
        let file = fs::read(&path).with_context(|| format!("cannot read --crlite {name}"))?;
        filters.add(&file).with_context(|| format!("cannot use --crlite {name}"))?;
    }
    let made = filters
        .newest()
        .and_then(|newest| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(newest)));
    let age = made.and_then(|made| now.duration_since(made).ok()).unwrap_or_default();
    if age > FRESH && !quiet {
        let days = count(age.as_secs() / DAY, "day");
        term::notice(format_args!(
            "--crlite {name}: the filters know nothing of the last {days}; download newer ones"
        ));
    }
    Ok(Arc::new(filters))
}

/// The filters in a folder, in the order of their names.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let in_cache = folder.join(IN_CACHE);
    let folder = if in_cache.is_dir() { &in_cache } else { folder };
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<std::io::Result<Vec<_>>>()?;
    let is_filter = |ending: &OsStr| ending == "filter" || ending == "delta";
    paths.retain(|path| path.extension().is_some_and(is_filter));
    paths.sort_unstable();
    Ok(paths)
}
