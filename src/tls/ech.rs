//! Encrypted ClientHello (ECH, RFC 9849): configurations, and how a server answers one.

use std::io;

use rustls::client::EchConfig;
use rustls::crypto::aws_lc_rs::hpke::{ALL_SUPPORTED_SUITES, DH_KEM_X25519_HKDF_SHA256_AES_128};
use rustls::crypto::hpke::Hpke as _;
// rustls shows what a server offers instead of its own configuration only as this type.
use rustls::internal::msgs::codec::Codec as _;
use rustls::{Error, PeerIncompatible};
use rustls_pki_types::{DnsName, EchConfigListBytes};

use crate::bytes::Reader;
use crate::failure::tls_error;
use crate::limits::ECH_CONFIGS_LIMIT;

/// The version of RFC 9849.
const VERSION: u16 = 0xfe0d;

const X25519_HKDF_SHA256: u16 = 0x0020;
const HKDF_SHA256: u16 = 0x0001;
const AES_128_GCM: u16 = 0x0001;

/// A configuration, as far as it concerns anybody but the cipher.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Configuration {
    /// The version: 0xfe0d in RFC 9849.
    pub version: u16,
    /// What it says, in that version.
    pub contents: Option<Contents>,
}

/// What a configuration says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contents {
    /// By which number the server knows it.
    pub config_id: u8,
    /// The server name that stands in the clear instead of the real one.
    pub public_name: Vec<u8>,
}

/// A list of configurations, and how many it has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Configurations {
    /// The first of them.
    pub kept: Vec<Configuration>,
    /// How many there are.
    pub count: usize,
}

/// A configuration to encrypt a ClientHello with.
#[derive(Clone, Debug)]
pub struct Offer {
    /// For rustls.
    pub config: EchConfig,
    /// What it says.
    pub contents: Contents,
}

impl Offer {
    /// The first configuration of a list (`ECHConfigList`) that can be used; none when there is none, or
    /// when the list is malformed.
    pub fn of_list(list: &[u8]) -> Option<Self> {
        // A list that is malformed further on is of no use either.
        Configurations::of_list(list)?;
        let mut rest = Reader::new(Reader::new(list).vector16()?);
        while !rest.is_empty() {
            let (bytes, configuration) = next(&mut rest)?;
            if let Some(contents) = configuration.contents
                && let Ok(config) = usable(&list_of(bytes))
            {
                return Some(Self { config, contents });
            }
        }
        None
    }

    /// A configuration that nobody has the key of. Its public name is a server's own, so that the server
    /// sees the same name in the clear as ever.
    ///
    /// # Errors
    /// This machine has no random numbers, or the name is too long.
    pub fn made_up(name: &DnsName<'_>) -> Result<Self, Error> {
        let (key, _private) = DH_KEM_X25519_HKDF_SHA256_AES_128.generate_key_pair()?;
        let name = name.as_ref().as_bytes();
        let length = u8::try_from(name.len())
            .map_err(|_too_long| Error::General("the name is too long".to_owned()))?;
        let config_id = fastrand::u8(..);
        let suites = [HKDF_SHA256.to_be_bytes(), AES_128_GCM.to_be_bytes()].concat();
        let no_extensions = [0, 0];
        let said = [
            &[config_id][..],
            &X25519_HKDF_SHA256.to_be_bytes(),
            &vector16(&key.0),
            &vector16(&suites),
            &[length, length],
            name,
            &no_extensions,
        ]
        .concat();
        let bytes = [&VERSION.to_be_bytes()[..], &vector16(&said)].concat();
        let contents = Contents { config_id, public_name: name.to_vec() };
        Ok(Self { config: usable(&list_of(&bytes))?, contents })
    }
}

impl Configurations {
    /// Those of a list (`ECHConfigList`); none when it is malformed.
    pub fn of_list(list: &[u8]) -> Option<Self> {
        let mut whole = Reader::new(list);
        let list = whole.vector16().filter(|_| whole.is_empty())?;
        let mut rest = Reader::new(list);
        let mut found = Self::default();
        while !rest.is_empty() {
            let (_, configuration) = next(&mut rest)?;
            found.add(configuration);
        }
        Some(found)
    }

    fn add(&mut self, configuration: Configuration) {
        self.count += 1;
        if self.kept.len() < ECH_CONFIGS_LIMIT {
            self.kept.push(configuration);
        }
    }
}

