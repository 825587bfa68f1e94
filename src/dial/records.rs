//! Finds where TLS records end in a stream of bytes.

/// Bytes of a record's header: its type, its version, its length.
const HEADER: usize = 5;

/// Reads the headers of records, wherever the pieces of the stream are cut.
#[derive(Debug, Default)]
pub(super) struct RecordEnds {
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
    pub(super) fn take_record(&mut self, bytes: &[u8]) -> usize {
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
    pub(super) fn is_between(&self) -> bool {
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
