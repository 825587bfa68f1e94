//! IANA names by number.
//!
//! Spelt as the IANA TLS registries spell them. What has no name there is its number: decimal for
//! alerts and groups, hexadecimal for the rest, as the registries count them.

mod suites;

use std::borrow::Cow;

/// The name of a protocol version: `TLSv1.3`, `SSLv3`.
pub fn version(number: u16) -> Cow<'static, str> {
    named(VERSIONS, number).map_or_else(|| hex(number), Cow::Borrowed)
}

/// The name of a cipher suite: `TLS_AES_128_GCM_SHA256`.
pub fn suite(number: u16) -> Cow<'static, str> {
    named(&suites::SUITES, number).map_or_else(|| hex(number), Cow::Borrowed)
}

/// Every cipher suite that has a name, but for those that only signal.
pub fn suites() -> impl Iterator<Item = u16> {
    const SIGNALS: [u16; 3] = [0x0000, 0x00ff, 0x5600];
    let suites = suites::SUITES.iter().map(|(number, _)| *number);
    suites.filter(|number| !SIGNALS.contains(number))
}

/// The name of a key exchange group: `x25519`.
pub fn group(number: u16) -> Cow<'static, str> {
    named(GROUPS, number).map_or_else(|| Cow::Owned(number.to_string()), Cow::Borrowed)
}

/// The group of this name, whatever the case; the names that OpenSSL and NIST use will do.
pub fn group_by_name(name: &str) -> Option<u16> {
    GROUPS
        .iter()
        .chain(GROUP_ALIASES)
        .find(|(_, known)| known.eq_ignore_ascii_case(name))
        .map(|(number, _)| *number)
}

/// The name of a signature scheme: `ecdsa_secp256r1_sha256`.
pub fn signature_scheme(number: u16) -> Cow<'static, str> {
    named(SIGNATURE_SCHEMES, number).map_or_else(|| hex(number), Cow::Borrowed)
}

/// The name of an alert: `handshake_failure`.
pub fn alert(number: u8) -> Cow<'static, str> {
    named(ALERTS, number).map_or_else(|| Cow::Owned(number.to_string()), Cow::Borrowed)
}

