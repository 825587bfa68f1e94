//! Whether a server chose from what rustls offered it.

use rustls::ProtocolVersion;

use super::{Agreed, Client, Hello, SUITES, Versions};

impl Client {
    /// Whether `hello` offers what a server chose. Servers that do not know `supported_versions` may choose
    /// a version before TLS 1.2.
    pub fn offers(&self, hello: Hello, agreed: &Agreed) -> bool {
        let highest = match self.versions {
            Versions::Tls12 => ProtocolVersion::TLSv1_2,
            Versions::Both | Versions::Tls13 => ProtocolVersion::TLSv1_3,
        };
        let versions = u16::from(ProtocolVersion::SSLv3)..=u16::from(highest);
        let is_suite = |number| SUITES.iter().any(|suite| u16::from(suite.suite()) == number);
        let groups = self.kx_groups.of(hello.groups);
        let is_group = |number| groups.iter().any(|group| u16::from(group.name()) == number);
        let alpn = &self.connectors(hello.alpn).alpn;
        agreed.version.is_none_or(|version| versions.contains(&version))
            && agreed.cipher.is_none_or(is_suite)
            && agreed.group.is_none_or(is_group)
            && agreed.alpn.as_ref().is_none_or(|protocol| alpn.contains(protocol))
    }
}
