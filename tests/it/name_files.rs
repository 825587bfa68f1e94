//! `/etc/hosts` and `/etc/resolv.conf`: what glibc makes of odd files, tlsweep makes of them too.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::cmd::{Outcome, Tlsweep, verdict};
use crate::support::dns::NameServer;
use crate::support::peer::Spec;
use crate::support::programs::{Program, in_network_namespace, shown, unshare_mounts};

/// getent looks for addresses of a family only where the machine has one that is not loopback.
const BOTH_FAMILIES: &str = "ip addr add 192.0.2.1/32 dev lo; ip addr add fd00::2/64 dev lo nodad";

/// Odd hosts files: all of their addresses are on loopback.
const HOSTS: &[&[u8]] = &[
    b"127.0.0.1 localhost one\n::1 localhost two\n",
    b"127.0.0.2 one\n127.0.0.2 one\n127.0.0.2 one one\n127.0.0.3 one two\n::1 one\n",
    b"::ffff:127.0.0.2 one\n127.0.0.2 one\n::ffff:127.0.0.3 two\n",
    b"127.0.0.2 ONE\n127.0.0.3 One Two\n",
    b"127.0.0.2 one.\n127.0.0.3 two three.\n",
    b"# caf\xe9 \xff\n127.0.0.2 caf\xe9 one\n127.0.0.3 two # \xe9\n",
    b"127.1 one\n127.0.0.02 two\n0x7f.0.0.1 three\n2130706433 one\n127.0.0.1.1 two\n",
    b"\t 127.0.0.2 one\n \n\t\n127.0.0.3\x0btwo\x0c three\r\n",
    b"one 127.0.0.2\n127.0.0.3 two#three\n#127.0.0.4 one\n127.0.0.5#two\n",
    b"127.0.0.2\n127.0.0.3 \none\n127.0.0.4 two\0 three\n",
    b"::1%lo one\nfe80::1%lo two\n[::1] three\n127.0.0.2/8 one\n127.0.0.3 three",
    b"\xef\xbb\xbf127.0.0.2 one\n127.0.0.3 two\n",
    b"\0\0\0\n127.0.0.2 one\n",
    b"",
];

#[test]
fn odd_hosts_files_are_read_as_by_glibc() {
    let test = "name_files::odd_hosts_files_are_read_as_by_glibc";
    in_network_namespace(test, BOTH_FAMILIES, || {
        let (Some(getent), Some(etc)) = (Program::find("getent"), Etc::new()) else { return };
        etc.write("nsswitch.conf", b"hosts: files\n");
        let refusing = Spec::refusing().start();
        let server = NameServer::always("nxdomain");
        let long = [&vec![b'x'; 100_000], &b" 127.0.0.2 one\n127.0.0.3 "[..], &vec![b' '; 100_000]];
        let long = [&long.concat()[..], b"two ", &vec![b'x'; 100_000], b" three\n"].concat();
        for hosts in HOSTS.iter().copied().chain([&long[..]]) {
            etc.write("hosts", hosts);
            let shown = String::from_utf8_lossy(&hosts[..hosts.len().min(200)]).into_owned();
            for (flag, database) in [("-4", "ahostsv4"), ("-6", "ahostsv6")] {
                for name in ["one", "two", "three"] {
                    let output = etc.run(&[getent.path(), database, name]);
                    let expected: BTreeSet<_> = output
                        .lines()
                        .filter_map(|line| line.split_whitespace().next()?.parse::<IpAddr>().ok())
                        // IPv4 addresses as IPv6 addresses are what getent asks for.
                        .filter(|it| flag == "-4" || it.to_canonical().is_ipv6())
                        .collect();
                    let outcome = etc
                        .tlsweep()
                        .args([flag, "--all-addresses", "--resolver", &server.address()])
                        .sweep([format!("{name}:{}", refusing.addr.port())]);
                    let found = addresses(&outcome);
                    assert_eq!(
                        found.iter().copied().collect::<BTreeSet<_>>(),
                        expected,
                        "{name} {flag} in {shown}"
                    );
                    assert_eq!(found.len(), expected.len(), "an address twice: {shown}");
                }
            }
        }
    });
}

