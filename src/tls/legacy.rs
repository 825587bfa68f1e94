//! ClientHellos for versions and suites that rustls does not support.
//!
//! They offer more than tlsweep can do. The server's answer is read, and the handshake is never
//! completed.

use std::borrow::Cow;

use crate::names::content_type::HANDSHAKE;
use crate::names::{Group, Suite, Version};
use crate::tls::schemes::Signer;

/// What a ClientHello offers. Its extensions follow from its version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientHello {
    /// The highest version; for TLS 1.3 the only one.
    pub version: Version,
    /// The cipher suites, best first.
    pub suites: Cow<'static, [Suite]>,
    /// The key exchange groups, best first.
    pub groups: Cow<'static, [Group]>,
    /// The compression methods, best first.
    pub compressions: &'static [u8],
    /// The signature schemes, best first.
    pub schemes: Cow<'static, [u16]>,
}

/// No compression.
pub const NULL_COMPRESSION: u8 = 0;
/// The compression that CRIME is about.
pub const DEFLATE: u8 = 1;

/// TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746): announces secure renegotiation without an
/// extension.
const EMPTY_RENEGOTIATION_INFO_SCSV: Suite = Suite(0x00ff);

impl ClientHello {
    /// The suites that servers up to TLS 1.2 commonly have.
    pub fn common() -> Self {
        Self::up_to_tls12(SUITES)
    }

    /// Every other suite up to TLS 1.2: one hello cannot hold all of them.
    pub fn rare() -> Self {
        Self::up_to_tls12(rare_suites())
    }

    /// The suites of TLS 1.2 whose key exchange is signed, with these signature schemes. Suites for keys
    /// that sign with none of them are left out: some servers choose the suite first, and then refuse
    /// although another certificate of theirs would do.
    pub fn signed_with(schemes: Vec<u16>) -> Self {
        let signed = || SUITES.iter().copied().filter(|suite| suite.signs_exchange());
        let has = |signer| schemes.iter().any(|scheme| Signer::of_scheme(*scheme) == signer);
        let mut suites: Vec<_> = signed()
            .filter(|suite| {
                let name = suite.name();
                suite.is_ecdsa() && has(Signer::Curve)
                    || name.contains("_RSA_") && has(Signer::Rsa)
                    || name.contains("_DSS_") && has(Signer::Dsa)
            })
            .collect();
        if suites.is_empty() {
            suites = signed().collect();
        }
        Self { schemes: schemes.into(), ..Self::up_to_tls12(suites) }
    }

    fn up_to_tls12(suites: impl Into<Cow<'static, [Suite]>>) -> Self {
        Self {
            version: Version::TLS_1_2,
            suites: suites.into(),
            groups: GROUPS.into(),
            compressions: &[NULL_COMPRESSION],
            schemes: SIGNATURE_SCHEMES.into(),
        }
    }

    /// The offer for servers that fail on extensions or on TLS.
    pub fn ssl3() -> Self {
        Self {
            version: Version::SSL_3_0,
            suites: SSL3_SUITES.into(),
            groups: Cow::default(),
            compressions: &[NULL_COMPRESSION],
            schemes: SIGNATURE_SCHEMES.into(),
        }
    }

    /// The widest offer of TLS 1.3 without a key share: the server names the group that it wants.
    pub fn tls13() -> Self {
        Self {
            version: Version::TLS_1_3,
            suites: TLS13_SUITES.into(),
            groups: TLS13_GROUPS.into(),
            compressions: &[NULL_COMPRESSION],
            schemes: SIGNATURE_SCHEMES.into(),
        }
    }

    /// The hello in its record. `server_name` is the name that the server is to answer for, never an
    /// address; SSL 3.0 has no room for it.
    pub fn encode(&self, server_name: Option<&str>, random: &[u8; 32]) -> Vec<u8> {
        // Old servers refuse a first record with a newer version.
        client_hello(self.version.min(Version::TLS_1_0), |hello| {
            self.encode_body(server_name, random, hello);
        })
    }

