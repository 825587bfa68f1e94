//! The only question about QUIC that needs no cryptography: which versions a server speaks.
//!
//! A client that proposes a version of the form `0x?a?a?a?a`, which is reserved so that nobody will
//! ever speak it, is answered with a Version Negotiation packet (RFC 9000, sections 6 and 15). What is
//! read of the answer is the same in all versions of QUIC (RFC 8999).

use std::borrow::Cow;

use crate::bytes::Reader;
use crate::limits::QUIC_VERSIONS_LIMIT;

/// Bytes of a client's first datagram: a server may ignore a smaller one (RFC 9000, section 14.1).
pub const DATAGRAM: usize = 1200;

/// Bytes of each connection ID.
const ID: usize = 8;

/// The question. A datagram is an answer to it only if it repeats both connection IDs, which nobody
/// can know who has not seen it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VersionProbe {
    destination: [u8; ID],
    source: [u8; ID],
    version: u32,
}

impl VersionProbe {
    /// A question with connection IDs and a reserved version from these random bytes.
    pub fn new(random: [u8; 2 * ID + 4]) -> Self {
        let mut reader = Reader::new(&random);
        // The array is as long as what is read.
        let mut id = || reader.array().unwrap_or_default();
        let (destination, source) = (id(), id());
        let version = reader.array().map_or(0, u32::from_be_bytes) & 0xf0f0_f0f0 | 0x0a0a_0a0a;
        Self { destination, source, version }
    }

    /// A padded Initial packet.
    pub fn datagram(&self) -> Vec<u8> {
        // Long header, the bit that is always set, and the type of an Initial packet.
        let mut datagram = vec![0xc0];
        datagram.extend(self.version.to_be_bytes());
        for id in [&self.destination, &self.source] {
            datagram.push(ID as u8);
            datagram.extend(id);
        }
        // What follows belongs to the version that nobody speaks.
        datagram.resize(DATAGRAM, 0);
        datagram
    }

    /// The versions in an answer, at most [`QUIC_VERSIONS_LIMIT`], without the reserved ones that
    /// servers mix in. `None`: it is no answer to this question.
    pub fn versions(&self, datagram: &[u8]) -> Option<Vec<u32>> {
        const LONG_HEADER: u8 = 0x80;
        let mut reader = Reader::new(datagram);
        let is_long = reader.u8()? & LONG_HEADER != 0;
        let is_negotiation = reader.array()? == [0; 4];
        // Each side's source is the other's destination.
        let is_ours = reader.vector8()? == self.source && reader.vector8()? == self.destination;
        if !(is_long && is_negotiation && is_ours) || reader.is_empty() {
            return None;
        }
        let mut versions = Vec::new();
        while !reader.is_empty() {
            let version = u32::from_be_bytes(reader.array()?);
            if !is_reserved(version) && !versions.contains(&version) {
                versions.push(version);
            }
            if versions.len() == QUIC_VERSIONS_LIMIT {
                break;
            }
        }
        Some(versions)
    }
}

/// The name of a version: `v1`, `v2`, `draft-29`, or else its number.
pub fn version(number: u32) -> Cow<'static, str> {
    match number {
        0x0000_0001 => Cow::Borrowed("v1"),
        0x6b33_43cf => Cow::Borrowed("v2"),
        0xff00_0000..=0xff00_00ff => Cow::Owned(format!("draft-{}", number & 0xff)),
        _ => Cow::Owned(format!("{number:#010x}")),
    }
}

fn is_reserved(version: u32) -> bool {
    version & 0x0f0f_0f0f == 0x0a0a_0a0a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe() -> VersionProbe {
        VersionProbe::new(std::array::from_fn(|place| place as u8))
    }

    /// An answer to a question with these versions.
    fn answer(probe: &VersionProbe, versions: &[u32]) -> Vec<u8> {
        let mut answer = vec![0x80, 0, 0, 0, 0, 8];
        answer.extend(probe.source);
        answer.push(8);
        answer.extend(probe.destination);
        versions.iter().for_each(|version| answer.extend(version.to_be_bytes()));
        answer
    }

    #[test]
    fn a_question_is_a_padded_datagram_with_a_reserved_version() {
        let datagram = probe().datagram();
        assert_eq!(datagram.len(), 1200);
        assert_eq!(datagram[..7], [0xc0, 0x1a, 0x1a, 0x1a, 0x1a, 8, 0]);
        assert!(is_reserved(0x1a1a_1a1a) && !is_reserved(1) && !is_reserved(0x6b33_43cf));
    }

    #[test]
    fn the_versions_of_an_answer_are_read() {
        let probe = probe();
        let read = |versions: &[u32]| probe.versions(&answer(&probe, versions));
        assert_eq!(read(&[1, 0x6b33_43cf]), Some(vec![1, 0x6b33_43cf]));
        assert_eq!(read(&[0x3a4a_5a6a, 1, 1]), Some(vec![1]));
        assert_eq!(read(&[0x3a4a_5a6a]), Some(vec![]));
        assert_eq!(read(&[]), None);
        let many: Vec<u32> = (1..1000).collect();
        assert_eq!(read(&many).unwrap().len(), QUIC_VERSIONS_LIMIT);
        let words: Vec<_> = [1, 0x6b33_43cf, 0xff00_001d, 0x5130_3530].map(version).into();
        assert_eq!(words, ["v1", "v2", "draft-29", "0x51303530"]);
    }

    #[test]
    fn whatever_is_no_answer_is_none() {
        let probe = probe();
        const HEADER: usize = 1 + 4 + 2 * (1 + ID);
        let good = answer(&probe, &[1, 0x6b33_43cf]);
        for length in 0..good.len() {
            let is_whole = length > HEADER && (length - HEADER).is_multiple_of(4);
            assert_eq!(probe.versions(&good[..length]).is_some(), is_whole, "{length}");
        }
        // A version of its own, the short header, or another connection ID.
        for (place, byte) in [(0, 0x7f), (1, 1), (5, 7), (6, 0xff), (14, 20), (15, 0xff)] {
            let mut bad = good.clone();
            bad[place] = byte;
            assert_eq!(probe.versions(&bad), None, "{place}");
        }
        assert_eq!(probe.versions(&probe.datagram()), None);
        assert_eq!(probe.versions(&[0xff; 1500]), None);
    }
}
