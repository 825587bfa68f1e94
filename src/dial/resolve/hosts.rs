//! `/etc/hosts`, read as the C library reads it.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::limits::HOSTS_LIMIT;

/// The length in bytes of the longest DNS name (RFC 1035, section 2.3.4). Longer words in the file
/// cannot match any target.
const LONGEST_NAME: usize = 255;

/// Names and their addresses. A million lines take some tens of MB, so entries refer to shared text.
#[derive(Default)]
pub(super) struct Hosts {
    /// All names in lower case, one after the other.
    text: Vec<u8>,
    /// Sorted by name; entries with the same name keep the order of the file.
    entries: Vec<Entry>,
    addresses: Vec<IpAddr>,
    is_cut: bool,
}

#[derive(Clone, Copy)]
struct Entry {
    start: u32,
    address: u32,
    length: u8,
}

/// The reader's position in a line.
enum At {
    Address(Vec<u8>),
    /// In a name or before the next one: the name so far, and the index of the line's address.
    Name(Vec<u8>, u32),
    /// In a comment, or on a line without a usable address.
    Ignored,
}

impl Hosts {
    /// Reads a file. A missing file counts as empty.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        match File::open(path) {
            Ok(file) => Self::read(BufReader::with_capacity(64 * 1024, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Reads lines of any length, byte by byte. Ignores lines that are not an address with names.
    fn read(mut file: impl BufRead) -> io::Result<Self> {
        let mut hosts = Self::default();
        let mut at = At::Address(Vec::new());
        loop {
            let bytes = file.fill_buf()?;
            if bytes.is_empty() {
                break;
            }
            for byte in bytes {
                at = hosts.step(at, *byte);
            }
            let length = bytes.len();
            file.consume(length);
        }
        hosts.step(at, b'\n');
        hosts.text.shrink_to_fit();
        hosts.addresses.shrink_to_fit();
        hosts.entries.shrink_to_fit();
        let text = &hosts.text;
        hosts.entries.sort_by(|one, other| one.name(text).cmp(other.name(text)));
        Ok(hosts)
    }

    /// Whether the file was too large to be kept whole.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The addresses of a name in lower case, in the order of the file.
    pub(super) fn addresses(&self, name: &[u8]) -> impl Iterator<Item = IpAddr> {
        let of_name = |entry: &Entry| entry.name(&self.text).cmp(name);
        let first = self.entries.partition_point(|entry| of_name(entry) == Ordering::Less);
        let entries = self.entries.iter().skip(first);
        entries
            .take_while(move |entry| of_name(entry) == Ordering::Equal)
            .filter_map(|entry| self.addresses.get(entry.address as usize).copied())
    }

    fn step(&mut self, at: At, byte: u8) -> At {
        match (at, byte) {
            (At::Address(_) | At::Ignored, b'\n') => At::Address(Vec::new()),
            (At::Name(word, address), b'\n') => {
                self.add(&word, address);
                At::Address(Vec::new())
            }
            (At::Ignored, _) => At::Ignored,
            (At::Address(_), b'#' | 0) => At::Ignored,
            // For the C library, a NUL ends the line.
            (At::Name(word, address), b'#' | 0) => {
                self.add(&word, address);
                At::Ignored
            }
            (At::Address(word), byte) if is_blank(byte) => match (word.is_empty(), parse(&word)) {
                (true, _) => At::Address(word),
                (false, Some(address)) => match self.index_of(address) {
                    Some(index) => At::Name(Vec::new(), index),
                    None => At::Ignored,
                },
                (false, None) => At::Ignored,
            },
            (At::Address(mut word), byte) => {
                extend(&mut word, byte);
                At::Address(word)
            }
            (At::Name(mut word, address), byte) if is_blank(byte) => {
                self.add(&word, address);
                word.clear();
                At::Name(word, address)
            }
            (At::Name(mut word, address), byte) => {
                extend(&mut word, byte.to_ascii_lowercase());
                At::Name(word, address)
            }
        }
    }

    /// The index of the address in `addresses`. Consecutive lines often have the same one.
    fn index_of(&mut self, address: IpAddr) -> Option<u32> {
        if self.addresses.last() != Some(&address) {
            if self.bytes() > HOSTS_LIMIT {
                self.is_cut = true;
                return None;
            }
            self.addresses.push(address);
        }
        u32::try_from(self.addresses.len() - 1).ok()
    }

    /// What is kept so far.
    fn bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.entries) + size_of_val(&*self.addresses)
    }

