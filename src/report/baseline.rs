//! What an earlier sweep found, held in memory so that every record can be compared with it.
//!
//! An entry takes 113 bytes, and up to 80 more for the text of its issuer. Texts that many targets have
//! in common are kept once.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::escape::cut;
use crate::limits::{BASELINE_SHARED_TEXTS, BASELINE_TEXT_LIMIT};
use crate::report::changed::{Changed, Field};
use crate::report::record::Record;
use crate::report::replay::{Next, Records, ReplayError};

/// The records of an earlier sweep, as far as they are compared.
///
/// A target is the same when host, port and server name are, however its line is spelled and wherever it
/// stands. Of a target that was swept several times, the last time counts.
#[derive(Debug)]
pub struct Baseline {
    /// By key.
    entries: Vec<Entry>,
    /// For each entry, whether its target was met again: the first entry of a key speaks for all.
    met: Vec<AtomicBool>,
    targets: u64,
    targets_met: AtomicU64,
    texts: Texts,
    hasher: RandomState,
}

/// What is kept of a record.
#[derive(Debug)]
struct Entry {
    /// Of host, port and server name.
    key: u64,
    /// Of the whole issuer, of which only the beginning may be kept.
    issuer_hash: u64,
    /// Of the address that was dialled.
    address: u32,
    /// The number of the target in the earlier sweep.
    sequence: u32,
    result: Option<Text>,
    version: Option<Text>,
    group: Option<Text>,
    issuer: Option<Text>,
    verdict: Option<Text>,
    sha256: Option<[u8; 32]>,
    spki_sha256: Option<[u8; 32]>,
}

/// An entry, whether it was met, and the text of an issuer that no other target has, behind its length.
const ENTRY_AT_MOST: usize = size_of::<Entry>() + size_of::<AtomicBool>() + 1 + BASELINE_TEXT_LIMIT;
const _: () = assert!(ENTRY_AT_MOST == 113 + 80, "src/manual/files.md says otherwise");

impl Baseline {
    /// Reads all of `records`. `torn` hears of files that end in the middle of a record.
    ///
    /// # Errors
    /// The first file that cannot be read, or has something else than records in it.
    pub fn read(records: &mut Records, mut torn: impl FnMut(&str)) -> Result<Self, ReplayError> {
        let hasher = RandomState::new();
        let (mut entries, mut texts) = (Vec::new(), Texts::default());
        let mut sequence = 0;
        loop {
            match records.read_next()? {
                Next::Target(of_target) => {
                    sequence += 1;
                    let made = of_target
                        .iter()
                        .filter_map(|r| Entry::of(r, sequence, &hasher, &mut texts));
                    entries.extend(made);
                }
                Next::Torn(file) => torn(&file),
                Next::End => break,
            }
        }
        entries.sort_unstable_by_key(|entry| (entry.key, Reverse(entry.sequence)));
        let (mut last, mut targets) = (None, 0);
        entries.retain(|entry| {
            let is_other = last.is_none_or(|(key, _)| key != entry.key);
            if is_other {
                last = Some((entry.key, entry.sequence));
                targets += 1;
            }
            last == Some((entry.key, entry.sequence))
        });
        entries.shrink_to_fit();
        texts.close();
        let met = entries.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self { entries, met, targets, targets_met: AtomicU64::new(0), texts, hasher })
    }

    /// How many targets of the earlier sweep were not met again.
    pub fn missing(&self) -> u64 {
        self.targets.saturating_sub(self.targets_met.load(Ordering::Relaxed))
    }

    /// What has changed about the target of `record`. Nothing when there is nothing to compare: the line is
    /// no target, or our own machine failed.
    pub fn compare(&self, record: &Record) -> Option<Changed> {
        let key = key(record, &self.hasher)?;
        let first = self.entries.partition_point(|entry| entry.key < key);
        let of_target = self.entries.get(first..).unwrap_or_default();
        let of_target = of_target.get(..of_target.partition_point(|entry| entry.key == key))?;
        let Some(mut earlier) = of_target.first() else { return Some(Changed::new_target()) };
        if self.met.get(first).is_some_and(|met| !met.swap(true, Ordering::Relaxed)) {
            self.targets_met.fetch_add(1, Ordering::Relaxed);
        }
        if record.is_local_failure() {
            return None;
        }
        let address = address(record, &self.hasher);
        earlier = of_target.iter().find(|entry| entry.address == address).unwrap_or(earlier);
        Some(Changed::of(Field::ALL.into_iter().filter_map(|field| {
            let now = observed(record, field)?;
            let earlier = earlier.value(field, &self.texts)?;
            (!earlier.is(&now, &self.hasher)).then(|| (field, earlier.shown()))
        })))
    }
}

impl Entry {
    /// Nothing when the record is of a line that is no target.
    fn of(record: &Record, sequence: u32, hasher: &RandomState, texts: &mut Texts) -> Option<Self> {
        let key = key(record, hasher)?;
        let mut text = |field| texts.add(&observed(record, field)?, hasher);
        let digest = |field| {
            let digest = observed(record, field)?;
            HEXLOWER_PERMISSIVE.decode(digest.as_bytes()).ok()?.try_into().ok()
        };
        Some(Self {
            key,
            address: address(record, hasher),
            issuer_hash: hasher
                .hash_one(observed(record, Field::Issuer).as_deref().unwrap_or_default()),
            sequence,
            result: text(Field::Result),
            version: text(Field::Version),
            group: text(Field::Group),
            issuer: text(Field::Issuer),
            verdict: text(Field::Verdict),
            sha256: digest(Field::Sha256),
            spki_sha256: digest(Field::SpkiSha256),
        })
    }

