//! A range of addresses, expanded one address at a time.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpAddrRange, IpNet, Ipv4AddrRange, Ipv6AddrRange};

use crate::feed::target::{InvalidTarget, Sni, port};
use crate::limits::RANGE_BITS;

/// All addresses of a CIDR prefix (RFC 4632, RFC 4291), the first and the last one too.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    addresses: IpAddrRange,
    count: u64,
    port: u16,
    rest: &'a str,
}

impl<'a> Range<'a> {
    /// Parses `ADDRESS/LENGTH[:PORT]` or `[V6/LENGTH]:PORT`, then `,SNI,TAG`. `None` when the line
    /// is not a range. Blanks may stand for the colon. Bits of the address beyond the prefix are
    /// ignored.
    ///
    /// `default` is the port of ranges that name none.
    ///
    /// # Errors
    /// Why the range cannot be expanded.
    pub fn parse(line: &'a str, default: u16) -> Option<Result<Self, InvalidTarget>> {
        let (text, rest) = line.split_at(line.find(',').unwrap_or(line.len()));
        let (address, length) = text.trim().split_once('/')?;
        let bracketed = address.strip_prefix('[');
        let address = bracketed.unwrap_or(address).parse().ok()?;
        let (length, digits) = match length.split_once(|c: char| c == ':' || c.is_whitespace()) {
            Some((length, digits)) => (length, Some(digits.trim_start())),
            None => (length, None),
        };
        let length = match bracketed {
            Some(_) => length.strip_suffix(']')?,
            None => length,
        };
        Some(prefix(address, length).and_then(|net| {
            let sni = rest.split(',').nth(1).unwrap_or_default();
            sni.trim().parse::<Sni>()?;
            let port = digits.map_or(Ok(default), port)?;
            let bits = net.max_prefix_len() - net.prefix_len();
            Ok(Self { addresses: all(net), count: 1 << bits, port, rest })
        }))
    }

    /// How many addresses there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What is to be dialled, in order.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        let port = self.port;
        self.addresses.map(move |address| SocketAddr::new(address, port))
    }

    /// The line of one of them.
    pub fn line(&self, address: SocketAddr) -> String {
        format!("{address}{}", self.rest)
    }
}

fn prefix(address: IpAddr, length: &str) -> Result<IpNet, InvalidTarget> {
    let net: IpNet = format!("{address}/{length}").parse().map_err(|_error| {
        InvalidTarget("the prefix length is a number from 0 to 32, for IPv6 to 128".to_owned())
    })?;
    let bits = net.max_prefix_len() - net.prefix_len();
    if bits > RANGE_BITS {
        let shortest = net.max_prefix_len() - RANGE_BITS;
        return Err(InvalidTarget(format!(
            "the range has 2^{bits} addresses, 2^{RANGE_BITS} is the limit; write /{shortest} or longer"
        )));
    }
    Ok(net)
}

fn all(net: IpNet) -> IpAddrRange {
    match net {
        IpNet::V4(net) => Ipv4AddrRange::new(net.network(), net.broadcast()).into(),
        IpNet::V6(net) => Ipv6AddrRange::new(net.network(), net.broadcast()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(line: &str) -> Vec<String> {
        let range = Range::parse(line, 443).unwrap().unwrap();
        range.addresses().map(|address| range.line(address)).collect()
    }

    #[test]
    fn every_form_of_a_range() {
        for (line, first, last, count) in [
            ("192.0.2.0/30", "192.0.2.0:443", "192.0.2.3:443", 4),
            ("192.0.2.7/30:25", "192.0.2.4:25", "192.0.2.7:25", 4),
            ("192.0.2.7/32 25", "192.0.2.7:25", "192.0.2.7:25", 1),
            ("[2001:db8::/127] 25", "[2001:db8::]:25", "[2001:db8::1]:25", 2),
            ("192.0.2.7/32", "192.0.2.7:443", "192.0.2.7:443", 1),
            ("255.255.255.255/31", "255.255.255.254:443", "255.255.255.255:443", 2),
            ("2001:db8::/120", "[2001:db8::]:443", "[2001:db8::ff]:443", 256),
            ("[2001:db8::/127]:25", "[2001:db8::]:25", "[2001:db8::1]:25", 2),
            ("[2001:db8::1/128]", "[2001:db8::1]:443", "[2001:db8::1]:443", 1),
            ("::ffff:192.0.2.9/128", "[::ffff:192.0.2.9]:443", "[::ffff:192.0.2.9]:443", 1),
            (
                "192.0.2.0/31 , a.example,b, c",
                "192.0.2.0:443, a.example,b, c",
                "192.0.2.1:443, a.example,b, c",
                2,
            ),
            ("192.0.2.0/31,,a/b", "192.0.2.0:443,,a/b", "192.0.2.1:443,,a/b", 2),
        ] {
            let lines = lines(line);
            let ends = lines.first().zip(lines.last()).map(|(a, b)| (a.as_str(), b.as_str()));
            assert_eq!((ends, lines.len()), (Some((first, last)), count), "{line}");
        }
    }

    #[test]
    fn the_largest_range_is_not_collected() {
        for line in ["0.0.0.0/0", "2001:db8::/96"] {
            let range = Range::parse(line, 1).unwrap().unwrap();
            assert_eq!(range.addresses().take(3).count(), 3);
            assert_eq!(range.addresses.size_hint().1, Some(1 << 32));
        }
    }

    #[test]
    fn what_is_no_range_is_left_to_the_target() {
        for line in [
            "192.0.2.1",
            "192.0.2.1:443,,a/24",
            "example.com/24",
            "https://192.0.2.0/24",
            "192.0.2/24",
            "/24",
            "[2001:db8::/120",
            "192.0.2.1:443/24",
            "fe80::1%eth0/64",
        ] {
            assert!(Range::parse(line, 443).is_none(), "{line}");
        }
    }

    #[test]
    fn a_bad_range_says_why() {
        for (line, word) in [
            ("192.0.2.0/33", "prefix length"),
            ("192.0.2.0/", "prefix length"),
            ("192.0.2.0/-1", "prefix length"),
            ("192.0.2.0/+8", "prefix length"),
            ("192.0.2.0/24/24", "prefix length"),
            ("192.0.2.0/255.255.255.0", "prefix length"),
            ("192.0.2.0/24]", "prefix length"),
            ("2001:db8::/129", "prefix length"),
            ("192.0.2.0/24:0", "port"),
            ("192.0.2.0/24:", "port"),
            ("[2001:db8::/120]:x", "port"),
            ("192.0.2.0/24,a..b", "SNI"),
            ("2001:db8::/95", "2^33"),
            ("::/0", "/96"),
        ] {
            let InvalidTarget(reason) = Range::parse(line, 443).unwrap().unwrap_err();
            assert!(reason.contains(word), "{line}: {reason}");
        }
    }
}
