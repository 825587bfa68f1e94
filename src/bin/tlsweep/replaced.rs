//! Files that are replaced as a whole: whoever reads one finds the old or the new, never a part.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;
use tlsweep::escape::shown;

pub(crate) struct Replaced(PathBuf);

impl Replaced {
    /// The file at `path`, which need not be there yet.
    ///
    /// # Errors
    /// Something else is there, or nothing can be put there.
    pub(crate) fn at(path: PathBuf) -> Result<Self> {
        let name = shown(&path);
        // Not even a link: what replaces /dev/stdout or /dev/null would be there to stay.
        if path.symlink_metadata().is_ok_and(|found| !found.is_file()) || path.file_name().is_none()
        {
            bail!("cannot write {name}: it is not a regular file");
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
            file.write_all(bytes)?;
            file.persist(&self.0)?;
            Ok(())
        };
        replace().with_context(|| format!("cannot write {}", shown(&self.0)))
    }
}

/// A file in the same directory that is gone when it is dropped, created with mode 0666 & !umask.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory.unwrap_or_else(|| Path::new(".")))
}