    /// The hello without a record, to be sent inside a session that it is to renew. At its end is room
    /// for the verify_data of that session (RFC 5746, section 3.5).
    pub fn encode_within(&self, server_name: Option<&str>, random: &[u8; 32]) -> Vec<u8> {
        let mut message = vec![CLIENT_HELLO];
        prefixed::<3>(&mut message, |hello| {
            self.encode_offer(random, hello);
            let mut extensions = self.extensions(server_name, None);
            extension(&mut extensions, RENEGOTIATION_INFO, |body| {
                prefixed::<1>(body, |data| data.resize(VERIFY_DATA, 0));
            });
            prefixed::<2>(hello, |body| body.extend(extensions));
        });
        message
    }

    fn encode_body(&self, server_name: Option<&str>, random: &[u8; 32], hello: &mut Vec<u8>) {
        self.encode_offer(random, hello);
        if self.version > Version::SSL_3_0 {
            let mut extensions = self.extensions(server_name, Some(FIRST_HANDSHAKE));
            pad(hello.len(), &mut extensions);
            prefixed::<2>(hello, |body| body.extend(extensions));
        }
    }

    /// Everything before the extensions.
    fn encode_offer(&self, random: &[u8; 32], hello: &mut Vec<u8>) {
        put16(hello, self.version.min(Version::TLS_1_2).0);
        hello.extend(random);
        prefixed::<1>(hello, |session_id| {
            // Middleboxes let TLS 1.3 pass when it looks like a resumption of TLS 1.2.
            if self.version == Version::TLS_1_3 {
                session_id.extend(random);
            }
        });
        prefixed::<2>(hello, |suites| {
            put_all(suites, self.suites.iter().map(|suite| suite.0));
            if self.version == Version::SSL_3_0 {
                put16(suites, EMPTY_RENEGOTIATION_INFO_SCSV.0);
            }
        });
        prefixed::<1>(hello, |methods| methods.extend(self.compressions));
    }

    /// Extensions without a body come first, because some servers fail on an empty last one.
    fn extensions(&self, server_name: Option<&str>, renegotiation_info: Option<u8>) -> Vec<u8> {
        let mut all = Vec::new();
        let out = &mut all;
        extension(out, SIGNED_CERTIFICATE_TIMESTAMP, |_| {});
        if self.version < Version::TLS_1_3 {
            extension(out, EXTENDED_MASTER_SECRET, |_| {});
            if let Some(info) = renegotiation_info {
                extension(out, RENEGOTIATION_INFO, |body| body.push(info));
            }
        }
        if let Some(name) = server_name {
            put_server_name(out, name);
        }
        extension(out, STATUS_REQUEST, |body| body.extend([OCSP, 0, 0, 0, 0]));
        extension(out, SUPPORTED_GROUPS, |body| {
            prefixed::<2>(body, |list| put_all(list, self.groups.iter().map(|group| group.0)));
        });
        if self.version < Version::TLS_1_3 {
            extension(out, EC_POINT_FORMATS, |body| {
                prefixed::<1>(body, |list| list.push(UNCOMPRESSED));
            });
        } else {
            extension(out, KEY_SHARE, |body| prefixed::<2>(body, |_| {}));
            extension(out, SUPPORTED_VERSIONS, |body| {
                prefixed::<1>(body, |list| put16(list, self.version.0));
            });
        }
        if !self.schemes().is_empty() {
            extension(out, SIGNATURE_ALGORITHMS, |body| {
                prefixed::<2>(body, |list| put_all(list, self.schemes().iter().copied()));
            });
        }
        all
    }
}

impl ClientHello {
    /// The signature schemes that it offers.
    pub(super) fn schemes(&self) -> &[u16] {
        if self.version >= Version::TLS_1_2 { &self.schemes } else { &[] }
    }
}

/// Lengthens a hello out of the range in which some load balancers drop it (RFC 7685).
fn pad(hello: usize, extensions: &mut Vec<u8>) {
    const DROPPED: std::ops::Range<usize> = 256..512;
    const HEADERS: usize = 4 + 2;
    let length = HEADERS + hello + extensions.len();
    if DROPPED.contains(&length) {
        let padding = DROPPED.end.saturating_sub(length + 4).max(1);
        extension(extensions, PADDING, |body| body.resize(padding, 0));
    }
}

