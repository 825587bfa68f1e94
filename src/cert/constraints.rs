//! Name constraints (RFC 5280, section 4.2.1.10), as OpenSSL evaluates them.
//!
//! webpki evaluates only constraints on DNS names and addresses. It refuses every certificate
//! below a CA that constrains directory names, as government and corporate CAs do.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::canonical::canonical;
use super::der::{Element, Reader, tag};
use super::link::Link;
use super::meter::Meter;
use super::reading::id;

/// The types of names that constraints can be evaluated for, by their tag number in GeneralName.
mod kind {
    pub(super) const EMAIL: u8 = 1;
    pub(super) const DNS: u8 = 2;
    pub(super) const DIRECTORY: u8 = 4;
    pub(super) const URI: u8 = 6;
    pub(super) const ADDRESS: u8 = 7;
}

/// A name with the number of its type.
struct Name<'a> {
    kind: u8,
    /// For directory names, their canonical form without header.
    value: Cow<'a, [u8]>,
}

impl<'a> Name<'a> {
    fn new(element: Element<'a>) -> Self {
        let kind = element.tag & 0x1f;
        let value = match kind {
            kind::DIRECTORY => {
                let inside = Reader::new(element.value).expect(tag::SEQUENCE);
                canonical(inside.map_or(element.value, |name| name.value))
            }
            _ => Cow::Borrowed(element.value),
        };
        Self { kind, value }
    }
}

/// Which of the two lists of subtrees a name is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subtrees {
    Permitted,
    Excluded,
}

/// Whether constraints permit all names of a certificate. `constraints` is the content of their
/// SEQUENCE. `None` when they cannot be read, or when comparing them costs more than the meter has
/// left.
pub(super) fn permits(constraints: &[u8], certificate: &Link<'_>, meter: &Meter) -> Option<bool> {
    let alternatives = certificate.reading.extension(id::SUBJECT_ALT_NAME);
    let alternatives = alternatives.map(|extension| extension.value);
    let subject =
        certificate.reading.subject.and_then(|name| Some(Reader::new(name).element()?.value));
    let subject = subject.filter(|name| !name.is_empty());
    let read = [Some(constraints), alternatives, subject].into_iter().flatten();
    meter.names(read.map(<[u8]>::len).sum::<usize>() * READING)?;

    let mut fields = Reader::new(constraints);
    let permitted = subtrees(fields.expect(tag::context(0)))?;
    let excluded = subtrees(fields.expect(tag::context(1)))?;
    if !fields.is_empty() {
        return None;
    }
    let mut names = subject.map_or_else(Vec::new, emails);
    names.extend(subject.map(|name| Name { kind: kind::DIRECTORY, value: canonical(name) }));
    if let Some(alternatives) = alternatives {
        let mut list = Reader::new(Reader::new(alternatives).expect(tag::SEQUENCE)?.value);
        while !list.is_empty() {
            names.push(Name::new(list.element()?));
        }
    }
    for name in &names {
        let comparison = COMPARING + name.value.len();
        meter.names((permitted.len() + excluded.len()) * comparison)?;
        let of_kind = |base: &&Name<'_>| base.kind == name.kind;
        let mut bases = permitted.iter().filter(of_kind).peekable();
        let is_constrained = bases.peek().is_some();
        let mut is_permitted = !is_constrained;
        for base in bases {
            is_permitted |= matches(name, base, Subtrees::Permitted)?;
        }
        let mut is_excluded = false;
        for base in excluded.iter().filter(of_kind) {
            is_excluded |= matches(name, base, Subtrees::Excluded)?;
        }
        if !is_permitted || is_excluded {
            return Some(false);
        }
    }
    Some(true)
}

/// Estimated nanoseconds per byte of names that are read, including the canonical form.
const READING: usize = 20;

/// Estimated nanoseconds per comparison of a name with a base; each byte of the name adds one.
const COMPARING: usize = 70;

