//! What must not be dialled.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::escape::escaped_lossy;
use crate::failure::{Failure, Kind, Stage};
use crate::feed::target::{Host, InvalidTarget};
use crate::limits::ECHO_LIMIT;

/// The list of the special-purpose addresses of IANA's registries, and of multicast addresses.
pub const SPECIAL: &str = include_str!("special.txt");

const REMEDY: &str = "write 192.0.2.0/24, 2001:db8::1, example.com, *.example.com (all below it) \
    or .example.com (both)";

/// Addresses and names that must not be dialled. Clones share the lists.
#[derive(Clone, Debug, Default)]
pub struct Exclusions(Arc<Lists>);

#[derive(Clone, Debug, Default)]
struct Lists {
    /// First and last addresses, sorted, none overlapping another; IPv4 comes before IPv6.
    ranges: Vec<(IpAddr, IpAddr)>,
    /// Names; those with a leading dot stand for everything below them.
    names: HashSet<String>,
}

/// An invalid line of an exclude list: its number, the reason and the remedy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidEntry(String);

impl Exclusions {
    /// Adds a list: on each line a CIDR range, an address, `example.com` for that name alone,
    /// `*.example.com` for all names below it, or `.example.com` for both. What follows `#` is a
    /// comment.
    ///
    /// # Errors
    /// The first line that is none of these.
    pub fn add_list(&mut self, list: &str) -> Result<(), InvalidEntry> {
        let lists = Arc::make_mut(&mut self.0);
        for (line, text) in (1..).zip(list.trim_start_matches('\u{feff}').lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            if !text.is_empty() {
                lists.add(text).map_err(|InvalidTarget(reason)| {
                    let text = escaped_lossy(text.as_bytes(), ECHO_LIMIT);
                    InvalidEntry(format!(
                        "line {line}: {text} excludes nothing ({reason}); {REMEDY}"
                    ))
                })?;
            }
        }
        lists.ranges.sort_unstable();
        lists.ranges.dedup_by(|next, kept| {
            let overlaps = next.0 <= kept.1;
            if overlaps {
                kept.1 = kept.1.max(next.1);
            }
            overlaps
        });
        Ok(())
    }

    /// Whether an address is excluded, or one that packets to it reach: see `reached`.
    pub fn covers_address(&self, address: IpAddr) -> bool {
        let ranges = &self.0.ranges;
        reached(address).any(|address| {
            let up_to = ranges.partition_point(|(first, _)| *first <= address);
            let nearest = ranges.get(..up_to).and_then(<[_]>::last);
            nearest.is_some_and(|(_, last)| address <= *last)
        })
    }

    /// Whether a name is excluded: in lower case and punycode, without a trailing dot.
    pub fn covers_name(&self, name: &str) -> bool {
        let names = &self.0.names;
        let mut parents = name.match_indices('.').filter_map(|(dot, _)| name.get(dot..));
        names.contains(name) || parents.any(|parent| names.contains(parent))
    }

    /// Returns the host unless it is excluded.
    ///
    /// # Errors
    /// `input/excluded`.
    #[doc(hidden)]
    pub fn admit(&self, host: &Host) -> Result<(), Failure> {
        let is_excluded = match host {
            Host::Address(address) => self.covers_address(*address),
            Host::Name(name) => self.covers_name(name.as_ref()),
        };
        match is_excluded {
            true => Err(excluded(format!("{host} is on an exclude list"))),
            false => Ok(()),
        }
    }
}

impl Lists {
    fn add(&mut self, entry: &str) -> Result<(), InvalidTarget> {
        let invalid = |reason: &str| InvalidTarget(reason.to_owned());
        if entry.contains('/') {
            self.ranges.push(span(entry.parse().map_err(|_error| invalid("not a CIDR range"))?));
            return Ok(());
        }
        let (host, is_itself, is_below) = match (entry.strip_prefix("*."), entry.strip_prefix('.'))
        {
            (Some(host), _) => (host, false, true),
            (None, Some(host)) => (host, true, true),
            (None, None) => (entry, true, false),
        };
        match host.parse()? {
            Host::Address(address) if !is_below => self.ranges.push(span(address.into())),
            Host::Address(_) => return Err(invalid("there is nothing below an address")),
            Host::Name(name) => {
                let name = name.as_ref();
                self.names.extend(is_below.then(|| format!(".{name}")));
                self.names.extend(is_itself.then(|| name.to_owned()));
            }
        }
        Ok(())
    }
}

