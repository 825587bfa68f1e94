//! JARM, the fingerprint of a server by its answers to ten hellos.
//!
//! Defined by the program of its authors (<https://github.com/salesforce/jarm>, BSD-3-Clause), which
//! this follows byte for byte, oddities included: two ALPN names are one entry of the list, so they
//! keep their order when the list is reversed; one hello is called "middle out" and is not; and only
//! the bytes of the first read count, so an alert of the level `warning` before the ServerHello is an
//! answer without one. Where the original would fail on an answer (a comma in the ALPN name, a
//! version that is none), the hello counts as unanswered.

use data_encoding::HEXLOWER;
use fastrand::Rng;
use sha2::{Digest as _, Sha256};

use crate::names::Version;
use crate::names::content_type::HANDSHAKE;
use crate::tls::legacy::{client_hello, extension, prefixed, put_all, put_server_name, put16};

/// How many hellos a fingerprint takes.
pub const HELLOS: usize = 10;

/// The fingerprint of a server that answers none of them with a ServerHello.
pub const NONE: &str = "00000000000000000000000000000000000000000000000000000000000000";

/// What one of the hellos offers.
struct Offer {
    version: Version,
    has_tls13_suites: bool,
    suites: Order,
    has_grease: bool,
    has_rare_alpn: bool,
    /// The highest of the versions that are listed; a hello up to TLS 1.2 need not list any.
    listed: Option<Version>,
    /// The order of ALPN names and listed versions.
    lists: Order,
}

/// The order of a list, by the names of the original.
#[derive(Clone, Copy)]
enum Order {
    Forward,
    Reverse,
    /// The upper half backwards, the one in the middle first.
    TopHalf,
    BottomHalf,
    /// From the middle outward, the lower neighbour first.
    MiddleOut,
}

impl Offer {
    const fn new(version: Version, suites: Order, lists: Order) -> Self {
        let listed = if version.0 == Version::TLS_1_3.0 { Some(version) } else { None };
        Self {
            version,
            has_tls13_suites: true,
            suites,
            has_grease: false,
            has_rare_alpn: false,
            listed,
            lists,
        }
    }

    const fn listing(self, listed: Version) -> Self {
        Self { listed: Some(listed), ..self }
    }

    const fn with_rare_alpn(self) -> Self {
        Self { has_rare_alpn: true, ..self }
    }

    const fn with_grease(self) -> Self {
        Self { has_grease: true, ..self }
    }

    const fn without_tls13_suites(self) -> Self {
        Self { has_tls13_suites: false, ..self }
    }
}

/// The hellos, in the order in which the fingerprint has them.
const OFFERS: [Offer; HELLOS] = [
    Offer::new(Version::TLS_1_2, Order::Forward, Order::Reverse).listing(Version::TLS_1_2),
    Offer::new(Version::TLS_1_2, Order::Reverse, Order::Forward).listing(Version::TLS_1_2),
    Offer::new(Version::TLS_1_2, Order::TopHalf, Order::Forward),
    Offer::new(Version::TLS_1_2, Order::BottomHalf, Order::Forward).with_rare_alpn(),
    Offer::new(Version::TLS_1_2, Order::MiddleOut, Order::Reverse).with_rare_alpn().with_grease(),
    Offer::new(Version::TLS_1_1, Order::Forward, Order::Forward),
    Offer::new(Version::TLS_1_3, Order::Forward, Order::Reverse),
    Offer::new(Version::TLS_1_3, Order::Reverse, Order::Forward),
    Offer::new(Version::TLS_1_3, Order::Forward, Order::Forward).without_tls13_suites(),
    Offer::new(Version::TLS_1_3, Order::MiddleOut, Order::Reverse).with_grease(),
];

#[rustfmt::skip]
const SUITES: [u16; 69] = [
    0x0016, 0x0033, 0x0067, 0xc09e, 0xc0a2, 0x009e, 0x0039, 0x006b, 0xc09f, 0xc0a3, 0x009f, 0x0045,
    0x00be, 0x0088, 0x00c4, 0x009a, 0xc008, 0xc009, 0xc023, 0xc0ac, 0xc0ae, 0xc02b, 0xc00a, 0xc024,
    0xc0ad, 0xc0af, 0xc02c, 0xc072, 0xc073, 0xcca9, 0x1302, 0x1301, 0xcc14, 0xc007, 0xc012, 0xc013,
    0xc027, 0xc02f, 0xc014, 0xc028, 0xc030, 0xc060, 0xc061, 0xc076, 0xc077, 0xcca8, 0x1305, 0x1304,
    0x1303, 0xcc13, 0xc011, 0x000a, 0x002f, 0x003c, 0xc09c, 0xc0a0, 0x009c, 0x0035, 0x003d, 0xc09d,
    0xc0a1, 0x009d, 0x0041, 0x00ba, 0x0084, 0x00c0, 0x0007, 0x0004, 0x0005,
];