#[test]
fn a_duplicate_address_is_dialled_once() {
    let Some(etc) = Etc::new() else { return };
    let refusing = Spec::refusing().start();
    etc.write("hosts", b"127.0.0.1 x.test\n127.0.0.1 x.test x.test\n::ffff:127.0.0.1 x.test\n");
    let target = format!("x.test:{}", refusing.addr.port());
    let record = etc.tlsweep().sweep([&target]);
    assert_eq!(record.only_record()["attempts"], 1, "{record:#?}", record = record.records);
    assert_eq!(etc.tlsweep().args(["--all-addresses"]).sweep([&target]).records.len(), 1);
}

#[test]
fn a_hosts_file_of_a_million_lines_is_kept_small() {
    let Some(etc) = Etc::new() else { return };
    let line = |number| {
        format!(
            "127.{}.{}.{} host-{number}.example\n",
            number >> 16,
            number >> 8 & 255,
            number & 255
        )
    };
    let lines: String = (0..1_000_000).map(line).collect();
    etc.write("hosts", lines.as_bytes());
    let refusing = Spec::refusing().on_all_of_loopback().start();
    let mut run = etc.tlsweep().start();
    run.write(&format!("host-654321.example:{}\n", refusing.addr.port()));
    let record = run.next_record();
    assert_eq!(verdict(&record), "connect/refused", "{record:#}");
    assert_eq!(address(&record).to_string(), "127.9.251.241");
    let peak = run.peak_rss();
    run.finish().assert_complete();
    assert!(peak < 100 * 1024, "{peak} KiB");
}