/// The bases of a list of subtrees. None has a minimum or a maximum (RFC 5280), but some CAs write
/// the minimum of 0 that every subtree has.
fn subtrees(list: Option<Element<'_>>) -> Option<Vec<Name<'_>>> {
    const MINIMUM: u8 = 0x80;
    let mut bases = Vec::new();
    let mut list = Reader::new(list.map_or(&[], |list| list.value));
    while !list.is_empty() {
        let mut subtree = Reader::new(list.expect(tag::SEQUENCE)?.value);
        let base = subtree.element()?;
        let is_directory = base.tag & 0x1f == kind::DIRECTORY;
        (!is_directory || Reader::new(base.value).expect(tag::SEQUENCE).is_some()).then_some(())?;
        bases.push(Name::new(base));
        let minimum = subtree.expect(MINIMUM);
        minimum.is_none_or(|minimum| minimum.value == [0]).then_some(())?;
        subtree.is_empty().then_some(())?;
    }
    Some(bases)
}

/// The email addresses among the attributes of a distinguished name.
fn emails(name: &[u8]) -> Vec<Name<'_>> {
    const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
    let mut sets = Reader::new(name);
    let mut emails = Vec::new();
    while let Some(set) = sets.element() {
        let mut attributes = Reader::new(set.value);
        while let Some(attribute) = attributes.element() {
            let mut fields = Reader::new(attribute.value);
            let kind = fields.expect(tag::OID);
            if kind.is_some_and(|kind| kind.value == EMAIL_ADDRESS)
                && let Some(value) = fields.element()
            {
                emails.push(Name { kind: kind::EMAIL, value: value.value.into() });
            }
        }
    }
    emails
}

/// Whether the name is in the subtree. `None` for types that cannot be evaluated.
fn matches(name: &Name<'_>, base: &Name<'_>, subtrees: Subtrees) -> Option<bool> {
    let (value, base) = (&*name.value, &*base.value);
    Some(match name.kind {
        // Such a name is malformed. It can be compared with nothing, so the constraints are not
        // obeyed, whether they permit or exclude.
        kind::DNS if has_empty_label(value) => return None,
        kind::DNS => is_below(value, base) || subtrees == Subtrees::Excluded && covers(value, base),
        // Neither is obeyed by a name without a host (RFC 5280, section 4.2.1.10).
        kind::EMAIL => matches_email(value, base)?,
        kind::URI => matches_host(host(value)?, base),
        kind::ADDRESS => matches_address(value, base),
        kind::DIRECTORY => value.starts_with(base),
        _ => return None,
    })
}

/// Whether a DNS name begins with a dot or has two in a row.
fn has_empty_label(name: &[u8]) -> bool {
    name.starts_with(b".") || name.windows(2).any(|pair| pair == b"..")
}

/// Whether a DNS name equals the base or is below it. A base that begins with a dot matches only
/// names below it. The empty base matches every name.
fn is_below(name: &[u8], base: &[u8]) -> bool {
    let Some((rest, end)) = name.len().checked_sub(base.len()).map(|at| name.split_at(at)) else {
        return false;
    };
    let is_at_label =
        rest.is_empty() || base.is_empty() || base.starts_with(b".") || rest.ends_with(b".");
    is_at_label && end.eq_ignore_ascii_case(base)
}

/// Whether a wildcard name includes the base, as `*.example.com` includes `www.example.com`.
fn covers(wildcard: &[u8], base: &[u8]) -> bool {
    let mut labels = base.splitn(2, |&byte| byte == b'.');
    let parent = labels.nth(1);
    wildcard
        .strip_prefix(b"*.")
        .zip(parent)
        .is_some_and(|(wildcard, parent)| wildcard.eq_ignore_ascii_case(parent))
}

/// Whether a mailbox matches the base: a mailbox, a host, or all hosts below `.host`. `None` when
/// it is no mailbox.
fn matches_email(name: &[u8], base: &[u8]) -> Option<bool> {
    let at = |text: &[u8]| text.iter().rposition(|&byte| byte == b'@');
    let (local, host) = at(name).and_then(|at| name.split_at_checked(at))?;
    let host = host.get(1..).unwrap_or_default();
    Some(match at(base).and_then(|at| base.split_at_checked(at)) {
        Some((base_local, base_host)) => {
            (base_local.is_empty() || base_local == local)
                && base_host.get(1..).is_some_and(|base| base.eq_ignore_ascii_case(host))
        }
        None => matches_host(host, base),
    })
}

/// Whether a host matches the base: that host, or all hosts below `.host`.
fn matches_host(host: &[u8], base: &[u8]) -> bool {
    match base {
        [b'.', ..] => host.len() > base.len() && is_below(host, base),
        _ => host.eq_ignore_ascii_case(base),
    }
}

