//! Stdout, and anything else that cannot take back what it was given.

use std::io::{self, Write};

use crate::report::output::{Batch, Sink};

/// Writes lines to `W` as they are, and flushes when nothing more is there.
pub struct Stream<W> {
    out: W,
    written: u64,
}

impl<W: Write + Send> Stream<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, written: 0 }
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
        self.out.flush()
    }

    fn written(&self) -> u64 {
        self.written
    }
}

/// Writes as much of `bytes` as `out` takes; how much that is, and why it is not all.
pub(super) fn write_most(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
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