/// A ClientHello in a record of this version.
pub(super) fn client_hello(version: Version, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut record = vec![HANDSHAKE];
    put16(&mut record, version.0);
    prefixed::<2>(&mut record, |fragment| {
        fragment.push(CLIENT_HELLO);
        prefixed::<3>(fragment, body);
    });
    record
}

/// The extension server_name with this name alone.
pub(super) fn put_server_name(out: &mut Vec<u8>, name: &str) {
    extension(out, SERVER_NAME, |body| {
        prefixed::<2>(body, |list| {
            list.push(HOST_NAME);
            prefixed::<2>(list, |host| host.extend(name.as_bytes()));
        });
    });
}

pub(super) fn extension(out: &mut Vec<u8>, number: u16, body: impl FnOnce(&mut Vec<u8>)) {
    put16(out, number);
    prefixed::<2>(out, body);
}

/// Writes a vector behind its length in `N` bytes.
pub(super) fn prefixed<const N: usize>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    write(&mut body);
    let length = body.len().to_be_bytes();
    out.extend(length.iter().skip(length.len() - N));
    out.extend(body);
}

pub(super) fn put_all(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u16>) {
    numbers.into_iter().for_each(|number| put16(out, number));
}

pub(super) fn put16(out: &mut Vec<u8>, number: u16) {
    out.extend(number.to_be_bytes());
}

const CLIENT_HELLO: u8 = 1;
const HOST_NAME: u8 = 0;
/// The body of renegotiation_info in a handshake that renews no session: an empty vector.
const FIRST_HANDSHAKE: u8 = 0;
/// The bytes of verify_data (RFC 5246, section 7.4.9).
const VERIFY_DATA: usize = 12;
const OCSP: u8 = 1;
const UNCOMPRESSED: u8 = 0;

const SERVER_NAME: u16 = 0;
const STATUS_REQUEST: u16 = 5;
const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const SIGNED_CERTIFICATE_TIMESTAMP: u16 = 18;
const PADDING: u16 = 21;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;
const RENEGOTIATION_INFO: u16 = 0xff01;

/// A list of numbers of one registry.
macro_rules! numbered {
    ($kind:ident: $($number:literal),* $(,)?) => { &[$($kind($number)),*] };
}

/// Suites in one hello, with room left for one signalling value. Some load balancers refuse more
/// than 128 with `illegal_parameter`.
pub const MOST_SUITES: usize = 127;

/// What servers have up to TLS 1.2, best first: a server that lets the client choose shows the best
/// that it can.
#[rustfmt::skip]
pub const SUITES: &[Suite] = numbered![Suite:
    // ECDHE and DHE, AEAD
    0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0x009e, 0x009f, 0xccaa, 0x00a2, 0x00a3,
    0xc0ac, 0xc0ad, 0xc0ae, 0xc0af, 0xc09e, 0xc09f, 0xc0a2, 0xc0a3,
    // ECDHE and DHE, CBC
    0xc023, 0xc027, 0xc024, 0xc028, 0xc009, 0xc013, 0xc00a, 0xc014, 0x0067, 0x006b, 0x0033, 0x0039,
    0x0040, 0x006a, 0x0032, 0x0038, 0xc072, 0xc076, 0xc073, 0xc077, 0x00be, 0x00c4, 0x0045, 0x0088,
    0x0044, 0x0087, 0x009a, 0x0099, 0xc008, 0xc012, 0x0016, 0x0013,
    // RSA key exchange
    0x009c, 0x009d, 0xc09c, 0xc09d, 0xc0a0, 0xc0a1, 0x003c, 0x003d, 0x002f, 0x0035, 0x00ba, 0x00c0,
    0x0041, 0x0084, 0x0096, 0x0007, 0x000a,
    // static ECDH and DH
    0xc02d, 0xc031, 0xc004, 0xc00e, 0xc005, 0xc00f, 0xc003, 0xc00d, 0x0031, 0x0037, 0x0030, 0x0036,
    0x0010, 0x000d,
    // ARIA, GOST
    0xc05c, 0xc060, 0xc052, 0xc050, 0xc100, 0xc101, 0xc102, 0x0081,
    // RC4 and DES
    0xc007, 0xc011, 0x0005, 0x0004, 0xc002, 0xc00c, 0x0066, 0x0015, 0x0012, 0x0009,
    // EXPORT
    0x0062, 0x0064, 0x0014, 0x0011, 0x0008, 0x0006, 0x0003,
    // anonymous
    0xc018, 0xc019, 0x00a6, 0x00a7, 0x006c, 0x006d, 0x0034, 0x003a, 0xc017, 0x001b, 0xc016, 0x0018,
    // without encryption
    0xc006, 0xc010, 0x003b, 0x0002, 0x0001, 0xc015,
];