/// The address itself and the others that packets to it reach:
///
/// - Linux connects an unspecified address to loopback.
/// - An IPv4-mapped address is sent to as IPv4.
/// - NAT64 gateways translate `64:ff9b::/96` (RFC 6052) and prefixes in `64:ff9b:1::/48` (RFC 8215)
///   to the IPv4 address in it. IPv4-translated addresses (`::ffff:0:0:0/96`, RFC 2765) are
///   translated as well.
/// - 6to4 (`2002::/16`, RFC 3056), Teredo (`2001::/32`, RFC 4380), ISATAP (RFC 5214) and automatic
///   tunnels to IPv4-compatible addresses (`::/96`) send packets to the IPv4 address in it.
fn reached(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let inner = match address.to_canonical() {
        IpAddr::V4(inner) => [Some(inner), None, None, None],
        IpAddr::V6(outer) => embedded(outer),
    };
    let inner = inner.into_iter().flatten();
    let is_unspecified =
        address.is_unspecified() || inner.clone().any(|inner| inner.is_unspecified());
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    [address]
        .into_iter()
        .chain(inner.map(IpAddr::V4))
        .chain(loopback.into_iter().filter(move |_| is_unspecified))
}

/// The IPv4 addresses in an IPv6 address, wherever gateways and tunnels look for one.
fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let join = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let one = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0x64, 0xff9b, 1, ..] => return embedded_at_any_length(address),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0 | 0xffff, 0, high, low]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low]
        | [0x2002, high, low, ..] => Some(join(high, low)),
        [0x2001, 0, .., high, low] => Some(join(!high, !low)),
        _ => None,
    };
    [one, None, None, None]
}

/// The IPv4 addresses for prefixes of 48, 56, 64 and 96 bits (RFC 6052, section 2.2). The length
/// that the network uses is not known. Bits 64 to 71 belong to no address.
///
/// An unspecified address is left out: it is only the zeros behind an address at another length.
fn embedded_at_any_length(address: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let [_, _, _, _, _, _, a, b, _, c, d, e, f, g, h, i] = address.octets();
    let last = [f, g, h, i];
    [[a, b, c, d], [b, c, d, e], [c, d, e, f], last]
        .map(|octets| Some(Ipv4Addr::from(octets)).filter(|inner| !inner.is_unspecified()))
}

fn excluded(detail: String) -> Failure {
    Failure::new(Stage::Input, Kind::Excluded, detail)
}

/// The first and the last address of a range. A range of IPv4-mapped IPv6 addresses becomes the
/// range of the IPv4 addresses in them.
fn span(net: IpNet) -> (IpAddr, IpAddr) {
    let (first, last) = (net.network(), net.broadcast());
    match net.prefix_len() > 96 {
        true => (first.to_canonical(), last.to_canonical()),
        false => (first, last),
    }
}

