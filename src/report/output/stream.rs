//! Stdout, and anything else that cannot take back what it was given.

use std::fs::File;
use std::io::ErrorKind::{InvalidInput, ReadOnlyFilesystem, Unsupported};
use std::io::{self, Write};

use crate::report::output::{Batch, Sink};

/// Writes lines to `W` as they are, and flushes when nothing more is there.
pub struct Stream<W> {
    out: W,
    /// What `out` ends in, if that may be a file.
    file: Option<File>,
    written: u64,
}

impl<W: Write + Send> Stream<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, file: None, written: 0 }
    }

    /// Writes to `out`, which writes to `file`. At the end `file` is synced, because some file
    /// systems report only then that they are full.
    pub fn to_file(out: W, file: File) -> Self {
        Self { file: Some(file), ..Self::new(out) }
    }
}

impl<W: Write + Send> Sink for Stream<W> {
    fn take(&mut self, batch: &Batch) -> io::Result<()> {
        let (written, result) = write_most(&mut self.out, &batch.text);
        self.written += batch.whole_targets(written);
        result
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.file.as_ref().map_or(Ok(()), sync)
    }

    fn written(&self) -> u64 {
        self.written
    }
}

/// Waits until `file` is on its disk. Some file systems report only now that they are full, and an
/// error that they report when the file is closed would be lost. Pipes and terminals need no wait.
///
/// # Errors
/// The file system could not store everything.
pub fn sync(file: &File) -> io::Result<()> {
    match file.sync_data() {
        // A pipe, a terminal, or a file system that cannot sync: nothing more can be done.
        Err(error) if matches!(error.kind(), InvalidInput | ReadOnlyFilesystem | Unsupported) => {
            Ok(())
        }
        synced => synced,
    }
}

/// Writes as much of `bytes` as `out` takes. Returns how many bytes that was, and the error that
/// stopped it.
pub fn write_most(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let error = match out.write(rest) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(written) => {
                rest = rest.get(written..).unwrap_or_default();
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        return (bytes.len() - rest.len(), Err(error));
    }
    (bytes.len(), Ok(()))
}
