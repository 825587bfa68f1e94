//! A file that whole targets are appended to.

use std::fs::File;
use std::io::{self, Write};

use crate::report::output::stream::{sync, write_most};
use crate::report::output::zst::Frames;
use crate::report::output::{Batch, Sink};

/// Where the bytes go.
enum Out {
    /// A pipe or a device: what it has taken cannot be taken back.
    Stream(Box<dyn Write + Send>),
    File {
        file: File,
        /// Bytes that stay.
        kept: u64,
        /// Whether the file may have more bytes after them.
        has_rest: bool,
    },
}

/// A file that whole targets are appended to. After an error, it is cut back to the last whole
/// target.
pub struct OutputFile {
    out: Out,
    /// Whether a later run may sweep the targets that this one does not finish.
    is_resumable: bool,
    frames: Option<Frames>,
    written: u64,
}

impl OutputFile {
    /// Appends to the first `kept` bytes of `file`, which is open for writing; in frames of zstd
    /// when `compressed`. The first write removes whatever follows these bytes.
    ///
    /// When the file `is_resumable`, nothing is written of targets that were not finished.
    ///
    /// # Errors
    /// There is no memory to compress in.
    pub fn new(file: File, kept: u64, is_resumable: bool, compressed: bool) -> io::Result<Self> {
        Self::of(Out::File { file, kept, has_rest: true }, is_resumable, compressed)
    }

    /// Writes to a pipe or a device; in frames of zstd when `compressed`.
    ///
    /// # Errors
    /// There is no memory to compress in.
    pub fn stream(out: impl Write + Send + 'static, compressed: bool) -> io::Result<Self> {
        Self::of(Out::Stream(Box::new(out)), false, compressed)
    }

    fn of(out: Out, is_resumable: bool, compressed: bool) -> io::Result<Self> {
        let frames = compressed.then(Frames::new).transpose()?;
        Ok(Self { out, is_resumable, frames, written: 0 })
    }

    /// Appends `bytes`. Returns how many of them were written, and the error if not all were. Then
    /// the file keeps only the first ones: `keep` turns the number written into the number to keep.
    fn append(
        &mut self,
        bytes: &[u8],
        keep: impl FnOnce(usize) -> usize,
    ) -> (usize, io::Result<()>) {
        let (file, kept, has_rest) = match &mut self.out {
            Out::Stream(out) => return write_most(out, bytes),
            Out::File { file, kept, has_rest } => (file, kept, has_rest),
        };
        if std::mem::take(has_rest)
            && let Err(error) = cut(file, *kept)
        {
            return (0, Err(error));
        }
        let (written, result) = write_most(file, bytes);
        match result {
            Ok(()) => *kept += bytes.len() as u64,
            // Harmless when this fails too: that the write failed is said, and --resume takes off a
            // torn end.
            Err(_) => _ = cut(file, *kept + keep(written) as u64),
        }
        (written, result)
    }

    fn add_to_frame(&mut self, text: &[u8]) -> io::Result<()> {
        if self.frames.as_ref().is_some_and(|frames| !frames.has_room_for(text)) {
            self.end_frame()?;
        }
        if let Some(frames) = &mut self.frames {
            frames.add(text);
        }
        Ok(())
    }

    fn end_frame(&mut self) -> io::Result<()> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        let (frame, targets) = frames.end()?;
        self.append(&frame, |_part_of_a_frame| 0).1?;
        self.written += targets;
        Ok(())
    }
}

/// Cuts `file` to `length` bytes if it is longer: an append-only file takes no cut that changes nothing.
fn cut(file: &File, length: u64) -> io::Result<()> {
    if file.metadata()?.len() > length { file.set_len(length) } else { Ok(()) }
}

impl Sink for OutputFile {
    fn leaves_interrupted(&self) -> bool {
        self.is_resumable
    }

    fn take(&mut self, batch: &Batch) -> io::Result<()> {
        if self.frames.is_none() {
            let whole = |written| batch.last_end_within(written);
            let (written, result) = self.append(&batch.text, whole);
            self.written += batch.whole_targets(written);
            return result;
        }
        batch.targets().try_for_each(|text| self.add_to_frame(text))?;
        if let Some(frames) = self.frames.as_mut().filter(|_| !batch.rest().is_empty()) {
            frames.add_rest(batch.rest());
        }
        if self.frames.as_ref().is_some_and(Frames::is_full) { self.end_frame() } else { Ok(()) }
    }

    fn idle(&mut self) -> io::Result<()> {
        if self.frames.as_ref().is_some_and(Frames::is_old) { self.end_frame() } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        let is_new = matches!(self.out, Out::Stream(_) | Out::File { kept: 0, .. });
        // A frame at least: programs do not take an empty file for compressed.
        if self.frames.as_ref().is_some_and(|frames| is_new || !frames.is_empty()) {
            self.end_frame()?;
        }
        let (file, kept, has_rest) = match &mut self.out {
            Out::Stream(out) => return out.flush(),
            Out::File { file, kept, has_rest } => (file, *kept, has_rest),
        };
        // Nothing was written behind a torn end, so it is there still.
        if std::mem::take(has_rest) {
            cut(file, kept)?;
        }
        sync(file)
    }

    fn written(&self) -> u64 {
        self.written
    }
}
