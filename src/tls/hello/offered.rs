//! Whether a server chose from what it was offered.
//!
//! A server that chooses something else breaks the protocol. Nothing that it says of itself is believed
//! then: it may be no TLS server at all, but something that plays back the answer of another.

use std::fmt;

use super::message::{KeyExchange, Parameters, ServerHello};
use crate::names::{self, Group, Suite, Version};
use crate::tls::legacy::ClientHello;

/// What a server chose although the ClientHello does not offer it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotOffered {
    /// A protocol version.
    Version(Version),
    /// A cipher suite.
    Suite(Suite),
    /// The number of a compression method.
    Compression(u8),
    /// A group.
    Group(Group),
    /// The number of a signature scheme.
    Scheme(u16),
    /// An application protocol; the hellos of our own offer none.
    Alpn,
}

impl ClientHello {
    /// Checks what a server chose in its ServerHello or HelloRetryRequest.
    ///
    /// # Errors
    /// The first choice that this hello does not offer.
    pub(super) fn check(&self, hello: &ServerHello) -> Result<(), NotOffered> {
        let ServerHello { suite, compression, key_share_group, .. } = *hello;
        if !self.has_version(hello) {
            return Err(NotOffered::Version(hello.version()));
        }
        if !self.suites.contains(&suite) {
            return Err(NotOffered::Suite(suite));
        }
        if !self.compressions.contains(&compression) {
            return Err(NotOffered::Compression(compression));
        }
        if hello.alpn.is_some() {
            return Err(NotOffered::Alpn);
        }
        key_share_group.map_or(Ok(()), |group| self.check_group(group))
    }

    /// Checks what a server chose in its ServerKeyExchange.
    ///
    /// # Errors
    /// The first choice that this hello does not offer.
    pub(super) fn check_key_exchange(&self, exchange: &KeyExchange) -> Result<(), NotOffered> {
        if let Parameters::Ecdh { group } = exchange.parameters {
            self.check_group(group)?;
        }
        match exchange.signature_scheme {
            Some(scheme) if !self.schemes().contains(&scheme) => Err(NotOffered::Scheme(scheme)),
            _ => Ok(()),
        }
    }

    /// TLS 1.3 alone is offered in `supported_versions` and chosen there. Every version before it is
    /// offered with those below it, down to SSL 3.0.
    fn has_version(&self, hello: &ServerHello) -> bool {
        match (hello.selected_version, hello.legacy_version) {
            (Some(Version::TLS_1_3), Version::TLS_1_2) => self.version == Version::TLS_1_3,
            (Some(_), _) => false,
            (None, version) => {
                (Version::SSL_3_0..=self.version.min(Version::TLS_1_2)).contains(&version)
            }
        }
    }