#[test]
fn a_signal_while_a_name_file_is_read_ends_it_at_once() {
    let (Some(mkfifo), Some(true)) = (Program::find("mkfifo"), Etc::new().map(|_| true)) else {
        return;
    };
    for name in ["hosts", "resolv.conf"] {
        let Some(etc) = Etc::new() else { return };
        let fifo = etc.dir.path().join(name);
        assert!(mkfifo.run([&fifo]).status.success());
        let run = etc.tlsweep().args(["name.test:1"]).start();
        // Opening it to write succeeds once somebody has opened it to read.
        let writer = loop {
            let flags = OFlags::WRONLY | OFlags::NONBLOCK;
            match rustix::fs::open(&fifo, flags, Mode::empty()) {
                Ok(writer) => break writer,
                Err(error) => assert_eq!(error, rustix::io::Errno::NXIO),
            }
            std::thread::yield_now();
        };
        run.signal("TERM");
        let outcome = run.ends_within(Duration::from_secs(4));
        assert_eq!(outcome.code, Some(143), "{name}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty(), "{name}");
        drop(writer);
    }
}

/// Odd configurations: the name servers that they name are at 127.0.0.1 to 127.0.0.5 and at ::1.
const RESOLV_CONF: &[&[u8]] = &[
    b"nameserver 127.0.0.2\n",
    b"domain (none)\nnameserver 127.0.0.2\n",
    b"search a..b\nnameserver 127.0.0.2\nsearch ..\n",
    b"options nobody-knows timeout:x ndots:99999999999 edns0 attempts:1\nnameserver 127.0.0.2\n",
    b"nameserver 127.0.0.2\nnameserver 127.0.0.3\nnameserver 127.0.0.4\nnameserver 127.0.0.5\n",
    b"nameserver 127.0.0.2 127.0.0.3\nnameserver\t127.0.0.4\t# comment\n",
    b"nameserver 127.0.0.2;\nnameserver 127.0.0.3#x\nnameserver 127.0.0.4\n",
    b" nameserver 127.0.0.2\n\tnameserver 127.0.0.3\nnameserver127.0.0.4\nNameserver 127.0.0.5\n",
    b"#nameserver 127.0.0.2\n;nameserver 127.0.0.3\n# nameserver 127.0.0.4\n",
    b"nameserver ::1\nnameserver ::1%lo\nnameserver [::1]\n",
    b"nameserver fd00::2\nnameserver fe80::1%no-such-interface\nnameserver 127.0.0.3\n",
    b"nameserver 127.2\nnameserver 0x7f.0.0.3\nnameserver 127.0.0.04\n",
    b"nameserver 2130706434\nnameserver 127.0.0.300\nnameserver 127.0.0.3\n",
    b"nameserver 127.0.0.2\r\nnameserver 127.0.0.3\r\n",
    b"nameserver caf\xe9\nnameserver 127.0.0.2\xe9\nnameserver 127.0.0.3\n",
    b"nameserver one.example\nnameserver\nnameserver \nnameserver \t\n",
    b"nameserver 127.0.0.2\0\nnameserver 127.0.0.3\0 x\nname\0server 127.0.0.4\n",
    b"\xef\xbb\xbfnameserver 127.0.0.2\nnameserver 127.0.0.3",
    b"nameserver 127.0.0.2\rnameserver 127.0.0.3\r",
    b"nameserver\x0b127.0.0.2\nnameserver\x0c127.0.0.3\nnameserver 127.0.0.4\n",
    b"\0\0nameserver 127.0.0.2\nnameserver 127.0.0.3\n",
    b"nameserver 0.0.0.0\n",
    b"nameserver ::\n",
    b"nameserver ::ffff:127.0.0.2\nnameserver ::1%\n",
    b"nameserver 127.0.0.2%lo\nnameserver 127.0.0.08\nnameserver 127.0.0.3\n",
    b"nameserver \"127.0.0.2\"\nnameserver 127.0.0.2,127.0.0.3\nnameserver 127.0.0.4\\\nnameserver 127.0.0.5\n",
    b"options rotate trust-ad single-request\nsearch a b c d e f g h i\nnameserver 127.0.0.2\n",
    b"search only.example\n",
    b"",
];

#[test]
fn odd_resolver_configurations_are_read_as_by_glibc() {
    let test = "name_files::odd_resolver_configurations_are_read_as_by_glibc";
    in_network_namespace(test, BOTH_FAMILIES, || {
        let (Some(getent), Some(etc)) = (Program::find("getent"), Etc::new()) else { return };
        etc.write("nsswitch.conf", b"hosts: dns\n");
        etc.write("hosts", b"");
        let addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"];
        let addresses = addresses.into_iter().chain(["::1", "fd00::2"]);
        // A server that fails is not the last to be asked.
        let servers: Vec<_> = addresses
            .map(|ip| NameServer::always_at((ip.parse::<IpAddr>().unwrap(), 53).into(), "servfail"))
            .collect();
        let asked_for = |name: &str| -> Vec<String> {
            let asked = servers.iter().filter(|it| it.asked().iter().any(|asked| asked == name));
            asked.map(NameServer::address).collect()
        };
        for (number, conf) in RESOLV_CONF.iter().enumerate() {
            etc.write("resolv.conf", conf);
            let [by_glibc, by_us] = ["glibc", "us"].map(|who| format!("{who}.n{number}.example"));
            etc.run(&[getent.path(), "ahosts", &format!("{by_glibc}.")]);
            let outcome = etc.tlsweep().sweep([&by_us]);
            let shown = String::from_utf8_lossy(conf);
            assert!(!asked_for(&by_glibc).is_empty(), "glibc asks nobody: {shown}");
            assert_eq!(asked_for(&by_us), asked_for(&by_glibc), "{shown}\n{}", outcome.stderr);
        }
    });
}

#[test]
fn options_of_the_resolver_are_followed_as_by_glibc() {
    let test = "name_files::options_of_the_resolver_are_followed_as_by_glibc";
    in_network_namespace(test, BOTH_FAMILIES, || {
        let (Some(getent), Some(etc)) = (Program::find("getent"), Etc::new()) else { return };
        etc.write("nsswitch.conf", b"hosts: dns\n");
        etc.write("hosts", b"");
        let server = NameServer::always_at(([127, 0, 0, 1], 53).into(), "dual");
        let refusing = Spec::refusing().start();
        for (number, options) in [
            "",
            "options use-vc",
            "options no-aaaa",
            "options no-aaaa use-vc",
            "options rotate\tuse-vc,no-aaaa",
            "options use-vc-not no-aaaa:1",
            " options use-vc no-aaaa",
            "options timeout:0 attempts:1 ndots:15 no-reload edns0 inet6",
            "nameserver ::1\nnameserver ::1\nnameserver ::1\noptions use-vc no-aaaa",
        ]
        .into_iter()
        .enumerate()
        {
            etc.write("resolv.conf", format!("nameserver 127.0.0.1\n{options}\n").as_bytes());
            let [by_glibc, by_us] = ["glibc", "us"].map(|who| format!("{who}.n{number}.example"));
            etc.run(&[getent.path(), "ahosts", &format!("{by_glibc}.")]);
            let target = format!("{by_us}:{}", refusing.addr.port());
            let outcome = etc.tlsweep().args(["--all-addresses"]).sweep([target]);
            assert!(!addresses(&outcome).is_empty(), "{options}: {}", outcome.stderr);
            assert_eq!(server.asked_how(&by_us), server.asked_how(&by_glibc), "{options}");
        }
    });
}

#[test]
fn what_cannot_be_used_of_a_resolver_configuration_is_said() {
    let test = "name_files::what_cannot_be_used_of_a_resolver_configuration_is_said";
    in_network_namespace(test, BOTH_FAMILIES, || {
        let Some(etc) = Etc::new() else { return };
        let _server = NameServer::always_at(([127, 0, 0, 1], 53).into(), "servfail");
        for (conf, said) in [
            ("domain (none)\nnameserver 127.0.0.1\n", None),
            ("nameserver 127.0.0.1\nnameserver x\n", Some("line 2: x is not the address")),
            ("nameserver 127.0.0.1:53\nnameserver 127.0.0.1\n", Some("line 1: 127.0.0.1:53 is")),
            ("search example\n", Some("names no name server; 127.0.0.1:53 is asked")),
        ] {
            etc.write("resolv.conf", conf.as_bytes());
            let outcome = etc.tlsweep().sweep(["n.example"]);
            match said {
                None => assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr),
                Some(said) => assert!(outcome.stderr.contains(said), "{conf}{}", outcome.stderr),
            }
        }
    });
}

