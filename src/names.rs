//! IANA names by number.
//!
//! Names are spelt as in the IANA TLS registries. A value without a name is shown as a number, in
//! the base that its registry uses: decimal for alerts and groups, hexadecimal for the rest.

pub(crate) mod content_type;
mod number;
mod suite;

pub use number::{AlertDescription, Group, Suite, Version};
pub(crate) use suite::Exchange;

use std::borrow::Cow;
use std::sync::LazyLock;

/// The name of a signature scheme: `ecdsa_secp256r1_sha256`.
pub fn signature_scheme(number: u16) -> Cow<'static, str> {
    named(&SIGNATURE_SCHEMES, number).map_or_else(|| hex(number), Cow::Borrowed)
}

/// The signature scheme of this name, whatever the case; the names that rustls and OpenSSL use will
/// do where they are unambiguous.
pub fn signature_scheme_by_name(name: &str) -> Option<u16> {
    SIGNATURE_SCHEMES
        .iter()
        .chain(SIGNATURE_SCHEME_ALIASES)
        .find(|(_, known)| known.eq_ignore_ascii_case(name))
        .map(|(number, _)| *number)
}

/// Whether a suite's number is a signal of the client (SCSV) instead.
fn is_signal(suite: u16) -> bool {
    [0x0000, 0x00ff, 0x5600].contains(&suite)
}

/// Every application protocol of the ALPN extension that IANA names and that is text.
pub fn application_protocols() -> impl Iterator<Item = &'static str> {
    include_str!("names/alpn.txt").lines().filter(|line| !line.starts_with('#'))
}