    /// What the earlier sweep observed of a field.
    fn value<'a>(&self, field: Field, texts: &'a Texts) -> Option<Earlier<'a>> {
        let text = |text: Option<Text>| text.map(|text| Earlier::Text(texts.of(text)));
        let issuer = |text| Earlier::Cut { text: texts.of(text), hash: self.issuer_hash };
        match field {
            Field::Result => text(self.result),
            Field::Version => text(self.version),
            Field::Group => text(self.group),
            Field::Sha256 => self.sha256.map(Earlier::Digest),
            Field::SpkiSha256 => self.spki_sha256.map(Earlier::Digest),
            Field::Issuer => self.issuer.map(issuer),
            Field::Verdict => text(self.verdict),
        }
    }
}

/// What an earlier sweep observed of a field.
enum Earlier<'a> {
    Text(&'a str),
    /// A text, which may have been cut, and the hash of the whole text.
    Cut {
        text: &'a str,
        hash: u64,
    },
    Digest([u8; 32]),
}

impl Earlier<'_> {
    fn is(&self, now: &str, hasher: &RandomState) -> bool {
        match self {
            Self::Text(text) => *text == now,
            Self::Cut { text, hash } => *text == now || *hash == hasher.hash_one(now),
            Self::Digest(digest) => HEXLOWER.encode(digest) == now,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::Cut { text, .. } => (*text).to_owned(),
            Self::Digest(digest) => HEXLOWER.encode(digest),
        }
    }
}

/// Identifies a target in two sweeps: 64 bits of a hash with a key of this process. Among ten
/// million targets, two have the same hash once in 300,000 runs.
fn key(record: &Record, hasher: &RandomState) -> Option<u64> {
    #[derive(Hash)]
    struct Key<'a> {
        host: Host<'a>,
        port: Option<u16>,
        name: Option<String>,
    }
    #[derive(Hash)]
    enum Host<'a> {
        Address(IpAddr),
        Name(&'a str),
    }
    let host = record.host.as_deref()?.trim_end_matches('.');
    let host = host.parse().map_or(Host::Name(host), Host::Address);
    let name = record.sni.as_ref().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    Some(hasher.hash_one(Key { host, port: record.port, name }))
}

/// A hash of the address that was dialled. A target has few addresses, so 32 bits are enough.
fn address(record: &Record, hasher: &RandomState) -> u32 {
    hasher.hash_one(record.addr) as u32
}

/// The value of a field in a record; `None` when it was not observed.
fn observed(record: &Record, field: Field) -> Option<Cow<'_, str>> {
    let (tls, cert) = (record.tls.as_deref(), record.cert.as_deref());
    let observed = match field {
        Field::Result if record.is_local_failure() => return None,
        Field::Result => return Some(Cow::Owned(record.result())),
        Field::Version => tls?.version.as_deref(),
        Field::Group => tls?.group.as_deref(),
        Field::Sha256 => cert?.sha256.as_deref(),
        Field::SpkiSha256 => cert?.spki_sha256.as_deref(),
        Field::Issuer => cert?.issuer.as_deref(),
        Field::Verdict => Some(record.trust.as_deref()?.verdict.as_str()),
    };
    observed.map(Cow::Borrowed)
}

/// Where in [`Texts`] a text stands, plus one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Text(NonZero<u32>);

/// Texts one behind the other, each behind a byte that is its length.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    /// The places of texts by their hashes. Only the first ones are looked for, so that it stays small.
    known: HashMap<u64, Text>,
}

impl Texts {
    /// Nothing once there are 4 GiB of them.
    fn add(&mut self, text: &str, hasher: &RandomState) -> Option<Text> {
        let hash = hasher.hash_one(text);
        if let Some(known) = self.known.get(&hash) {
            return Some(*known);
        }
        let kept = cut(text.to_owned(), BASELINE_TEXT_LIMIT);
        let place = Text(NonZero::new(u32::try_from(self.bytes.len() + 1).ok()?)?);
        self.bytes.push(u8::try_from(kept.len()).ok()?);
        self.bytes.extend_from_slice(kept.as_bytes());
        if self.known.len() < BASELINE_SHARED_TEXTS {
            self.known.insert(hash, place);
        }
        Some(place)
    }

    fn of(&self, Text(place): Text) -> &str {
        let rest = usize::try_from(place.get()).ok().and_then(|place| self.bytes.get(place - 1..));
        let Some((length, rest)) = rest.and_then(<[u8]>::split_first) else { return "" };
        str::from_utf8(rest.get(..usize::from(*length)).unwrap_or_default()).unwrap_or_default()
    }

    /// Gives back what only adding needs.
    fn close(&mut self) {
        self.known = HashMap::new();
        self.bytes.shrink_to_fit();
    }
}
