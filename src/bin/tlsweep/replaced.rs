//! Files that are replaced as a whole: whoever reads one finds the old or the new, never a part.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use tempfile::NamedTempFile;
use tlsweep::escape::shown;
use tlsweep::report::output::stream::sync;

pub(crate) struct Replaced(PathBuf);

impl Replaced {
    /// The file at `path`, which need not be there yet.
    ///
    /// # Errors
    /// Something else is there, or nothing can be put there.
    pub(crate) fn at(path: PathBuf) -> Result<Self> {
        let name = shown(&path);
        let old = existing(&path).with_context(|| format!("cannot write {name}"))?;
        // Not even a link: what replaces /dev/stdout or /dev/null would be there to stay.
        let is_directory = path.as_os_str().as_bytes().ends_with(b"/");
        if old.is_some_and(|old| !old.is_file()) || is_directory || path.file_name().is_none() {
            bail!("cannot write {name}: it is not a regular file");
        }
        if is_fixed(&path) {
            bail!("cannot write {name}: it cannot be replaced (chattr -ia lifts that)");
        }
        beside(&path).with_context(|| format!("cannot write {name}"))?;
        Ok(Self(path))
    }

    /// Puts this there.
    ///
    /// # Errors
    /// Those of the file system; then the old is still there.
    pub(crate) fn replace(&self, bytes: &[u8]) -> Result<()> {
        let replace = || -> io::Result<()> {
            let mut file = beside(&self.0)?;
            // An error of the file itself does not name it: it is gone when somebody reads that.
            file.as_file_mut().write_all(bytes)?;
            // Before the old is gone, for the file system may have no room for the new.
            sync(file.as_file())?;
            file.persist(&self.0)?;
            Ok(())
        };
        replace().with_context(|| format!("cannot write {}", shown(&self.0)))
    }
}

/// What is there already.
fn existing(path: &Path) -> io::Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether it can neither be removed nor be replaced (`chattr +i`, `chattr +a`).
fn is_fixed(path: &Path) -> bool {
    let fixed = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    // Where the kernel or the file system does not tell, the end of the sweep does.
    statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.intersects(fixed))
}

/// A file in the same directory that is gone when it is dropped. It has the mode and, as far as that is
/// allowed, the owner of what it replaces: somebody may have made that private. Without one, its mode is
/// 0666 & !umask.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or_else(|| Path::new("."));
    let file = tempfile::Builder::new().make_in(directory, |path| {
        File::options().write(true).create_new(true).mode(0o666).open(path)
    })?;
    if let Some(old) = existing(path)? {
        // Only root may give files away. Others may give them to a group that they are in, so that
        // whoever reads the report as one of that group still can. What is not allowed is not needed.
        if fchown(file.as_file(), Some(old.uid()), Some(old.gid())).is_err() {
            let _not_allowed = fchown(file.as_file(), None, Some(old.gid()));
        }
        file.as_file().set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
    }
    Ok(file)
}