fn named(table: &[(u16, &'static str)], number: u16) -> Option<&'static str> {
    let row = table.binary_search_by_key(&number, |(number, _)| *number);
    row.ok().and_then(|row| table.get(row)).map(|(_, name)| *name)
}

fn decimal(number: u16) -> Cow<'static, str> {
    Cow::Owned(number.to_string())
}

fn hex(number: u16) -> Cow<'static, str> {
    Cow::Owned(format!("{number:#06x}"))
}

/// A registry: names by number, sorted.
type Registry = LazyLock<Vec<(u16, &'static str)>>;

/// Every suite, signalling values included.
static SUITES: Registry = LazyLock::new(|| rows(include_str!("names/suites.txt"), 16));
static GROUPS: Registry = LazyLock::new(|| rows(include_str!("names/groups.txt"), 10));
static SIGNATURE_SCHEMES: Registry =
    LazyLock::new(|| rows(include_str!("names/signature_schemes.txt"), 16));
static ALERTS: Registry = LazyLock::new(|| rows(include_str!("names/alerts.txt"), 10));

fn rows(text: &'static str, radix: u32) -> Vec<(u16, &'static str)> {
    let rows = text.lines().filter_map(|row| row.split_once(' '));
    rows.filter_map(|(number, name)| Some((u16::from_str_radix(number, radix).ok()?, name)))
        .collect()
}

const VERSIONS: &[(u16, &str)] = &[
    (0x0002, "SSLv2"),
    (0x0300, "SSLv3"),
    (0x0301, "TLSv1.0"),
    (0x0302, "TLSv1.1"),
    (0x0303, "TLSv1.2"),
    (0x0304, "TLSv1.3"),
];

const GROUP_ALIASES: &[(u16, &str)] = &[
    (19, "P-192"),
    (19, "prime192v1"),
    (21, "P-224"),
    (23, "P-256"),
    (23, "prime256v1"),
    (24, "P-384"),
    (25, "P-521"),
];

const SIGNATURE_SCHEME_ALIASES: &[(u16, &str)] = &[
    (0x0201, "RSA+SHA1"),
    (0x0203, "ECDSA+SHA1"),
    (0x0203, "ECDSA_SHA1_Legacy"),
    (0x0401, "RSA+SHA256"),
    (0x0403, "ECDSA+SHA256"),
    (0x0403, "ECDSA_NISTP256_SHA256"),
    (0x0501, "RSA+SHA384"),
    (0x0503, "ECDSA+SHA384"),
    (0x0503, "ECDSA_NISTP384_SHA384"),
    (0x0601, "RSA+SHA512"),
    (0x0603, "ECDSA+SHA512"),
    (0x0603, "ECDSA_NISTP521_SHA512"),
    (0x0804, "RSA-PSS+SHA256"),
    (0x0804, "RSA_PSS_SHA256"),
    (0x0805, "RSA-PSS+SHA384"),
    (0x0805, "RSA_PSS_SHA384"),
    (0x0806, "RSA-PSS+SHA512"),
    (0x0806, "RSA_PSS_SHA512"),
    (0x0904, "ML_DSA_44"),
    (0x0905, "ML_DSA_65"),
    (0x0906, "ML_DSA_87"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_registry_s() {
        assert_eq!(Version::TLS_1_3.name(), "TLSv1.3");
        assert_eq!(Version::SSL_3_0.name(), "SSLv3");
        assert_eq!(Suite(0x1301).name(), "TLS_AES_128_GCM_SHA256");
        assert_eq!(Suite(0x000a).name(), "TLS_RSA_WITH_3DES_EDE_CBC_SHA");
        assert_eq!(Suite(0xc02f).name(), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(Suite(0xc0aa).name(), "TLS_PSK_DHE_WITH_AES_128_CCM_8");
        assert_eq!(Group(0x11ec).name(), "X25519MLKEM768");
        assert_eq!(Group(23).name(), "secp256r1");
        assert_eq!(signature_scheme(0x0403), "ecdsa_secp256r1_sha256");
        assert_eq!(AlertDescription(116).name(), "certificate_required");
    }

    #[test]
    fn what_has_no_name_is_its_number() {
        assert_eq!(Version(0x7f1c).name(), "0x7f1c");
        assert_eq!(Suite(0x0a0a).name(), "0x0a0a");
        assert_eq!(Group(0x0a0a).name(), "2570");
        assert_eq!(signature_scheme(0x0301), "0x0301");
        assert_eq!(AlertDescription(233).name(), "233");
    }

    #[test]
    fn groups_are_found_by_any_of_their_names() {
        for (name, number) in [
            ("x25519", 29),
            ("X25519", 29),
            ("P-256", 23),
            ("p-384", 24),
            ("prime256v1", 23),
            ("secp521r1", 25),
            ("X448", 30),
            ("x25519mlkem768", 4588),
            ("FFDHE2048", 256),
        ] {
            assert_eq!(Group::of_any_name(name), Some(Group(number)), "{name}");
        }
        assert_eq!(Group::of_any_name("P-255"), None);
    }

    #[test]
    fn signature_schemes_are_found_by_any_of_their_names() {
        for (name, number) in [
            ("ecdsa_secp256r1_sha256", 0x0403),
            ("ECDSA_NISTP256_SHA256", 0x0403),
            ("ecdsa+sha256", 0x0403),
            ("rsa_pss_sha512", 0x0806),
            ("Ed25519", 0x0807),
            ("ML_DSA_65", 0x0905),
        ] {
            assert_eq!(signature_scheme_by_name(name), Some(number), "{name}");
        }
        assert_eq!(signature_scheme_by_name("rsa"), None);
    }

    #[test]
    fn every_group_is_found_by_its_own_name() {
        for (number, name) in GROUPS.iter() {
            assert_eq!(Group::of_any_name(name), Some(Group(*number)), "{name}");
        }
    }

    #[test]
    fn tables_are_whole_and_sorted() {
        assert!(VERSIONS.is_sorted_by(|a, b| a.0 < b.0));
        for (table, text) in [
            (&SUITES, include_str!("names/suites.txt")),
            (&GROUPS, include_str!("names/groups.txt")),
            (&SIGNATURE_SCHEMES, include_str!("names/signature_schemes.txt")),
            (&ALERTS, include_str!("names/alerts.txt")),
        ] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
            assert_eq!(table.len(), text.lines().count());
        }
    }
}
