//! The name servers in `/etc/resolv.conf` and how to ask them, read as the C library reads them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::Path;

use nix::net::if_::if_nametoindex;

use crate::escape::{escaped_lossy, shown};
use crate::limits::ECHO_LIMIT;
use crate::plural::count;

/// The port of name servers that are written without one.
const PORT: u16 = 53;

/// Who is asked where no name server is configured, as by the C library.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);

/// How many name servers the C library uses (`MAXNS`).
const MOST_SERVERS: usize = 3;

/// Bytes of a line that are looked at.
const LONGEST_LINE: u64 = 4096;

/// Lines that cannot be used and are said one by one; of more, there is a count.
const MOST_NOTICES: usize = 8;

/// What the file says of name servers.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Conf {
    /// At least one.
    pub(super) servers: Vec<SocketAddr>,
    /// How they are to be asked.
    pub(super) options: Options,
    /// What of the file cannot be used, a sentence each.
    pub(super) notices: Vec<String>,
}

/// Those of the `options` that change what a lookup comes to. All others are about search domains,
/// which are not used, or about times and the order of servers, which have rules of their own here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Options {
    /// `use-vc`: every question goes over TCP.
    pub(super) tcp_only: bool,
    /// `no-aaaa`: no IPv6 addresses are asked for, unless nothing else is wanted.
    pub(super) no_aaaa: bool,
}

impl Conf {
    /// Reads a file. Where there is none, or none that can be read, the name server is on this
    /// machine.
    pub(super) fn open(path: &Path) -> Self {
        let file = shown(path);
        let read = File::open(path).and_then(|opened| Self::read(BufReader::new(opened), &file));
        let mut conf = match read {
            Ok(conf) => conf,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::info!("there is no {file}; the name server {LOCAL} is asked");
                return Self { servers: vec![LOCAL], ..Self::default() };
            }
            Err(error) => {
                Self { notices: vec![format!("cannot read {file}: {error}")], ..Self::default() }
            }
        };
        if conf.servers.is_empty() {
            conf.servers.push(LOCAL);
            conf.notices.push(format!("{file} names no name server; {LOCAL} is asked"));
        }
        conf
    }

    /// Lines about anything but name servers and options do not matter.
    fn read(mut file: impl BufRead, name: &str) -> io::Result<Self> {
        let mut conf = Self::default();
        let (mut line, mut unused) = (Vec::new(), 0_u64);
        for number in 1_u64.. {
            line.clear();
            file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                break;
            }
            if !line.ends_with(b"\n") {
                // The rest of a line that is too long to mean anything, or the end of the file.
                file.skip_until(b'\n')?;
            }
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            if let Some(options) = after(b"options", line) {
                conf.options.read(options);
            }
            let Some(word) = after(b"nameserver", line).and_then(|rest| words(rest).next()) else {
                continue;
            };
            match str::from_utf8(word).ok().and_then(address) {
                Some(address) if conf.servers.len() < MOST_SERVERS => conf.servers.push(address),
                // As the C library does, silently: such files are common.
                Some(address) => tracing::info!(
                    "{name}, line {number}: {address} is not asked; {MOST_SERVERS} name servers are used"
                ),
                None if conf.notices.len() < MOST_NOTICES => conf.notices.push(format!(
                    "{name}, line {number}: {} is not the address of a name server",
                    escaped_lossy(word, ECHO_LIMIT)
                )),
                None => unused += 1,
            }
        }
        if unused > 0 {
            let lines = count(unused, "line");
            conf.notices.push(format!("{name}: {lines} more cannot be used either"));
        }
        Ok(conf)
    }
}

impl Options {
    /// Reads the words of an `options` line. As for the C library, what follows the name of an option
    /// does not matter.
    fn read(&mut self, line: &[u8]) {
        for word in words(line) {
            self.tcp_only |= word.starts_with(b"use-vc");
            self.no_aaaa |= word.starts_with(b"no-aaaa");
        }
    }
}

/// What follows `keyword`, which must be the first word of the line.
fn after<'a>(keyword: &[u8], line: &'a [u8]) -> Option<&'a [u8]> {
    // For the C library, a NUL ends the line.
    let line = line.split(|byte| *byte == 0).next()?;
    line.strip_prefix(keyword).filter(|rest| rest.first().is_some_and(is_blank))
}

/// What lies between blanks. After a keyword with nothing but blanks behind it, there is one empty
/// word.
fn words(rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    let start = rest.iter().position(|byte| !is_blank(byte)).unwrap_or(rest.len());
    rest.get(start..).into_iter().flat_map(|rest| rest.split(is_blank))
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
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
    let named = if is_link_local { if_nametoindex(zone).ok() } else { None };
    named.or_else(|| zone.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<String>, Vec<String>) {
        let conf = Conf::read(text.as_bytes(), "resolv.conf").unwrap();
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
    fn options_are_read_as_by_the_c_library() {
        for (text, tcp_only, no_aaaa) in [
            ("options use-vc", true, false),
            ("options\trotate\t use-vc  edns0 no-aaaa", true, true),
            ("options use-vcx", true, false),
            ("options use_vc\noptions  no-aaa\noption no-aaaa\n options use-vc", false, false),
            ("options\nuse-vc\noptionsuse-vc\n#options use-vc\noptions x\0 use-vc", false, false),
            (
                "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\noptions no-aaaa",
                false,
                true,
            ),
        ] {
            let conf = Conf::read(text.as_bytes(), "resolv.conf").unwrap();
            assert_eq!(conf.options, Options { tcp_only, no_aaaa }, "{text:?}");
        }
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
    fn of_many_useless_lines_a_few_are_said_and_the_rest_counted() {
        let long = "nameserver 192.0.2.1".to_owned() + &" ".repeat(100_000) + "\n";
        let (servers, notices) = parsed(&("nameserver x\n".repeat(1000) + &long));
        assert_eq!((servers.as_slice(), notices.len()), (&["192.0.2.1:53".to_owned()][..], 9));
        assert_eq!(notices[8], "resolv.conf: 992 lines more cannot be used either");
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
        assert_eq!(conf, Conf { servers: vec![LOCAL], ..Conf::default() });

        let file = dir.path().join("resolv.conf");
        std::fs::write(&file, "search example\n").unwrap();
        let conf = Conf::open(&file);
        assert_eq!(conf.servers, [LOCAL]);
        assert!(conf.notices[0].ends_with("names no name server; 127.0.0.1:53 is asked"));

        let conf = Conf::open(dir.path());
        assert_eq!(conf.servers, [LOCAL]);
        assert!(conf.notices[0].contains("cannot read"), "{:?}", conf.notices);
    }
}
