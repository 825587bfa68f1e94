//! What the name of a cipher suite says about it.

use super::{Suite, is_signal};

/// The kinds of key exchange whose parameters a server sends in plain text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exchange {
    /// On an elliptic curve, with a key made for this connection.
    Ecdhe,
    /// Diffie-Hellman over a prime, with a key made for this connection.
    Dhe,
    /// RSA with a short key made for export; it is sent because the certificate's key is longer.
    RsaExport,
}

/// Parts of the names of suites that nobody should use any more.
const WEAK: [&str; 9] =
    ["NULL", "EXPORT", "anon", "RC4", "_DES", "3DES", "MD5", "TLS_RSA_", "_CBC_SHA"];

/// Parts of the names of suites for which the client needs a shared secret, a password or a ticket.
const CREDENTIALS: [&str; 4] = ["_PSK_", "_SRP_", "_KRB5_", "_ECCPWD_"];

impl Suite {
    /// Every named suite, without the signalling values (SCSVs).
    pub fn all() -> impl Iterator<Item = Self> {
        Self::named().filter(|suite| !is_signal(suite.0))
    }

    /// How the keys are exchanged, if the server sends parameters for it. `None` as well for TLS
    /// 1.3, whose suites leave the key exchange open, and for a suite without a name.
    pub(crate) fn exchange(self) -> Option<Exchange> {
        let name = self.name();
        let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if is(&["TLS_ECDHE_", "TLS_ECDH_anon_"]) {
            Some(Exchange::Ecdhe)
        } else if is(&["TLS_DHE_", "TLS_PSK_DHE_", "TLS_DH_anon_"]) {
            Some(Exchange::Dhe)
        } else if is(&["TLS_RSA_EXPORT_"]) {
            Some(Exchange::RsaExport)
        } else {
            None
        }
    }

    /// Whether both sides must know a key already.
    pub(crate) fn has_pre_shared_key(self) -> bool {
        self.name().contains("_PSK_")
    }

    /// Whether the client needs a shared secret, a password or a ticket.
    pub(crate) fn needs_credentials(self) -> bool {
        let name = self.name();
        CREDENTIALS.iter().any(|word| name.contains(word))
    }

    /// Whether the parameters of the key exchange are signed with the certificate's key.
    pub(crate) fn signs_exchange(self) -> bool {
        self.exchange().is_some() && !self.has_pre_shared_key() && !self.name().contains("_anon_")
    }

    /// Whether the certificate's key is one of ECDSA.
    pub fn is_ecdsa(self) -> bool {
        self.name().contains("_ECDSA_")
    }

    /// Whether nobody should use it any more.
    pub fn is_weak(self) -> bool {
        let name = self.name();
        WEAK.iter().any(|word| name.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_how_keys_are_exchanged() {
        for (number, exchange, is_signed) in [
            (0xc02f, Some(Exchange::Ecdhe), true),
            (0xc02b, Some(Exchange::Ecdhe), true),
            (0xc018, Some(Exchange::Ecdhe), false),
            (0xc035, Some(Exchange::Ecdhe), false),
            (0x009e, Some(Exchange::Dhe), true),
            (0x0034, Some(Exchange::Dhe), false),
            (0x00aa, Some(Exchange::Dhe), false),
            (0xc0aa, Some(Exchange::Dhe), false),
            (0x0003, Some(Exchange::RsaExport), true),
            (0x002f, None, false),
            (0x1301, None, false),
            (0x0a0a, None, false),
        ] {
            let suite = Suite(number);
            assert_eq!(
                (suite.exchange(), suite.signs_exchange()),
                (exchange, is_signed),
                "{suite}"
            );
        }
    }

    #[test]
    fn the_name_tells_what_the_client_must_have() {
        for (number, is_pre_shared, needs_credentials) in [
            (0xc02f, false, false),
            (0x008c, true, true),
            (0xc035, true, true),
            (0x00aa, true, true),
            (0xc01a, false, true),
            (0x001e, false, true),
        ] {
            let suite = Suite(number);
            assert_eq!(suite.has_pre_shared_key(), is_pre_shared, "{suite}");
            assert_eq!(suite.needs_credentials(), needs_credentials, "{suite}");
        }
        assert!(Suite(0xc02b).is_ecdsa() && !Suite(0xc02f).is_ecdsa());
        assert!(Suite(0x000a).is_weak() && !Suite(0x1301).is_weak());
    }

    #[test]
    fn signalling_values_are_no_suites() {
        assert!(Suite::all().all(|suite| ![0x0000, 0x00ff, 0x5600].contains(&suite.0)));
        assert!(Suite::all().count() > 300);
    }
}