/// What servers could have besides, if the client needs no shared secret, password or ticket.
pub fn rare_suites() -> Vec<Suite> {
    let is_new = |suite: &Suite| !SUITES.contains(suite) && !TLS13_SUITES.contains(suite);
    Suite::all().filter(|suite| !suite.needs_credentials()).filter(is_new).collect()
}

/// What SSL 3.0 has, best first, and few enough that the hello stays under 256 bytes.
#[rustfmt::skip]
pub const SSL3_SUITES: &[Suite] = numbered![Suite:
    0x0039, 0x0033, 0x0038, 0x0032, 0x0016, 0x0013, 0x0035, 0x002f, 0x000a, 0x0084, 0x0041, 0x0096,
    0x0007, 0x0005, 0x0004, 0x0015, 0x0012, 0x0009, 0x0062, 0x0064, 0x0014, 0x0011, 0x0008, 0x0006,
    0x0003, 0x003a, 0x0034, 0x001b, 0x0018, 0x001a, 0x0019, 0x0017, 0x0002, 0x0001,
];

/// Every suite of TLS 1.3, best first.
pub const TLS13_SUITES: &[Suite] = numbered![Suite:
    0x1302, 0x1303, 0x1301, 0x1304, 0x1305, 0x1306, 0x1307, 0x00c6, 0x00c7, 0xc103, 0xc104, 0xc105,
    0xc106, 0xc0b4, 0xc0b5,
];

/// The groups that TLS 1.2 can use, best first.
#[rustfmt::skip]
pub const GROUPS: &[Group] = numbered![Group:
    29, 23, 24, 25, 30, 26, 27, 28, 22, 256, 257, 258, 259, 260,
    14, 13, 12, 11, 10, 9, 8, 7, 6, 21, 20, 19, 18, 17, 16, 15, 5, 4, 3, 2, 1,
];

/// The groups that TLS 1.3 can use, best first.
#[rustfmt::skip]
pub const TLS13_GROUPS: &[Group] = numbered![Group:
    4588, 4587, 4589, 4590, 25497, 25498, 513, 514, 512, 29, 23, 24, 25, 30, 31, 32, 33, 41,
    34, 35, 36, 37, 38, 39, 40, 256, 257, 258, 259, 260,
];

