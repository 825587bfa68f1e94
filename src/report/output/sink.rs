//! Where lines go.

use std::io;

use crate::limits::SHARD_BYTES;
use crate::report::summary::Tally;

/// The lines of whole targets, in order.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) text: Vec<u8>,
    /// Where the lines of each target end.
    pub(super) ends: Vec<usize>,
    /// What each target adds to the counts.
    pub(super) tallies: Vec<Tally>,
}

impl Batch {
    /// The lines of all targets.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Empties it. A batch that was very large leaves no room behind.
    pub fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(2 * SHARD_BYTES.get());
        self.ends.clear();
        self.tallies.clear();
    }

    /// The lines of each target.
    pub(super) fn targets(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| self.text.get(*start..*end).unwrap_or_default())
    }

    /// What stands behind the lines of the last target.
    pub(super) fn rest(&self) -> &[u8] {
        self.text.get(self.ends.last().copied().unwrap_or_default()..).unwrap_or_default()
    }

    /// How many targets end within the first `written` bytes.
    pub(super) fn whole_targets(&self, written: usize) -> u64 {
        self.ends.partition_point(|end| *end <= written) as u64
    }

    /// Where the last target ends that is whole within the first `written` bytes.
    pub(super) fn last_end_within(&self, written: usize) -> usize {
        self.ends.iter().copied().rfind(|end| *end <= written).unwrap_or_default()
    }
}

/// Where lines go.
pub trait Sink: Send {
    /// Whether an interrupted target has no lines, so that a later run sweeps it again.
    fn leaves_interrupted(&self) -> bool {
        false
    }

    /// Takes lines.
    ///
    /// # Errors
    /// They cannot be written. The sink must not be used after that.
    fn take(&mut self, batch: &Batch) -> io::Result<()>;

    /// Called when no more lines are waiting: writes what is buffered.
    ///
    /// # Errors
    /// What was taken cannot be written.
    fn idle(&mut self) -> io::Result<()>;

    /// Called once, after the last line.
    ///
    /// # Errors
    /// What was taken cannot be written.
    fn finish(&mut self) -> io::Result<()>;

    /// How many of the targets that were taken are written, counted from the first. It is also
    /// right after an error.
    fn written(&self) -> u64;
}