    fn add(&mut self, name: &[u8], address: u32) {
        // Target names are ASCII, so other names cannot match.
        if name.is_empty() || name.len() > LONGEST_NAME || !name.is_ascii() {
            return;
        }
        let (Ok(length), Ok(start)) = (u8::try_from(name.len()), u32::try_from(self.text.len()))
        else {
            return;
        };
        if self.bytes() + name.len() > HOSTS_LIMIT {
            self.is_cut = true;
            return;
        }
        self.text.extend_from_slice(name);
        self.entries.push(Entry { start, address, length });
    }
}

impl Entry {
    fn name(self, text: &[u8]) -> &[u8] {
        let start = self.start as usize;
        text.get(start..start + usize::from(self.length)).unwrap_or_default()
    }
}

/// Appends to a word. One byte more than [`LONGEST_NAME`] is enough to know that it is too long.
fn extend(word: &mut Vec<u8>, byte: u8) {
    if word.len() <= LONGEST_NAME {
        word.push(byte);
    }
}

/// Whether the C library treats the byte as a separator within a line (`isspace` without newline).
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// Parses an address as `inet_pton` does. An IPv4-mapped address becomes its IPv4 address.
fn parse(word: &[u8]) -> Option<IpAddr> {
    let word = str::from_utf8(word).ok()?;
    let v4 = word.parse::<Ipv4Addr>().map(IpAddr::V4);
    let address = v4.or_else(|_error| word.parse::<Ipv6Addr>().map(IpAddr::V6));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(file: &[u8], name: &str) -> Vec<String> {
        let hosts = Hosts::read(file).unwrap();
        hosts.addresses(name.as_bytes()).map(|address| address.to_string()).collect()
    }

    #[test]
    fn several_lines_of_one_name_are_merged_in_order() {
        let file =
            b"192.0.2.2 two one\n192.0.2.1 one\n192.0.2.3\tTHREE\tOne # four\n2001:db8::1 one";
        assert_eq!(addresses(file, "one"), ["192.0.2.2", "192.0.2.1", "192.0.2.3", "2001:db8::1"]);
        assert_eq!(addresses(file, "three"), ["192.0.2.3"]);
        assert_eq!(addresses(file, "four"), [""; 0]);
    }

    #[test]
    fn an_odd_byte_costs_its_word_alone() {
        let file = b"# caf\xe9\n192.0.2.1 caf\xe9 one\n192.0.2.2 two#three\n192.0.2.3 x\0 four\n";
        assert_eq!(addresses(file, "one"), ["192.0.2.1"]);
        assert_eq!(addresses(file, "two"), ["192.0.2.2"]);
        assert_eq!(addresses(file, "x"), ["192.0.2.3"]);
        assert_eq!(addresses(file, "four"), [""; 0]);
    }

    #[test]
    fn words_that_are_too_long_are_passed_over() {
        let (name, long) = ("n".repeat(LONGEST_NAME), "n".repeat(LONGEST_NAME + 1));
        let file = format!("192.0.2.1 {long} {name} one\n{long} two\n192.0.2.2 two");
        assert_eq!(addresses(file.as_bytes(), &name), ["192.0.2.1"]);
        assert_eq!(addresses(file.as_bytes(), &long), [""; 0]);
        assert_eq!(addresses(file.as_bytes(), "one"), ["192.0.2.1"]);
        assert_eq!(addresses(file.as_bytes(), "two"), ["192.0.2.2"]);
    }
}