impl fmt::Display for InvalidEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidEntry {}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Exclusions {
        let mut exclusions = Exclusions::default();
        exclusions.add_list(text).unwrap();
        exclusions
    }

    fn covers(exclusions: &Exclusions, address: &str) -> bool {
        exclusions.covers_address(address.parse().unwrap())
    }

    #[test]
    fn addresses_and_ranges_with_their_edges() {
        let list = list(
            "\u{feff}# comment\n\n192.0.2.64/26 # a range\n192.0.2.7\r\n192.0.2.96/27\n\
             192.0.3.9/24\n2001:db8::/32\n255.255.255.255\n0.0.0.0\n",
        );
        for address in [
            "192.0.2.7",
            "192.0.2.64",
            "192.0.2.100",
            "192.0.2.127",
            "192.0.3.0",
            "192.0.3.255",
            "0.0.0.0",
            "255.255.255.255",
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "::ffff:192.0.2.7",
            "::ffff:192.0.2.127",
        ] {
            assert!(covers(&list, address), "{address}");
        }
        for address in [
            "192.0.2.6",
            "192.0.2.8",
            "192.0.2.63",
            "192.0.2.128",
            "192.0.4.0",
            "0.0.0.1",
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
            "::",
            "::ffff:192.0.2.8",
        ] {
            assert!(!covers(&list, address), "{address}");
        }
    }

    #[test]
    fn mapped_addresses_are_the_same_from_both_sides() {
        for text in ["::ffff:192.0.2.1", "::ffff:192.0.2.0/120", "192.0.2.1/32"] {
            let list = list(text);
            assert!(covers(&list, "192.0.2.1"), "{text}");
            assert!(covers(&list, "::ffff:192.0.2.1"), "{text}");
            assert!(!covers(&list, "::ffff:192.0.3.1"), "{text}");
        }
        for text in ["::/0", "::ffff:0:0/96"] {
            let list = list(text);
            assert!(covers(&list, "::ffff:192.0.2.1"), "{text}");
            assert!(!covers(&list, "192.0.2.1"), "IPv6 alone: {text}");
        }
    }

    #[test]
    fn an_address_that_leads_to_an_excluded_one_is_excluded() {
        let loopback = list("127.0.0.0/8");
        for address in [
            "0.0.0.0",
            "::",
            "::ffff:0.0.0.0",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::",
            "64:ff9b:1::127.0.0.1",
            "64:ff9b:1:fffe::127.9.9.9",
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b:1:7f:0:1::",
            "64:ff9b:1:0:7f:0:100:0",
            "64:ff9b:1:7f00:0:100:ffff:ffff",
            "::ffff:0:127.0.0.1",
            "fe80::5efe:127.0.0.1",
            "2001:db8::200:5efe:127.0.0.1",
            "2002:7f00:1::1",
            "2001:0:1:2:3:4:80ff:fffe",
        ] {
            assert!(covers(&loopback, address), "{address}");
        }
        for address in [
            "::1",
            "::2",
            "0.0.0.1",
            "::ffff:128.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9c::7f00:1",
            "64:ff9b:2::7f00:1",
            "64:ff9b:1:808:8:800::",
            "64:ff9b:1::",
            "::fffe:0:127.0.0.1",
            "fe80::100:5efe:127.0.0.1",
            "2002:808:808::1",
            "2003:7f00:1::1",
            "2001:0:1:2:3:4:7f00:1",
            "2001:db8::7f00:1",
        ] {
            assert!(!covers(&loopback, address), "{address}");
        }
        assert!(covers(&list("::1"), "::"));
        assert!(covers(&list("::1"), "0.0.0.0"));
        assert!(!covers(&list("0.0.0.0/8"), "::1"), "no IPv4-compatible address");
        for unspecified in ["::", "0.0.0.0"] {
            assert!(covers(&list(unspecified), unspecified));
            assert!(!covers(&list(unspecified), "127.0.0.1"), "only that form of it is excluded");
        }
    }

    #[test]
    fn names_alone_below_and_both() {
        let list = list("One.Example.\n*.two.example\n.three.example\nbücher.example\n");
        for name in [
            "one.example",
            "a.two.example",
            "a.b.two.example",
            "three.example",
            "a.three.example",
            "xn--bcher-kva.example",
        ] {
            assert!(list.covers_name(name), "{name}");
        }
        for name in ["a.one.example", "two.example", "atwo.example", "example", "athree.example"] {
            assert!(!list.covers_name(name), "{name}");
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, words) in [
            ("a.example\n\n192.0.2.0/33", ["line 3: 192.0.2.0/33 ", "CIDR"]),
            ("192.0.2.1-192.0.2.9", ["line 1", "end in a number"]),
            ("192.0.2.1:443", ["line 1", "host name"]),
            ("https://a.example", ["line 1", "CIDR"]),
            ("*.192.0.2.1", ["line 1", "below an address"]),
            (".192.0.2.1", ["line 1", "below an address"]),
            ("*", ["line 1", "host name"]),
            (".", ["line 1", "empty"]),
            ("a.*.example", ["line 1", "host name"]),
            ("a b\u{7}", ["line 1", "host name"]),
        ] {
            let error = Exclusions::default().add_list(text).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
            assert!(error.contains("*.example.com") && !error.contains('\u{7}'), "{error}");
        }
    }

    #[test]
    fn special_addresses() {
        let special = list(SPECIAL);
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "100.127.0.1",
            "169.254.169.254",
            "198.19.255.255",
            "224.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
            "2001::1",
            "2002::1",
            "::ffff:8.8.8.8",
            "64:ff9b::1",
            "ff02::1",
        ] {
            assert!(covers(&special, address), "{address}");
        }
        for address in
            ["8.8.8.8", "172.32.0.0", "100.128.0.0", "198.20.0.0", "2606:4700::1", "2001:200::1"]
        {
            assert!(!covers(&special, address), "{address}");
        }
    }

    #[test]
    fn hosts_are_compared_in_one_form() {
        let list = list("192.0.2.0/24\na.example");
        assert!(list.admit(&"A.Example.".parse().unwrap()).is_err());
        assert!(list.admit(&"192.0.2.9".parse().unwrap()).is_err());
        assert!(list.admit(&"b.example".parse().unwrap()).is_ok());
    }
}
