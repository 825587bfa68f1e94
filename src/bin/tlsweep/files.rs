//! Which of the files that a command line names are one and the same.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::cli::files::{NamedFile, Place, Use};

/// Links that are followed to a file that is not there yet; Linux follows as many.
const LINKS: usize = 40;

/// Checks that what is written is neither read nor written under another name.
///
/// # Errors
/// Two names of one file, when one of them is to be written.
pub(crate) fn check(files: &[NamedFile<'_>]) -> Result<()> {
    let identities: Vec<_> = files.iter().map(|file| identity(&file.place)).collect();
    for (place, (file, identity)) in files.iter().zip(&identities).enumerate() {
        let before = files.iter().zip(&identities).take(place);
        let same = before.filter(|(_, other)| identity.is_some() && *other == identity);
        for (other, _) in same {
            if is_harmful(file.used, other.used) {
                bail!(
                    "{other} and {file} are the same file: what is written needs a file of its own"
                );
            }
        }
    }
    Ok(())
}

fn is_harmful(one: Use, other: Use) -> bool {
    match (one, other) {
        // `> log 2>&1` is an everyday command, and so is a log of status lines and messages.
        (Use::Messages, other) | (other, Use::Messages) => other == Use::Replaced,
        (Use::Read, Use::Read) => false,
        _ => true,
    }
}

/// Identifies a file whatever name it is opened by.
#[derive(Debug, Eq, PartialEq)]
enum Identity {
    Found {
        device: u64,
        inode: u64,
    },
    /// It will be made in this directory.
    Missing {
        device: u64,
        inode: u64,
        name: PathBuf,
    },
}

/// `None` for a device or a socket, which loses nothing when it is named twice, and for a file that
/// cannot be opened anyway. Two writers to one pipe tear each other's lines.
fn identity(place: &Place<'_>) -> Option<Identity> {
    match place {
        Place::Path(path) => of_path(path),
        Place::Stdin => of_stream(io::stdin()),
        Place::Stdout => of_stream(io::stdout()),
        Place::Stderr => of_stream(io::stderr()),
    }
}

fn of_stream(stream: impl AsFd) -> Option<Identity> {
    // A stream that is closed is no file.
    let file = File::from(stream.as_fd().try_clone_to_owned().ok()?);
    of_file(&file.metadata().ok()?)
}

fn of_file(found: &Metadata) -> Option<Identity> {
    let is_shared = found.is_file() || found.file_type().is_fifo();
    is_shared.then(|| Identity::Found { device: found.dev(), inode: found.ino() })
}

fn of_path(path: &Path) -> Option<Identity> {
    let mut path = path.to_owned();
    for _link in 0..LINKS {
        match fs::metadata(&path) {
            Ok(found) => return of_file(&found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Opening the file later reports the error.
            Err(_) => return None,
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let Ok(target) = fs::read_link(&path) else {
            let found = fs::metadata(directory).ok()?;
            let name = path.file_name()?.into();
            return Some(Identity::Missing { device: found.dev(), inode: found.ino(), name });
        };
        path = directory.join(target);
    }
    None
}
