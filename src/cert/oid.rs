//! Names of the object identifiers that certificates use. An OID without a name is shown in dots.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use super::text;

/// Names by number.
type Names = LazyLock<HashMap<&'static str, &'static str>>;

static SIGNATURE_ALGORITHMS: Names =
    LazyLock::new(|| names(include_str!("oid/signature_algorithms.txt")));
static ATTRIBUTES: Names = LazyLock::new(|| names(include_str!("oid/attributes.txt")));
static POLICIES: Names = LazyLock::new(|| names(include_str!("oid/policies.txt")));

/// What the OID of a public key algorithm tells about the size of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// The size is that of the modulus.
    Rsa,
    /// The curve is in the parameters.
    Ec,
    /// The name, and the size in bits where it follows from the name.
    Fixed(&'static str, Option<u32>),
}

/// The kind of key that a public key algorithm has.
pub(super) fn key_kind(oid: &[u8]) -> Option<KeyKind> {
    Some(match dotted(oid)?.as_str() {
        "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" => KeyKind::Rsa,
        "1.2.840.10045.2.1" => KeyKind::Ec,
        "1.3.101.112" => KeyKind::Fixed("Ed25519", Some(256)),
        "1.3.101.113" => KeyKind::Fixed("Ed448", Some(448)),
        "1.2.840.10040.4.1" => KeyKind::Fixed("DSA", None),
        "2.16.840.1.101.3.4.3.17" => KeyKind::Fixed("ML-DSA-44", None),
        "2.16.840.1.101.3.4.3.18" => KeyKind::Fixed("ML-DSA-65", None),
        "2.16.840.1.101.3.4.3.19" => KeyKind::Fixed("ML-DSA-87", None),
        _ => return None,
    })
}

/// A named curve and the size of its keys in bits.
pub(super) fn curve(oid: &[u8]) -> (Cow<'static, str>, Option<u32>) {
    let known = match dotted(oid).as_deref() {
        Some("1.2.840.10045.3.1.1") => ("secp192r1", 192),
        Some("1.3.132.0.33") => ("secp224r1", 224),
        Some("1.2.840.10045.3.1.7") => ("secp256r1", 256),
        Some("1.3.132.0.10") => ("secp256k1", 256),
        Some("1.3.132.0.34") => ("secp384r1", 384),
        Some("1.3.132.0.35") => ("secp521r1", 521),
        Some("1.3.36.3.3.2.8.1.1.7") => ("brainpoolP256r1", 256),
        Some("1.3.36.3.3.2.8.1.1.11") => ("brainpoolP384r1", 384),
        Some("1.3.36.3.3.2.8.1.1.13") => ("brainpoolP512r1", 512),
        Some("1.2.156.10197.1.301") => ("curveSM2", 256),
        _ => return (numbered(oid), None),
    };
    (Cow::Borrowed(known.0), Some(known.1))
}

/// The name of a signature algorithm, as its RFC has it.
pub(super) fn signature_algorithm(oid: &[u8]) -> Cow<'static, str> {
    named(&SIGNATURE_ALGORITHMS, oid).map_or_else(|| numbered(oid), Cow::Borrowed)
}

/// Whether the name of a signature algorithm says MD2, MD5 or SHA-1.
pub(super) fn is_weak_signature(oid: &[u8]) -> bool {
    let name = signature_algorithm(oid).to_ascii_lowercase();
    ["md2", "md5", "sha1"].iter().any(|weak| name.contains(weak))
}

/// The keyword of a name's attribute: RFC 4514's table and the descriptors registered for LDAP.
pub(super) fn attribute(oid: &[u8]) -> Option<&'static str> {
    named(&ATTRIBUTES, oid)
}

/// The validation that a certificate policy of the CA/Browser Forum stands for.
pub(super) fn policy(oid: &[u8]) -> Option<&'static str> {
    named(&POLICIES, oid)
}

fn named(names: &Names, oid: &[u8]) -> Option<&'static str> {
    names.get(dotted(oid)?.as_str()).copied()
}

/// From a table with a number and a name in every line.
fn names(table: &'static str) -> HashMap<&'static str, &'static str> {
    table.lines().filter_map(|row| row.split_once(' ')).collect()
}

/// The number, with dots; in hex with a `#` where the bytes are no OID.
pub(super) fn numbered(oid: &[u8]) -> Cow<'static, str> {
    Cow::Owned(dotted(oid).unwrap_or_else(|| format!("#{}", text::hex(oid))))
}

fn dotted(oid: &[u8]) -> Option<String> {
    let mut out = String::new();
    let mut arc = 0u64;
    let mut open = true;
    for byte in oid {
        arc = arc.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        open = byte & 0x80 != 0;
        if open {
            continue;
        }
        // Writing to a String cannot fail.
        let _infallible = match (out.is_empty(), arc) {
            (true, ..40) => write!(out, "0.{arc}"),
            (true, 40..80) => write!(out, "1.{}", arc - 40),
            (true, _) => write!(out, "2.{}", arc - 80),
            (false, _) => write!(out, ".{arc}"),
        };
        arc = 0;
    }
    (!open).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_dots() {
        assert_eq!(numbered(&[0x55, 4, 3]), "2.5.4.3");
        assert_eq!(numbered(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]), "1.2.840.113549");
        assert_eq!(numbered(&[0x88, 0x37, 1]), "2.999.1");
        assert_eq!(numbered(&[]), "#");
        assert_eq!(numbered(&[0x2a, 0x86]), "#2a86");
    }

    #[test]
    fn weak_algorithms_are_known() {
        let weak: [&[u8]; 6] = [
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 2],
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4],
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5],
            &[0x2b, 0x0e, 3, 2, 29],
            &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3],
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1],
        ];
        for oid in weak {
            assert!(is_weak_signature(oid), "{}", signature_algorithm(oid));
        }
        assert!(!is_weak_signature(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]));
    }
}