fn named<N: Ord + Copy>(table: &[(N, &'static str)], number: N) -> Option<&'static str> {
    let row = table.binary_search_by_key(&number, |(number, _)| *number);
    row.ok().and_then(|row| table.get(row)).map(|(_, name)| *name)
}

fn hex(number: u16) -> Cow<'static, str> {
    Cow::Owned(format!("{number:#06x}"))
}

const VERSIONS: &[(u16, &str)] = &[
    (0x0002, "SSLv2"),
    (0x0300, "SSLv3"),
    (0x0301, "TLSv1.0"),
    (0x0302, "TLSv1.1"),
    (0x0303, "TLSv1.2"),
    (0x0304, "TLSv1.3"),
];

const GROUPS: &[(u16, &str)] = &[
    (1, "sect163k1"),
    (2, "sect163r1"),
    (3, "sect163r2"),
    (4, "sect193r1"),
    (5, "sect193r2"),
    (6, "sect233k1"),
    (7, "sect233r1"),
    (8, "sect239k1"),
    (9, "sect283k1"),
    (10, "sect283r1"),
    (11, "sect409k1"),
    (12, "sect409r1"),
    (13, "sect571k1"),
    (14, "sect571r1"),
    (15, "secp160k1"),
    (16, "secp160r1"),
    (17, "secp160r2"),
    (18, "secp192k1"),
    (19, "secp192r1"),
    (20, "secp224k1"),
    (21, "secp224r1"),
    (22, "secp256k1"),
    (23, "secp256r1"),
    (24, "secp384r1"),
    (25, "secp521r1"),
    (26, "brainpoolP256r1"),
    (27, "brainpoolP384r1"),
    (28, "brainpoolP512r1"),
    (29, "x25519"),
    (30, "x448"),
    (31, "brainpoolP256r1tls13"),
    (32, "brainpoolP384r1tls13"),
    (33, "brainpoolP512r1tls13"),
    (34, "GC256A"),
    (35, "GC256B"),
    (36, "GC256C"),
    (37, "GC256D"),
    (38, "GC512A"),
    (39, "GC512B"),
    (40, "GC512C"),
    (41, "curveSM2"),
    (256, "ffdhe2048"),
    (257, "ffdhe3072"),
    (258, "ffdhe4096"),
    (259, "ffdhe6144"),
    (260, "ffdhe8192"),
    (512, "MLKEM512"),
    (513, "MLKEM768"),
    (514, "MLKEM1024"),
    (4587, "SecP256r1MLKEM768"),
    (4588, "X25519MLKEM768"),
    (4589, "SecP384r1MLKEM1024"),
    (4590, "curveSM2MLKEM768"),
    (25497, "X25519Kyber768Draft00"),
    (25498, "SecP256r1Kyber768Draft00"),
    (65281, "arbitrary_explicit_prime_curves"),
    (65282, "arbitrary_explicit_char2_curves"),
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

const SIGNATURE_SCHEMES: &[(u16, &str)] = &[
    (0x0201, "rsa_pkcs1_sha1"),
    (0x0203, "ecdsa_sha1"),
    (0x0401, "rsa_pkcs1_sha256"),
    (0x0403, "ecdsa_secp256r1_sha256"),
    (0x0420, "rsa_pkcs1_sha256_legacy"),
    (0x0501, "rsa_pkcs1_sha384"),
    (0x0503, "ecdsa_secp384r1_sha384"),
    (0x0520, "rsa_pkcs1_sha384_legacy"),
    (0x0601, "rsa_pkcs1_sha512"),
    (0x0603, "ecdsa_secp521r1_sha512"),
    (0x0620, "rsa_pkcs1_sha512_legacy"),
    (0x0704, "eccsi_sha256"),
    (0x0705, "iso_ibs1"),
    (0x0706, "iso_ibs2"),
    (0x0707, "iso_chinese_ibs"),
    (0x0708, "sm2sig_sm3"),
    (0x0709, "gostr34102012_256a"),
    (0x070a, "gostr34102012_256b"),
    (0x070b, "gostr34102012_256c"),
    (0x070c, "gostr34102012_256d"),
    (0x070d, "gostr34102012_512a"),
    (0x070e, "gostr34102012_512b"),
    (0x070f, "gostr34102012_512c"),
    (0x0804, "rsa_pss_rsae_sha256"),
    (0x0805, "rsa_pss_rsae_sha384"),
    (0x0806, "rsa_pss_rsae_sha512"),
    (0x0807, "ed25519"),
    (0x0808, "ed448"),
    (0x0809, "rsa_pss_pss_sha256"),
    (0x080a, "rsa_pss_pss_sha384"),
    (0x080b, "rsa_pss_pss_sha512"),
    (0x081a, "ecdsa_brainpoolP256r1tls13_sha256"),
    (0x081b, "ecdsa_brainpoolP384r1tls13_sha384"),
    (0x081c, "ecdsa_brainpoolP512r1tls13_sha512"),
    (0x0904, "mldsa44"),
    (0x0905, "mldsa65"),
    (0x0906, "mldsa87"),
];

const ALERTS: &[(u8, &str)] = &[
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (21, "decryption_failed"),
    (22, "record_overflow"),
    (30, "decompression_failure"),
    (40, "handshake_failure"),
    (41, "no_certificate"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (52, "too_many_cids_requested"),
    (60, "export_restriction"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (100, "no_renegotiation"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (111, "certificate_unobtainable"),
    (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"),
    (114, "bad_certificate_hash_value"),
    (115, "unknown_psk_identity"),
    (116, "certificate_required"),
    (117, "general_error"),
    (120, "no_application_protocol"),
    (121, "ech_required"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_registry_s() {
        assert_eq!(version(0x0304), "TLSv1.3");
        assert_eq!(version(0x0300), "SSLv3");
        assert_eq!(suite(0x1301), "TLS_AES_128_GCM_SHA256");
        assert_eq!(suite(0x000a), "TLS_RSA_WITH_3DES_EDE_CBC_SHA");
        assert_eq!(suite(0xc02f), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(suite(0xc0aa), "TLS_PSK_DHE_WITH_AES_128_CCM_8");
        assert_eq!(group(0x11ec), "X25519MLKEM768");
        assert_eq!(group(23), "secp256r1");
        assert_eq!(signature_scheme(0x0403), "ecdsa_secp256r1_sha256");
        assert_eq!(alert(116), "certificate_required");
    }

    #[test]
    fn what_has_no_name_is_its_number() {
        assert_eq!(version(0x7f1c), "0x7f1c");
        assert_eq!(suite(0x0a0a), "0x0a0a");
        assert_eq!(group(0x0a0a), "2570");
        assert_eq!(signature_scheme(0x0301), "0x0301");
        assert_eq!(alert(233), "233");
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
            assert_eq!(group_by_name(name), Some(number), "{name}");
        }
        assert_eq!(group_by_name("P-255"), None);
    }

    #[test]
    fn every_group_is_found_by_its_own_name() {
        for (number, name) in GROUPS {
            assert_eq!(group_by_name(name), Some(*number), "{name}");
        }
    }

    #[test]
    fn tables_are_sorted() {
        assert!(VERSIONS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(suites::SUITES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(suites::SUITES.len(), include_str!("names/suites.txt").lines().count());
        assert!(GROUPS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(SIGNATURE_SCHEMES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(ALERTS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
