//! The `nameserver` lines of `/etc/resolv.conf`, read as the C library reads them.

use std::ffi::CString;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::Path;

use crate::escape::{escaped_lossy, shown};
use crate::limits::ECHO_LIMIT;

/// The port of name servers that are written without one.
const PORT: u16 = 53;

/// Who is asked where no name server is configured, as by the C library.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);

/// How many name servers the C library uses (`MAXNS`).
const MOST_SERVERS: usize = 3;

/// What the file says of name servers.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Conf {
    /// At least one.
    pub(super) servers: Vec<SocketAddr>,
    /// What of the file cannot be used, a sentence each.
    pub(super) notices: Vec<String>,
}

impl Conf {
    /// Reads a file. Where there is none, or none that can be read, the name server is on this
    /// machine.
    pub(super) fn open(path: &Path) -> Self {
        let file = shown(path);
        let mut conf = match fs::read(path) {
            Ok(text) => Self::parse(&text, &file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::info!("there is no {file}; the name server {LOCAL} is asked");
                return Self { servers: vec![LOCAL], notices: Vec::new() };
            }
            Err(error) => {
                Self { servers: Vec::new(), notices: vec![format!("cannot read {file}: {error}")] }
            }
        };
        if conf.servers.is_empty() {
            conf.servers.push(LOCAL);
            conf.notices.push(format!("{file} names no name server; {LOCAL} is asked"));
        }
        conf
    }

    /// Lines that are not about name servers do not matter: search domains are not used here.
    fn parse(text: &[u8], file: &str) -> Self {
        let mut conf = Self::default();
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let Some(word) = server_of(line) else { continue };
            match str::from_utf8(word).ok().and_then(address) {
                Some(address) if conf.servers.len() < MOST_SERVERS => conf.servers.push(address),
                // As the C library does, silently: such files are common.
                Some(address) => tracing::info!(
                    "{file}, line {number}: {address} is not asked; {MOST_SERVERS} name servers are used"
                ),
                None => conf.notices.push(format!(
                    "{file}, line {number}: {} is not the address of a name server",
                    escaped_lossy(word, ECHO_LIMIT)
                )),
            }
        }
        conf
    }
}

/// The word after `nameserver`, which must be the first on the line; what follows does not matter.
fn server_of(line: &[u8]) -> Option<&[u8]> {
    // For the C library, a NUL ends the line.
    let line = line.split(|byte| *byte == 0).next()?;
    let rest = line.strip_prefix(b"nameserver")?;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    if !rest.first().is_some_and(is_blank) {
        return None;
    }
    let start = rest.iter().position(|byte| !is_blank(byte)).unwrap_or(rest.len());
    rest.get(start..)?.split(is_blank).next()
}

fn address(word: &str) -> Option<SocketAddr> {
    if let Some(address) = inet_aton(word) {
        return Some(SocketAddr::new(address.into(), PORT));
    }
    let (address, zone) = match word.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (word, None),
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let zone = zone.map_or(0, |zone| scope(address, zone));
    Some(SocketAddrV6::new(address, PORT, 0, zone).into())
}

/// One to four numbers, each decimal, octal (`010`) or hexadecimal (`0x8`); the last one fills the
/// bytes that are left.
fn inet_aton(word: &str) -> Option<Ipv4Addr> {
    let mut bits: u32 = 0;
    let mut parts = word.split('.');
    let last = parts.next_back()?;
    let mut left = 32;
    for part in parts {
        left -= 8;
        if left == 0 {
            return None;
        }
        bits |= number(part).filter(|part| *part <= 0xff)? << left;
    }
    let last = number(last).filter(|last| u64::from(*last) < 1 << left)?;
    Some(Ipv4Addr::from_bits(bits | last))
}