/// Every scheme that a certificate could need, best first.
#[rustfmt::skip]
pub const SIGNATURE_SCHEMES: &[u16] = &[
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b,
    0x0401, 0x0501, 0x0601, 0x0904, 0x0905, 0x0906, 0x081a, 0x081b, 0x081c, 0x0708,
    0x0709, 0x070a, 0x070b, 0x070c, 0x070d, 0x070e, 0x070f,
    0x0402, 0x0502, 0x0602, 0x0303, 0x0301, 0x0302, 0x0203, 0x0201, 0x0202, 0x0101,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn hellos_are_well_formed() {
        for (hello, server_name) in [
            (ClientHello::common(), Some("example.com")),
            (ClientHello::common(), None),
            (ClientHello::rare(), Some("example.com")),
            (ClientHello::ssl3(), None),
            (ClientHello::tls13(), Some("example.com")),
        ] {
            let bytes = hello.encode(server_name, &[7; 32]);
            let record = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
            let message = usize::from(u16::from_be_bytes([bytes[7], bytes[8]]));
            assert_eq!(bytes.len(), 5 + record);
            assert_eq!(bytes.len(), 9 + message);
            assert_eq!(bytes[..2], [22, 3]);
            assert_eq!(bytes[5], 1);
        }
    }

    #[test]
    fn versions_are_claimed_with_care() {
        let versions = |hello: ClientHello| {
            let bytes = hello.encode(None, &[0; 32]);
            [[bytes[1], bytes[2]], [bytes[9], bytes[10]]]
        };
        assert_eq!(versions(ClientHello::ssl3()), [[3, 0], [3, 0]]);
        assert_eq!(versions(ClientHello::common()), [[3, 1], [3, 3]]);
        assert_eq!(versions(ClientHello::tls13()), [[3, 1], [3, 3]]);
    }

    #[test]
    fn ssl3_has_no_extensions() {
        let bytes = ClientHello::ssl3().encode(Some("example.com"), &[0; 32]);
        let suites = 2 * (SSL3_SUITES.len() + 1);
        assert_eq!(bytes.len(), 5 + 4 + 2 + 32 + 1 + 2 + suites + 2);
        assert!(bytes.len() - 5 < 256);
        assert!(bytes.ends_with(&[0x00, 0xff, 1, 0]));
    }

    #[test]
    fn no_length_is_one_that_gets_lost() {
        for count in 0..SUITES.len() {
            for number in Version::TLS_1_0.0..=Version::TLS_1_3.0 {
                let version = Version(number);
                let hello = ClientHello { version, ..ClientHello::up_to_tls12(&SUITES[..count]) };
                let length = hello.encode(Some("www.example.com"), &[0; 32]).len() - 5;
                assert!(!(256..512).contains(&length), "{length}");
            }
        }
    }

    /// Two hellos and that of TLS 1.3 offer all that IANA names and no suite that needs a secret.
    #[test]
    fn every_suite_is_offered() {
        let rare = rare_suites();
        let offered = HashSet::from_iter([SUITES, &rare, TLS13_SUITES].concat());
        let named: HashSet<_> = Suite::all().collect();
        let mut left: Vec<_> = named.difference(&offered).map(|suite| suite.name()).collect();
        left.retain(|name| !["PSK", "SRP", "KRB5", "ECCPWD"].iter().any(|w| name.contains(w)));
        assert!(left.is_empty(), "{left:?}");
        // GOST of 2001 and the drafts of DSS with RC4 have no name there.
        let unnamed: HashSet<_> = offered.difference(&named).copied().collect();
        assert_eq!(unnamed, HashSet::from([0x0081, 0x0062, 0x0064, 0x0066].map(Suite)));
        for secret in [0x002c, 0x001e, 0x00a8, 0xc01a, 0xc0aa, 0xc0b0, 0xccab, 0xd001] {
            assert!(!offered.contains(&Suite(secret)), "{}", Suite(secret));
        }
        for suite in [0xc051, 0xc053, 0xc05d, 0xc061, 0xc07a, 0xc08b] {
            assert!(rare.contains(&Suite(suite)), "{}", Suite(suite));
        }
    }

    #[test]
    fn lists_are_short_enough_and_without_repeats() {
        let rare = &rare_suites();
        for list in [SUITES, rare] {
            assert!(list.len() <= MOST_SUITES, "{}", list.len());
        }
        assert!(!SUITES.iter().any(|suite| rare.contains(suite)));
        for list in [SUITES, rare, SSL3_SUITES, TLS13_SUITES] {
            assert_eq!(HashSet::<_>::from_iter(list).len(), list.len());
        }
        for list in [GROUPS, TLS13_GROUPS] {
            assert_eq!(HashSet::<_>::from_iter(list).len(), list.len());
        }
        assert_eq!(HashSet::<_>::from_iter(SIGNATURE_SCHEMES).len(), SIGNATURE_SCHEMES.len());
    }
}