/// ALPN names, each with its length before it. `spdy/3` and `h2` are one entry, as in the original.
const ALPN: [&[u8]; 8] = [
    b"\x08http/0.9",
    b"\x08http/1.0",
    b"\x08http/1.1",
    b"\x06spdy/1",
    b"\x06spdy/2",
    b"\x06spdy/3\x02h2",
    b"\x03h2c",
    b"\x02hq",
];

const RARE_ALPN: [&[u8]; 7] = [
    b"\x08http/0.9",
    b"\x08http/1.0",
    b"\x06spdy/1",
    b"\x06spdy/2",
    b"\x06spdy/3",
    b"\x03h2c",
    b"\x02hq",
];

const GROUPS: [u16; 4] = [29, 23, 24, 25];

const SIGNATURE_SCHEMES: [u16; 9] =
    [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201];

/// The hello with this number, from 0, in its record. `host` is the name or the address that was
/// asked for: the original sends addresses as server names, too. `None`: there are only ten.
pub fn hello(number: usize, host: &str, rng: &mut Rng) -> Option<Vec<u8>> {
    let offer = OFFERS.get(number)?;
    let version = if offer.version == Version::TLS_1_3 { Version::TLS_1_0 } else { offer.version };
    Some(client_hello(version, |body| offer.encode(host, rng, body)))
}

impl Offer {
    fn encode(&self, host: &str, rng: &mut Rng, body: &mut Vec<u8>) {
        put16(body, self.version.min(Version::TLS_1_2).0);
        body.extend(random(rng));
        prefixed::<1>(body, |session_id| session_id.extend(random(rng)));
        prefixed::<2>(body, |list| {
            if self.has_grease {
                put16(list, grease(rng));
            }
            put_all(list, self.suites());
        });
        // One compression method, which is none.
        body.extend([1, 0]);
        prefixed::<2>(body, |all| self.encode_extensions(host, rng, all));
    }

    fn suites(&self) -> Vec<u16> {
        let offered = |suite: &u16| self.has_tls13_suites || suite >> 8 != 0x13;
        self.suites.of(SUITES.into_iter().filter(offered).collect())
    }

    fn encode_extensions(&self, host: &str, rng: &mut Rng, all: &mut Vec<u8>) {
        if self.has_grease {
            extension(all, grease(rng), |_| {});
        }
        put_server_name(all, host);
        extension(all, 23, |_| {});
        // max_fragment_length: 512 bytes
        extension(all, 1, |body| body.push(1));
        extension(all, 0xff01, |body| body.push(0));
        extension(all, 10, |body| prefixed::<2>(body, |list| put_all(list, GROUPS)));
        extension(all, 11, |body| body.extend([1, 0]));
        extension(all, 35, |_| {});
        extension(all, 16, |body| {
            let names = if self.has_rare_alpn { RARE_ALPN.to_vec() } else { ALPN.to_vec() };
            prefixed::<2>(body, |list| list.extend(self.lists.of(names).concat()));
        });
        extension(all, 13, |body| prefixed::<2>(body, |list| put_all(list, SIGNATURE_SCHEMES)));
        extension(all, 51, |body| {
            prefixed::<2>(body, |shares| {
                if self.has_grease {
                    put16(shares, grease(rng));
                    shares.extend([0, 1, 0]);
                }
                put16(shares, 29);
                prefixed::<2>(shares, |key| key.extend(random(rng)));
            });
        });
        extension(all, 45, |body| body.extend([1, 1]));
        if let Some(highest) = self.listed {
            extension(all, 43, |body| {
                prefixed::<1>(body, |list| {
                    if self.has_grease {
                        put16(list, grease(rng));
                    }
                    put_all(list, self.lists.of((Version::TLS_1_0.0..=highest.0).collect()));
                });
            });
        }
    }
}

impl Order {
    fn of<T: Clone>(self, list: Vec<T>) -> Vec<T> {
        let middle = list.len() / 2;
        let is_odd = list.len() % 2 == 1;
        let (below, above) = list.split_at_checked(middle).unwrap_or((&list, &[]));
        // The one in the middle, if there is one, stands first of those above.
        let (center, above) = above.split_at_checked(usize::from(is_odd)).unwrap_or_default();
        let below_backwards = below.iter().rev();
        match self {
            Self::Forward => list,
            Self::Reverse => list.into_iter().rev().collect(),
            Self::TopHalf => center.iter().chain(below_backwards).cloned().collect(),
            Self::BottomHalf => above.to_vec(),
            Self::MiddleOut => {
                let outward = above.iter().zip(below_backwards).flat_map(|(a, b)| [a, b]);
                center.iter().chain(outward).cloned().collect()
            }
        }
    }
}