fn number(part: &str) -> Option<u32> {
    let (digits, radix) = match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if part.len() > 1 && part.starts_with('0') => (part, 8),
        None => (part, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

/// The number of a zone: of an interface by its name, for link-local addresses alone, or as it
/// stands. One that means nothing is none, as for the C library.
fn scope(address: Ipv6Addr, zone: &str) -> u32 {
    let is_link_local = address.is_unicast_link_local()
        || address.segments().first().is_some_and(|first| first & 0xff0f == 0xff02);
    let named = if is_link_local { interface(zone) } else { None };
    named.or_else(|| zone.parse().ok()).unwrap_or(0)
}

fn interface(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    #[expect(unsafe_code, reason = "the pointer is to a string that ends with NUL")]
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<String>, Vec<String>) {
        let conf = Conf::parse(text.as_bytes(), "resolv.conf");
        (conf.servers.iter().map(ToString::to_string).collect(), conf.notices)
    }

    #[test]
    fn odd_lines_leave_the_name_servers_alone() {
        let text = "domain (none)\nsearch a..b\noptions nobody-knows timeout:x edns0\n\
            nonsense\n; nameserver 192.0.2.9\n#nameserver 192.0.2.9\n nameserver 192.0.2.9\n\
            nameserver192.0.2.9\nNAMESERVER 192.0.2.9\nnameserver\n\
            sortlist 130.155.160.0/255.255.240.0\nnameserver 192.0.2.1 # the first\n\
            nameserver \t 192.0.2.2\t\nnameserver\t2001:db8::1";
        assert_eq!(
            parsed(text),
            (vec!["192.0.2.1:53".into(), "192.0.2.2:53".into(), "[2001:db8::1]:53".into()], vec![])
        );
    }

    #[test]
    fn what_cannot_be_used_is_said_with_its_line() {
        let text = "nameserver dns.example\nnameserver \nnameserver 192.0.2.1\r\nnameserver 192.0.2.256\n\
            nameserver 192.0.2.1;192.0.2.2\nnameserver 192.0.2.7\n";
        let (servers, notices) = parsed(text);
        assert_eq!(servers, ["192.0.2.7:53"]);
        let lines: Vec<_> = notices.iter().filter_map(|it| it.split(':').next()).collect();
        assert_eq!(
            lines,
            [1, 2, 3, 4, 5].map(|line| format!("resolv.conf, line {line}")),
            "{notices:?}"
        );
        assert!(notices[0].contains("dns.example") && notices[2].contains("192.0.2.1\\r"));
    }

    #[test]
    fn three_name_servers_are_used() {
        let text = "nameserver 192.0.2.1\nnameserver x\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n\
            nameserver 192.0.2.4\n";
        let (servers, notices) = parsed(text);
        assert_eq!(servers, ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"]);
        assert_eq!(notices.len(), 1);
    }

    #[test]
    fn every_way_to_write_an_address() {
        for (word, expected) in [
            ("127.1", Some("127.0.0.1:53")),
            ("0x7f.0.0.010", Some("127.0.0.8:53")),
            ("2130706433", Some("127.0.0.1:53")),
            ("127.0.256", Some("127.0.1.0:53")),
            ("4294967295", Some("255.255.255.255:53")),
            ("::1", Some("[::1]:53")),
            ("::1%3", Some("[::1%3]:53")),
            ("fe80::1%lo", Some("[fe80::1%1]:53")),
            ("fe80::1%7", Some("[fe80::1%7]:53")),
            ("fe80::1%no-such-one", Some("[fe80::1]:53")),
            ("::1%lo", Some("[::1]:53")),
            ("4294967296", None),
            ("1.2.3.4.5", None),
            ("1.2.3.", None),
            (".1.2.3", None),
            ("1.2.3.+4", None),
            ("09.2.3.4", None),
            ("0x.2.3.4", None),
            ("256.2.3.4", None),
            ("1.2.65536", None),
            ("%lo", None),
            ("", None),
        ] {
            let address = address(word).map(|address| address.to_string());
            assert_eq!(address.as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn this_machine_is_asked_where_no_name_server_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let conf = Conf::open(&dir.path().join("none"));
        assert_eq!(conf, Conf { servers: vec![LOCAL], notices: Vec::new() });

        let file = dir.path().join("resolv.conf");
        fs::write(&file, "search example\n").unwrap();
        let conf = Conf::open(&file);
        assert_eq!(conf.servers, [LOCAL]);
        assert!(conf.notices[0].ends_with("names no name server; 127.0.0.1:53 is asked"));

        let conf = Conf::open(dir.path());
        assert_eq!(conf.servers, [LOCAL]);
        assert!(conf.notices[0].contains("cannot read"), "{:?}", conf.notices);
    }
}
