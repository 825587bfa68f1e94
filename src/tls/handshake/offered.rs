//! Whether a server chose from what rustls offered it.

use super::{Agreed, Client, Hello, SUITES, Versions};
use crate::names::{Suite, Version};
use crate::tls::agreed::number_of;

impl Client {
    /// Whether `hello` offers what a server chose. Servers that do not know `supported_versions` may choose
    /// a version before TLS 1.2.
    pub fn offers(&self, hello: Hello, agreed: &Agreed) -> bool {
        let highest = match self.versions {
            Versions::Tls12 => Version::TLS_1_2,
            Versions::Both | Versions::Tls13 => Version::TLS_1_3,
        };
        let versions = Version::SSL_3_0..=highest;
        let is_suite = |wanted| SUITES.iter().any(|suite| Suite(suite.suite().into()) == wanted);
        let groups = self.kx_groups.of(hello.groups);
        let is_group = |wanted| groups.iter().any(|group| number_of(*group) == wanted);
        let alpn = &self.connectors(hello.alpn).alpn;
        agreed.version.is_none_or(|version| versions.contains(&version))
            && agreed.cipher.is_none_or(is_suite)
            && agreed.group.is_none_or(is_group)
            && agreed.alpn.as_ref().is_none_or(|protocol| alpn.contains(protocol))
    }
}