fn random(rng: &mut Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    bytes
}

/// One of the reserved values of RFC 8701.
fn grease(rng: &mut Rng) -> u16 {
    0x0a0a + 0x1010 * rng.u16(0..16)
}

/// What the fingerprint takes from the answer to one hello.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The place of the suite in the sorted list, from 1; 0 when there is none.
    suite: usize,
    version: char,
    alpn: String,
    extensions: String,
}

impl Answer {
    /// Reads the bytes of the first read; `None` when they hold no ServerHello.
    pub fn read(data: &[u8]) -> Option<Self> {
        if *data.first()? != HANDSHAKE || *data.get(5)? != SERVER_HELLO {
            return None;
        }
        let session_id = usize::from(*data.get(43)?);
        let version = data.get(10)? & 0xf;
        let (alpn, extensions) = extensions(data, session_id)?;
        Some(Self {
            suite: place_of(cut(data, session_id + 44, 2)),
            version: *['a', 'b', 'c', 'd', 'e', 'f'].get(usize::from(version))?,
            alpn,
            extensions,
        })
    }
}

/// The fingerprint of these answers.
pub fn fingerprint(answers: &[Option<Answer>; HELLOS]) -> String {
    if answers.iter().all(Option::is_none) {
        return NONE.to_owned();
    }
    let mut text = String::new();
    let mut hash = Sha256::new();
    for answer in answers {
        match answer {
            Some(Answer { suite, version, alpn, extensions }) => {
                text.push_str(&format!("{suite:02x}{version}"));
                hash.update(alpn);
                hash.update(extensions);
            }
            None => text.push_str("000"),
        }
    }
    let hash = HEXLOWER.encode(&hash.finalize());
    text.extend(hash.chars().take(32));
    text
}

/// Those bytes that there are of `length` at a place.
fn cut(data: &[u8], place: usize, length: usize) -> &[u8] {
    let behind = data.get(place..).unwrap_or_default();
    behind.get(..length).unwrap_or(behind)
}

/// The number that bytes spell; `None` when there are no bytes.
fn number(bytes: &[u8]) -> Option<usize> {
    (!bytes.is_empty()).then(|| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

/// The ALPN name and the numbers of the extensions; `None` where the original fails.
fn extensions(data: &[u8], session_id: usize) -> Option<(String, String)> {
    const CERTIFICATE: u8 = 11;
    let length_place = session_id + 47;
    let has_none = match data.get(length_place) {
        None => true,
        // There are no extensions, and a Certificate follows.
        Some(first) => {
            *first == CERTIFICATE
                || cut(data, session_id + 50, 3) == [0x0e, 0xac, 0x0b]
                || cut(data, 82, 3) == [0x0f, 0xf0, 0x0b]
        }
    };
    if has_none {
        return Some(Default::default());
    }
    let mut place = session_id + 49;
    let end = number(cut(data, length_place, 2))? + place - 1;
    let (mut alpn, mut numbers) = (None, Vec::new());
    while place < end {
        let kind = cut(data, place, 2);
        let length = number(cut(data, place + 2, 2))?;
        numbers.push(HEXLOWER.encode(kind));
        if alpn.is_none() && kind == [0, 16] {
            let name = cut(data, place + 4, length).get(3..).unwrap_or_default();
            let name = str::from_utf8(name).ok().filter(|name| !name.contains([',', '|']));
            alpn = Some(name.filter(|_| length > 0)?.to_owned());
        }
        place += 4 + length;
    }
    Some((alpn.unwrap_or_default(), numbers.join("-")))
}

/// The place of a suite among all that are offered, from 1, those of TLS 1.3 last.
fn place_of(suite: &[u8]) -> usize {
    const BEHIND_ALL: usize = SUITES.len() + 1;
    let key = |suite: u16| (suite >> 8 == 0x13, suite);
    match suite {
        [] => 0,
        [high, low] => {
            let chosen = u16::from_be_bytes([*high, *low]);
            let before = SUITES.iter().filter(|suite| key(**suite) < key(chosen)).count();
            if SUITES.contains(&chosen) { before + 1 } else { BEHIND_ALL }
        }
        _ => BEHIND_ALL,
    }
}

const SERVER_HELLO: u8 = 2;

#[cfg(test)]
mod tests;