    fn check_group(&self, group: Group) -> Result<(), NotOffered> {
        if self.groups.contains(&group) { Ok(()) } else { Err(NotOffered::Group(group)) }
    }
}

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server chose ")?;
        match self {
            Self::Version(version) => write!(f, "{version}"),
            Self::Suite(suite) => write!(f, "{suite}"),
            Self::Compression(number) => write!(f, "the compression method {number}"),
            Self::Group(group) => write!(f, "the group {group}"),
            Self::Scheme(number) => write!(f, "the scheme {}", names::signature_scheme(*number)),
            Self::Alpn => f.write_str("an application protocol"),
        }?;
        f.write_str(", which the hello does not offer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Group = Group(29);

    /// The hellos of our own, and what a server may choose from each.
    fn chosen() -> [(ClientHello, Vec<ServerHello>); 4] {
        let of = |highest: Version, suite| {
            let versions = (Version::SSL_3_0.0..=highest.0).map(Version);
            versions.map(|version| ServerHello::made_up(version, Suite(suite))).collect()
        };
        let tls13 = ServerHello {
            selected_version: Some(Version::TLS_1_3),
            key_share_group: Some(SHARE),
            ..ServerHello::made_up(Version::TLS_1_2, Suite(0x1301))
        };
        [
            (ClientHello::common(), of(Version::TLS_1_2, 0x002f)),
            (ClientHello::rare(), of(Version::TLS_1_2, 0xc051)),
            (ClientHello::ssl3(), of(Version::SSL_3_0, 0x002f)),
            (ClientHello::tls13(), vec![tls13]),
        ]
    }

    #[test]
    fn nothing_else_than_what_is_offered_can_be_chosen() {
        for (offer, chosen) in chosen() {
            for hello in chosen {
                assert_eq!(offer.check(&hello), Ok(()));
                for suite in [0x0000, 0x5600, 0x00ff, 0x1a1a, 0xdead].map(Suite) {
                    let lie = ServerHello { suite, ..hello.clone() };
                    assert_eq!(offer.check(&lie), Err(NotOffered::Suite(suite)), "{lie:?}");
                }
                for compression in [1, 64, 255] {
                    let lie = ServerHello { compression, ..hello.clone() };
                    assert_eq!(offer.check(&lie), Err(NotOffered::Compression(compression)));
                }
                for group in [0, 0x1a1a, 0xdead].map(Group) {
                    let lie = ServerHello { key_share_group: Some(group), ..hello.clone() };
                    assert_eq!(offer.check(&lie), Err(NotOffered::Group(group)));
                }
                let lie = ServerHello { alpn: Some(b"h2".to_vec()), ..hello.clone() };
                assert_eq!(offer.check(&lie), Err(NotOffered::Alpn));
                for version in [0x0002, 0x02ff, 0x0304, 0x0305, 0x7f1c, 0xfeff, 0xffff].map(Version)
                {
                    let lie = ServerHello {
                        legacy_version: version,
                        selected_version: None,
                        ..hello.clone()
                    };
                    assert_eq!(offer.check(&lie), Err(NotOffered::Version(version)), "{lie:?}");
                }
                for selected in [0x0300, 0x0303, 0x0305, 0x7f1c].map(Version) {
                    let lie = ServerHello { selected_version: Some(selected), ..hello.clone() };
                    assert_eq!(offer.check(&lie), Err(NotOffered::Version(selected)), "{lie:?}");
                }
            }
        }
        let tls13 = ServerHello {
            selected_version: Some(Version::TLS_1_3),
            ..ServerHello::made_up(Version::TLS_1_2, Suite(0x002f))
        };
        assert_eq!(ClientHello::common().check(&tls13), Err(NotOffered::Version(Version::TLS_1_3)));
        let above = ServerHello::made_up(Version(0x0301), Suite(0x002f));
        assert_eq!(ClientHello::ssl3().check(&above), Err(NotOffered::Version(Version(0x0301))));
    }

    #[test]
    fn a_key_exchange_is_over_a_group_that_is_offered_and_signed_as_offered() {
        let exchange = |group, scheme| KeyExchange {
            parameters: Parameters::Ecdh { group },
            signature_scheme: scheme,
        };
        let common = ClientHello::common();
        assert_eq!(common.check_key_exchange(&exchange(SHARE, Some(0x0401))), Ok(()));
        assert_eq!(common.check_key_exchange(&exchange(SHARE, None)), Ok(()));
        for group in [0, 4588, 0xff01, 0xff02].map(Group) {
            let lie = exchange(group, None);
            assert_eq!(common.check_key_exchange(&lie), Err(NotOffered::Group(group)));
        }
        let lie = exchange(SHARE, Some(0xdead));
        assert_eq!(common.check_key_exchange(&lie), Err(NotOffered::Scheme(0xdead)));
        let on_a_curve = exchange(SHARE, None);
        let ssl3 = ClientHello::ssl3();
        assert_eq!(ssl3.check_key_exchange(&on_a_curve), Err(NotOffered::Group(SHARE)));
    }
}
