//! A protocol: its names, its ports and its dialogue.

use std::fmt;

use super::PROTOCOLS;
use super::dialogue::Dialogue;

/// A protocol that can turn to TLS.
pub struct Protocol {
    /// Its name on the command line and in the record.
    pub name: &'static str,
    /// The URL schemes that mean it.
    pub schemes: &'static [&'static str],
    /// The ports where it is expected; the first is the default of its schemes.
    pub ports: &'static [u16],
    /// What it offers in the ALPN extension, by IANA's names; empty where it has none.
    pub alpn: &'static [&'static str],
    pub(super) dialogue: fn(host: &str) -> Box<dyn Dialogue>,
}

impl Protocol {
    /// The protocol of this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        PROTOCOLS.iter().find(|known| known.name == name)
    }

    /// The protocol that is expected at this port.
    pub fn by_port(port: u16) -> Option<&'static Self> {
        PROTOCOLS.iter().find(|known| known.ports.contains(&port))
    }

    /// The protocol that this URL scheme means.
    pub fn by_scheme(scheme: &str) -> Option<&'static Self> {
        PROTOCOLS.iter().find(|known| {
            let mut schemes = known.schemes.iter();
            schemes.any(|known| known.eq_ignore_ascii_case(scheme))
        })
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Protocol").field(&self.name).finish()
    }
}