/// What a server offers instead of the configuration that it did not accept. None when the handshake
/// ended in another way: rustls says this only after a Finished that holds.
pub(crate) fn rejection(error: &io::Error) -> Option<Configurations> {
    let Error::PeerIncompatible(PeerIncompatible::ServerRejectedEncryptedClientHello(offered)) =
        tls_error(error)?
    else {
        return None;
    };
    let mut found = Configurations::default();
    for offered in offered.iter().flatten() {
        let bytes = offered.get_encoding();
        if let Some((_, configuration)) = next(&mut Reader::new(&bytes)) {
            found.add(configuration);
        }
    }
    Some(found)
}

/// The next configuration (`ECHConfig`) with its bytes.
fn next<'a>(rest: &mut Reader<'a>) -> Option<(&'a [u8], Configuration)> {
    let before = rest.rest();
    let version = rest.u16()?;
    let contents = rest.vector16()?;
    let length = before.len() - rest.rest().len();
    let contents = match version {
        VERSION => Some(Contents::read(contents)?),
        _ => None,
    };
    Some((before.get(..length)?, Configuration { version, contents }))
}

impl Contents {
    /// Reads an `ECHConfigContents` of RFC 9849, section 4.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        let (config_id, _kem) = (rest.u8()?, rest.u16()?);
        let (_key, _suites) = (rest.vector16()?, rest.vector16()?);
        let _longest_name = rest.u8()?;
        let public_name = rest.vector8()?.to_vec();
        let _extensions = rest.vector16()?;
        rest.is_empty().then_some(Self { config_id, public_name })
    }
}

/// A configuration of which rustls knows the version and a suite.
fn usable(list: &[u8]) -> Result<EchConfig, Error> {
    EchConfig::new(EchConfigListBytes::from(list), ALL_SUPPORTED_SUITES)
}

/// A list of one.
fn list_of(configuration: &[u8]) -> Vec<u8> {
    vector16(configuration)
}

/// A vector of TLS whose length has two bytes. Nothing here is longer.
fn vector16(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of an unknown version, and one whose public name is `public.example`.
    fn list() -> Vec<u8> {
        let unknown = [0xfe, 0x0a, 0, 3, 1, 2, 3];
        let key = vector16(&[9; 32]);
        let suites = [0, 4, 0, 1, 0, 3];
        let name = b"\x0epublic.example";
        let contents = [&[7, 0, 0x20][..], &key, &suites, &[0], name, &[0, 0]].concat();
        vector16(&[&unknown[..], &[0xfe, 0x0d], &vector16(&contents)].concat())
    }

    #[test]
    fn a_list_says_its_names_and_unknown_versions() {
        let found = Configurations::of_list(&list()).unwrap();
        let public_name = b"public.example".to_vec();
        let contents = Contents { config_id: 7, public_name };
        let expected = [
            Configuration { version: 0xfe0a, contents: None },
            Configuration { version: VERSION, contents: Some(contents.clone()) },
        ];
        assert_eq!((found.count, found.kept.as_slice()), (2, &expected[..]));
        assert_eq!(Offer::of_list(&list()).unwrap().contents, contents);
    }

    #[test]
    fn a_list_that_is_cut_or_goes_on_is_malformed() {
        let whole = list();
        for length in 0..whole.len() {
            assert_eq!(Configurations::of_list(&whole[..length]), None, "{length}");
            assert!(Offer::of_list(&whole[..length]).is_none(), "{length}");
        }
        let longer = [&whole[..], &[0]].concat();
        assert_eq!(Configurations::of_list(&longer), None);
        // An empty list is one that offers nothing.
        assert_eq!(Configurations::of_list(&[0, 0]), Some(Configurations::default()));
    }

    #[test]
    fn a_long_list_is_counted_and_not_kept() {
        let many = [&[0xfe, 0x0a, 0, 0][..]; 100].concat();
        let found = Configurations::of_list(&vector16(&many)).unwrap();
        assert_eq!((found.count, found.kept.len()), (100, ECH_CONFIGS_LIMIT));
    }

    /// rustls reads what is made up here, and two of them have no key in common.
    #[test]
    fn what_is_made_up_can_be_offered() {
        let name = DnsName::try_from("www.example.com").unwrap();
        let offers = [(); 2].map(|()| Offer::made_up(&name).unwrap());
        let shown = offers.map(|offer| format!("{:?}", offer.config));
        assert!(shown[0].contains("www.example.com"), "{}", shown[0]);
        assert_ne!(shown[0], shown[1]);
    }
}