/// Files that a run finds in `/etc`.
struct Etc {
    dir: TempDir,
    unshare: Program,
}

impl Etc {
    /// None, after `skip`, without the right to mount.
    fn new() -> Option<Self> {
        unshare_mounts().map(|unshare| Self { dir: TempDir::new().unwrap(), unshare })
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.dir.path().join(name), content).unwrap();
    }

    /// What comes before a program and its arguments, so that it finds these files.
    fn before(&self) -> Vec<&str> {
        let script = "for file in \"$0\"/*; do mount --bind \"$file\" \"/etc/${file##*/}\"; done; exec \"$@\"";
        vec!["-m", "sh", "-ec", script, path(self.dir.path())]
    }

    fn tlsweep(&self) -> Tlsweep {
        Tlsweep::json_under(self.unshare.path(), self.before())
    }

    /// The output of another program, which may fail.
    fn run(&self, command: &[&str]) -> String {
        let output = self.unshare.run([&self.before(), command].concat());
        assert!(output.status.code().is_some_and(|code| code <= 2), "{}", shown(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The addresses that were dialled, in the order of the records.
fn addresses(outcome: &Outcome) -> Vec<IpAddr> {
    outcome.assert_complete();
    outcome.records.iter().filter(|it| !it["addr"].is_null()).map(address).collect()
}

fn address(record: &Value) -> IpAddr {
    let address = record["addr"].as_str().unwrap();
    address.parse().unwrap_or_else(|_error| panic!("no address: {record:#}"))
}
