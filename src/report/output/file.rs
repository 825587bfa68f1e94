//! A file that whole targets are appended to.

use std::fs::File;
use std::io::{self, Write};

use crate::report::output::zst::Frames;
use crate::report::output::{Batch, Sink};
use crate::report::record::Record;

/// What of a file is to be kept when it is written to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// It is a pipe or a device: what it has taken cannot be taken back.
    Stream,
    /// So many bytes; whatever comes behind them goes with the first write.
    Bytes(u64),
}

/// A file that whole targets are appended to: what is torn off by an error is taken back.
pub struct OutputFile {
    file: File,
    kept: Kept,
    /// Whether something may lie behind what is kept.
    has_rest: bool,
    /// Whether a later run may finish what this one does not.
    is_resumable: bool,
    frames: Option<Frames>,
}

impl OutputFile {
    /// Appends to `file`, which is open for that; as frames of zstd if it is to be `compressed`.
    ///
    /// Of targets that were not finished nothing is written when the file `is_resumable`.
    ///
    /// # Errors
    /// There is no memory to compress in.
    pub fn new(file: File, kept: Kept, is_resumable: bool, compressed: bool) -> io::Result<Self> {
        let frames = compressed.then(Frames::new).transpose()?;
        Ok(Self { file, kept, has_rest: true, is_resumable, frames })
    }

    /// Appends `bytes`; of those that do not all fit, as many as some of `ends` allow.
    fn append(&mut self, bytes: &[u8], ends: &[usize]) -> io::Result<()> {
        let Kept::Bytes(kept) = &mut self.kept else {
            return self.file.write_all(bytes);
        };
        if std::mem::take(&mut self.has_rest) {
            self.file.set_len(*kept)?;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let error = match self.file.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let written = bytes.len() - rest.len();
            let whole = ends.iter().copied().rfind(|end| *end <= written).unwrap_or_default();
            // That the write failed is what matters, also when this fails too.
            let _cut = self.file.set_len(*kept + whole as u64);
            return Err(error);
        }
        *kept += bytes.len() as u64;
        Ok(())
    }

    fn end_frame(&mut self) -> io::Result<()> {
        match self.frames.as_mut().map(Frames::end).transpose()? {
            Some(frame) => self.append(&frame, &[]),
            None => Ok(()),
        }
    }
}

impl Sink for OutputFile {
    fn wants(&self, of_target: &[Record]) -> bool {
        !(self.is_resumable && of_target.iter().any(Record::is_interrupted))
    }

    fn take(&mut self, batch: &Batch) -> io::Result<()> {
        let Some(frames) = &mut self.frames else {
            return self.append(&batch.text, &batch.ends);
        };
        frames.add(&batch.text);
        if frames.is_full() { self.end_frame() } else { Ok(()) }
    }

    fn idle(&mut self) -> io::Result<()> {
        if self.frames.as_ref().is_some_and(Frames::is_old) { self.end_frame() } else { Ok(()) }
    }

    /// Some file systems tell only now that they have no room.
    fn finish(&mut self) -> io::Result<()> {
        let is_new = matches!(self.kept, Kept::Stream | Kept::Bytes(0));
        // A frame at least: programs do not take an empty file for compressed.
        if self.frames.as_ref().is_some_and(|frames| is_new || !frames.is_empty()) {
            self.end_frame()?;
        }
        match self.kept {
            Kept::Stream => self.file.flush(),
            Kept::Bytes(_) => self.file.sync_data(),
        }
    }
}