/// The host of a URI.
fn host(uri: &[u8]) -> Option<&[u8]> {
    let authority = uri.windows(3).position(|window| window == b"://")? + 3;
    let host = uri.get(authority..)?.split(|&byte| matches!(byte, b':' | b'/')).next()?;
    Some(host).filter(|host| !host.is_empty())
}

/// Whether an address is in the base, which is an address followed by a mask of the same length.
fn matches_address(address: &[u8], base: &[u8]) -> bool {
    if base.len().cmp(&(2 * address.len())) != Ordering::Equal || !matches!(address.len(), 4 | 16) {
        return false;
    }
    let (network, mask) = base.split_at(address.len());
    address
        .iter()
        .zip(network)
        .zip(mask)
        .all(|((address, network), mask)| address & mask == network & mask)
}

#[cfg(test)]
mod tests {
    use super::super::der::write;
    use super::*;

    #[test]
    fn dns_names_are_matched_by_label() {
        for (name, base, expected) in [
            ("example.com", "example.com", true),
            ("www.EXAMPLE.com", "example.com", true),
            ("badexample.com", "example.com", false),
            ("example.com", ".example.com", false),
            ("www.example.com", ".example.com", true),
            ("com", "example.com", false),
            ("example.com", "", true),
        ] {
            assert_eq!(is_below(name.as_bytes(), base.as_bytes()), expected, "{name} {base}");
        }
    }

    #[test]
    fn a_name_with_an_empty_label_is_compared_with_nothing() {
        let dns = |text: &'static str| Name { kind: kind::DNS, value: text.as_bytes().into() };
        for name in [".example.com", "a..example.com"] {
            for subtrees in [Subtrees::Permitted, Subtrees::Excluded] {
                assert_eq!(matches(&dns(name), &dns("example.com"), subtrees), None, "{name}");
            }
        }
        let sound = matches(&dns("a.example.com"), &dns("example.com"), Subtrees::Permitted);
        assert_eq!(sound, Some(true));
    }

    #[test]
    fn what_names_no_host_is_compared_with_nothing() {
        for kind in [kind::EMAIL, kind::URI] {
            let [name, base] = ["urn:isbn:1", "example.com"]
                .map(|text| Name { kind, value: text.as_bytes().into() });
            for subtrees in [Subtrees::Permitted, Subtrees::Excluded] {
                assert_eq!(matches(&name, &base, subtrees), None, "{kind}");
            }
        }
    }

    #[test]
    fn a_minimum_of_nothing_limits_nothing() {
        let subtree = |bounds: &[u8]| {
            let parts: [&[u8]; 2] = [&write(0x82, &[b"example.com"]), bounds];
            let list = write(tag::context(0), &[&write(tag::SEQUENCE, &parts)]);
            let element = Reader::new(&list).element();
            subtrees(element).map(|bases| bases.len())
        };
        assert_eq!(subtree(&[]), Some(1));
        assert_eq!(subtree(&[0x80, 1, 0]), Some(1));
        assert_eq!(subtree(&[0x80, 1, 1]), None);
        assert_eq!(subtree(&[0x81, 1, 5]), None);
    }

    #[test]
    fn a_wildcard_is_excluded_with_what_it_stands_for() {
        assert!(covers(b"*.example.com", b"www.Example.com"));
        assert!(!covers(b"*.example.com", b"a.www.example.com"));
        assert!(!covers(b"www.example.com", b"www.example.com"));
    }

    #[test]
    fn emails_uris_and_addresses() {
        for (name, base, expected) in [
            ("a@example.com", "a@example.com", Some(true)),
            ("A@example.com", "a@example.com", Some(false)),
            ("a@example.com", "EXAMPLE.com", Some(true)),
            ("a@www.example.com", "example.com", Some(false)),
            ("a@www.example.com", ".example.com", Some(true)),
            ("nobody", "example.com", None),
        ] {
            let matched = matches_email(name.as_bytes(), base.as_bytes());
            assert_eq!(matched, expected, "{name} {base}");
        }
        assert_eq!(host(b"https://example.com:1/x"), Some(&b"example.com"[..]));
        assert_eq!(host(b"urn:isbn:1"), None);
        assert!(matches_address(&[192, 0, 2, 7], &[192, 0, 2, 0, 255, 255, 255, 0]));
        assert!(!matches_address(&[192, 0, 3, 7], &[192, 0, 2, 0, 255, 255, 255, 0]));
        assert!(!matches_address(&[0; 16], &[0; 8]));
    }
}
