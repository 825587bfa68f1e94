//! The one place that opens what is to be read: a file, a FIFO or stdin.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use crate::escape::shown;
use crate::feed::decode::Bytes;

/// The path that means stdin.
const STDIN: &str = "-";

/// Something that is there and can be read.
pub(crate) struct Source {
    /// What people call it.
    pub(crate) name: String,
    /// How many bytes it has, when it is a regular file.
    pub(crate) length: Option<u64>,
    state: State,
}

enum State {
    Open(Bytes),
    /// A FIFO: opening it waits for its writer, so that happens when its turn comes.
    Waiting(PathBuf),
}

impl Source {
    /// Opens what `path` names, unless it is a FIFO; `-` is `stdin`.
    ///
    /// # Errors
    /// It does not exist, may not be read or is a directory.
    pub(crate) fn find(path: &Path, stdin: &dyn Fn() -> Bytes) -> io::Result<Self> {
        if is_stdin(path) {
            let state = State::Open(stdin());
            return Ok(Self { name: "stdin".to_owned(), length: None, state });
        }
        let found = path.metadata()?;
        if found.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let state = match found.file_type().is_fifo() {
            true => State::Waiting(path.to_owned()),
            false => State::Open(Box::new(File::open(path)?)),
        };
        let length = found.is_file().then_some(found.len());
        Ok(Self { name: shown(path), length, state })
    }

    /// Whether [`Source::bytes`] waits for somebody.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// What it says. A FIFO is opened now.
    ///
    /// # Errors
    /// The FIFO cannot be opened.
    pub(crate) fn bytes(self) -> io::Result<Bytes> {
        match self.state {
            State::Open(bytes) => Ok(bytes),
            State::Waiting(path) => Ok(Box::new(File::open(path)?)),
        }
    }
}

/// Whether `path` means stdin.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new(STDIN)
}
