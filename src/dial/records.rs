//! Finds where TLS records end in a stream of bytes, and hands them out one by one.

use std::collections::VecDeque;
use std::mem;

use tokio::io::ReadBuf;

/// Bytes of a record's header: its type, its version, its length.
const HEADER: usize = 5;

/// The records of a stream of which each read returns one at most, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Records {
    ends: RecordEnds,
    /// What was received behind the record that the last read returned.
    behind: VecDeque<u8>,
    /// Whether a record has just ended, which the reader has to look at before it reads on.
    is_pause_due: bool,
    /// Whether the latest read was put off.
    has_put_off: bool,
    is_handshake_over: bool,
}

impl Records {
    /// Puts off the read that is asked for now, if a record has just ended. Says whether it did.
    pub(super) fn put_off(&mut self) -> bool {
        self.has_put_off = mem::take(&mut self.is_pause_due);
        self.has_put_off
    }

    /// Whether the latest read was put off. Says so once.
    pub(super) fn take_put_off(&mut self) -> bool {
        mem::take(&mut self.has_put_off)
    }

    /// From now on no read is put off.
    pub(super) fn end_handshake(&mut self) {
        self.is_handshake_over = true;
        self.is_pause_due = false;
    }

    /// How many bytes were received and not returned yet.
    pub(super) fn behind(&self) -> usize {
        self.behind.len()
    }

    /// Drops what stands behind the next `bytes`.
    pub(super) fn limit(&mut self, bytes: u64) {
        self.behind.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
    }

    /// Keeps the bytes after the end of the first record. Returns how many bytes come before it.
    pub(super) fn cut_off(&mut self, bytes: &[u8]) -> usize {
        let length = self.ends.take_record(bytes);
        self.behind.extend(bytes.get(length..).unwrap_or_default());
        self.note_end();
        length
    }

    /// Returns what was kept of the last read, up to the end of the next record.
    pub(super) fn read_behind(&mut self, buf: &mut ReadBuf<'_>) {
        let (kept, _) = self.behind.as_slices();
        let kept = kept.get(..buf.remaining()).unwrap_or(kept);
        let length = self.ends.take_record(kept);
        buf.put_slice(kept.get(..length).unwrap_or(kept));
        self.behind.drain(..length);
        if self.behind.is_empty() {
            self.behind = VecDeque::new();
        }
        self.note_end();
    }

    fn note_end(&mut self) {
        self.is_pause_due = !self.is_handshake_over && self.ends.is_between();
    }
}

/// Reads the headers of records, wherever the pieces of the stream are cut.
#[derive(Debug, Default)]
struct RecordEnds {
    /// The header of the record under way, as far as it has come.
    header: [u8; HEADER],
    /// How much of the header has come.
    filled: usize,
    /// Bytes of the body that are still to come.
    owed: usize,
}

impl RecordEnds {
    /// How many of the next `bytes` belong to the record under way: all of them, if it does not end in
    /// them.
    fn take_record(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        let missing = self.header.get_mut(self.filled..).unwrap_or_default();
        let of_header = missing.len().min(bytes.len());
        for (place, byte) in missing.iter_mut().zip(bytes) {
            *place = *byte;
        }
        if of_header > 0 {
            self.filled += of_header;
            if self.filled < HEADER {
                return of_header;
            }
            let [.., high, low] = self.header;
            self.owed = u16::from_be_bytes([high, low]).into();
        }
        let of_body = self.owed.min(bytes.len() - of_header);
        self.owed -= of_body;
        if self.owed == 0 {
            self.filled = 0;
        }
        of_header + of_body
    }

    /// Whether a record has ended and the next one has not begun.
    fn is_between(&self) -> bool {
        self.filled == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_where_they_do_however_the_stream_is_cut() {
        let lengths = [0_u16, 1, 0, 300, 4, 16_384, 0];
        let mut stream = Vec::new();
        let mut ends = Vec::new();
        for length in lengths {
            stream.extend([22, 3, 3]);
            stream.extend(length.to_be_bytes());
            stream.resize(stream.len() + usize::from(length), 0xff);
            ends.push(stream.len());
        }
        for piece in (1..16).chain([300, 310, 4096, stream.len()]) {
            let (mut records, mut at, mut found) = (RecordEnds::default(), 0, Vec::new());
            for mut bytes in stream.chunks(piece) {
                while !bytes.is_empty() {
                    let taken = records.take_record(bytes);
                    assert!(taken > 0);
                    (at, bytes) = (at + taken, &bytes[taken..]);
                    if records.is_between() {
                        found.push(at);
                    }
                }
            }
            assert_eq!(found, ends, "in pieces of {piece}");
        }
    }
}
