//! 6.6: faults of our own machine, which are never blamed on a target.
//!
//! They take tools and rights that are not everywhere; what is missing is skipped, loudly.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cmd::{BINARY, Outcome, Tlsweep, verdict};
use crate::support::dns::NameServer;
use crate::support::peer::{Peer, Spec};
use crate::support::programs::{
    Program, in_network_namespace, install_executable, shown, skip, unshare_mounts,
};
use crate::support::script::{Step, send};

const AT_ONCE_MS: f64 = 4000.0;

#[test]
fn few_descriptors_bend_the_concurrency() {
    let Some(prlimit) = Program::find("prlimit") else {
        return;
    };
    let peers = Mixture::start();
    let outcome = Tlsweep::json_under(prlimit.path(), ["--nofile=64"])
        .args(["-c", "500", "--handshake-timeout", "30s"])
        .sweep(peers.targets(300));
    peers.check(&outcome, 300);
    let notices = outcome.stderr.lines().filter(|line| line.contains("concurrency")).count();
    assert_eq!(notices, 1, "said once: {}", outcome.stderr);
}

#[test]
fn lists_that_are_open_count_as_descriptors() {
    let Some(prlimit) = Program::find("prlimit") else {
        return;
    };
    let silent = Spec::script([Step::Hold]).on_all_of_loopback().start();
    let dir = TempDir::new().unwrap();
    let list = dir.path().join("list");
    let port = silent.addr.port();
    let targets = (0..500).map(|n| format!("127.5.{}.{}:{port}\n", n / 250, n % 250 + 1));
    std::fs::write(&list, targets.collect::<String>()).unwrap();
    let empty: Vec<_> = (0..150).map(|n| dir.path().join(n.to_string())).collect();
    let mut run = Tlsweep::json_under(prlimit.path(), ["--nofile=256:256"]);
    for path in [&list].into_iter().chain(&empty) {
        std::fs::File::options().create(true).append(true).open(path).unwrap();
        run = run.args(["-f".as_ref(), path.as_os_str()]);
    }
    let outcome = run.args(["--handshake-timeout", "500ms"]).run("");
    outcome.assert_complete();
    assert_eq!(outcome.records.len(), 500);
    for record in &outcome.records {
        assert_eq!(verdict(record), "handshake/timeout", "{record:#}");
    }
}

#[test]
fn a_memory_limit_is_kept() {
    let Some(prlimit) = Program::find("prlimit") else {
        return;
    };
    let peers = Mixture::start();
    let outcome = Tlsweep::json_under(prlimit.path(), ["--as=268435456"])
        .args(["-c", "256", "--handshake-timeout", "30s"])
        .sweep(peers.targets(1000));
    peers.check(&outcome, 1000);
}

/// Whatever a machine withholds: an error that says so, or a sweep that works.
#[test]
fn a_machine_that_gives_too_little_is_an_error_or_a_smaller_sweep() {
    let (Some(prlimit), Some(setpriv)) = (Program::find("prlimit"), Program::find("setpriv"))
    else {
        return;
    };
    let trial = setpriv.run(["--reuid=65534", "--regid=65534", "--clear-groups", "true"]);
    let may_be_another = trial.status.success();
    if !may_be_another {
        skip(&format!("root has as many threads as it wants, and we stay it: {}", shown(&trial)));
    }
    // Another user may not be allowed to look into the folder where the binary was built.
    let dir = TempDir::new().unwrap();
    let binary = dir.path().join("tlsweep");
    install_executable(BINARY, &binary);
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), everybody).unwrap();
    let nofile = |most: &u32| format!("--nofile={most}:{most}");
    // With fewer, no program starts. The least number depends on the descriptors that were inherited.
    let is_enough = |most: &u32| prlimit.run([&*nofile(most), "true"]).status.success();
    let least = (4..256).find(is_enough).expect("a program starts with 255");
    let descriptors = (least..least + 20).map(|most| nofile(&most));
    // In small steps: what the allocator reserves at once is a large part of what there is.
    let memory = (60..240).step_by(4).map(|mib| format!("--as={}", mib << 20));
    let data = (16..64).step_by(4).map(|mib| format!("--data={}", mib << 20));
    let stack = [64, 128, 256, 512].map(|kib| format!("--stack={}", kib << 10));
    let threads = (1..12).map(|most| format!("--nproc={most}")).filter(|_| may_be_another);
    let peer = Spec::refusing().on_all_of_loopback().start();
    let mut sizes = std::collections::BTreeSet::new();
    for limit in descriptors.chain(memory).chain(data).chain(stack).chain(threads) {
        let other = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let under = [&other[..], &[prlimit.path(), &limit]].concat();
        let run = match may_be_another {
            true => Tlsweep::under(setpriv.path(), under, &binary),
            false => Tlsweep::under(prlimit.path(), [&*limit], &binary),
        };
        let targets =
            (0..300).map(|n| format!("127.5.{}.{}:{}", n / 250, n % 250 + 1, peer.addr.port()));
        let mut running = run.args(["-c", "100"]).start();
        running.feed(targets.flat_map(|line| [line, "\n".to_owned()]).collect::<String>().into());
        let outcome = running.ends_within(Duration::from_secs(60));
        let lines = outcome.text().lines().count();
        sizes.insert(lines);
        match outcome.code {
            Some(0) => assert_eq!(lines, 300, "{limit}: {}", outcome.stderr),
            Some(2) => {
                assert_eq!(lines, 0, "{limit}");
                let error = outcome.stderr.lines().next().unwrap_or_default();
                assert!(
                    error.starts_with("tlsweep: error: ") && error.contains("ulimit"),
                    "{limit}: {error}"
                );
            }
            code => panic!("{limit}: {code:?}: {}", outcome.stderr),
        }
    }
    assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [0, 300], "both were tried");
}

#[test]
fn descriptors_that_vanish_in_mid_sweep_are_waited_for() {
    let Some(prlimit) = Program::find("prlimit") else {
        return;
    };
    let peers = Mixture::start();
    let mut run = Tlsweep::json().args(["-c", "500", "--handshake-timeout", "30s"]).start();
    run.write(&format!("{}\n", peers.good.target()));
    assert_eq!(run.next_record()["ok"], true);
    let limited = prlimit.run([format!("--pid={}", run.pid()), "--nofile=40".to_owned()]);
    assert!(limited.status.success(), "{}", shown(&limited));
    let input: String = peers.targets(300).map(|target| target + "\n").collect();
    run.write(&input);
    let outcome = run.finish();
    peers.check(&outcome, 301);
}

#[test]
fn no_descriptors_at_all_is_our_own_fault() {
    let peer = Spec::good().start();
    let Some(outcome) =
        sweep_with_fault("socket:error=EMFILE", &["--timeout", "1s", &peer.target()])
    else {
        return;
    };
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert_eq!(verdict(&outcome.records[0]), "local/resource");
}

#[test]
fn no_buffers_for_a_while() {
    for fault in ["connect:error=ENOBUFS:when=2..3", "connect:error=ENOMEM:when=2..3"] {
        let peer = Spec::good().start();
        let Some(outcome) = sweep_with_fault(fault, &["--timeout", "20s", &peer.target()]) else {
            return;
        };
        assert_eq!(verdict(outcome.only_record()), "ok close_notify", "{fault}");
    }
}

#[test]
fn no_buffers_ever() {
    for error in ["ENOBUFS", "ENOMEM"] {
        let fault = format!("connect:error={error}");
        let peer = Spec::good().start();
        let Some(outcome) = sweep_with_fault(&fault, &["--timeout", "1s", &peer.target()]) else {
            return;
        };
        assert_eq!(outcome.code, Some(3), "{error}: {}", outcome.stderr);
        assert_eq!(verdict(&outcome.records[0]), "local/resource", "{error}");
        let total = total_ms(&outcome.records[0]);
        assert!(total >= 900.0, "{error}: retried inside the total, not {total} ms");
    }
}

#[test]
fn no_permission() {
    for error in ["EACCES", "EPERM"] {
        let fault = format!("connect:error={error}");
        let peer = Spec::good().start();
        let Some(outcome) = sweep_with_fault(&fault, &["--timeout", "30s", &peer.target()]) else {
            return;
        };
        assert_eq!(outcome.code, Some(3), "{error}: {}", outcome.stderr);
        assert_eq!(verdict(&outcome.records[0]), "local/resource", "{error}");
        assert!(total_ms(&outcome.records[0]) < AT_ONCE_MS, "{error}: not retried");
    }
}

#[test]
fn a_write_that_fails_does_not_hide_what_the_peer_said() {
    // The banner is there by the time the write fails.
    let fault = "writev,sendto:error=EPIPE:delay_enter=500000";
    let banner = Spec::script([send("220 mail.test ESMTP\r\n"), Step::Hold]).start();
    let Some(outcome) = sweep_with_fault(fault, &[&banner.target()]) else {
        return;
    };
    assert_eq!(verdict(outcome.only_record()), "handshake/not_tls");
}

#[test]
fn no_permission_to_ask_a_name_server() {
    for fault in ["bind:error=EACCES", "sendto:error=EPERM"] {
        let server = NameServer::start();
        let args = ["--resolver", &server.address(), "--resolve-timeout", "30s", "good.test"];
        let Some(outcome) = sweep_with_fault(fault, &args) else {
            return;
        };
        assert_eq!(outcome.code, Some(3), "{fault}: {}", outcome.stderr);
        assert_eq!(verdict(&outcome.records[0]), "local/resource", "{fault}");
        assert!(total_ms(&outcome.records[0]) < AT_ONCE_MS, "{fault}: not retried");
    }
}

#[test]
fn no_permission_to_ask_one_of_two_name_servers() {
    let server = NameServer::start();
    let good = Spec::good().start();
    // To a broadcast address nobody may send who did not ask for that.
    let outcome = Tlsweep::json()
        .args(["--resolver", "127.255.255.255", "--resolver", &server.address()])
        .sweep([format!("good.test:{}", good.addr.port())]);
    assert_eq!(verdict(outcome.only_record()), "ok close_notify");
}

#[test]
fn no_descriptors_for_a_name_server() {
    let server = NameServer::start();
    let resolver = server.address();
    let limits = ["--resolve-timeout", "300ms", "--timeout", "1500ms"];
    let args = [&limits[..], &["--resolver", &resolver, "good.test"]].concat();
    let Some(outcome) = sweep_with_fault("socket:error=EMFILE", &args) else {
        return;
    };
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    let record = &outcome.records[0];
    assert_eq!(verdict(record), "local/resource", "not the name server's fault: {record:#}");
    assert!(total_ms(record) >= 1400.0, "retried inside the total: {record:#}");
}

/// Sweeps while strace makes system calls fail; None where strace cannot.
fn sweep_with_fault(fault: &str, args: &[&str]) -> Option<Outcome> {
    let strace = Program::find("strace")?;
    let trial = strace.run(["-f", "-o", "/dev/null", "true"]);
    if !trial.status.success() {
        skip(&format!("strace may not trace: {}", shown(&trial)));
        return None;
    }
    let (calls, _) = fault.split_once(':').unwrap();
    let only = format!("trace={calls}");
    let inject = format!("inject={fault}");
    let run =
        Tlsweep::json_under(strace.path(), ["-f", "-o", "/dev/null", "-e", &only, "-e", &inject]);
    Some(run.args(args).run(""))
}

#[test]
fn ports_that_are_gone_are_waited_for() {
    in_network_namespace("local::ports_that_are_gone_are_waited_for", FEW_PORTS, || {
        let crowded = Spec::script([Step::ReadHello, send("HTTP/1.1 400"), Step::Hold]).start();
        let free = Spec::good().start();
        let held = take_all_ports_to(crowded.addr);
        let mut run = Tlsweep::json().args(["--timeout", "30s"]).start();
        run.write(&format!("{}\n{}\n", crowded.target(), free.target()));
        assert_eq!(verdict(&run.next_record()), "ok close_notify");
        drop(held);
        let outcome = run.finish();
        assert_eq!(verdict(&outcome.records[1]), "handshake/not_tls", "it was reached after all");
    });
}

#[test]
fn ports_that_stay_gone_are_our_own_fault() {
    in_network_namespace("local::ports_that_stay_gone_are_our_own_fault", FEW_PORTS, || {
        let crowded = Spec::deaf().start();
        let free = Spec::good().start();
        let _held = take_all_ports_to(crowded.addr);
        let outcome =
            Tlsweep::json().args(["--timeout", "5s"]).sweep([crowded.target(), free.target()]);
        assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
        for record in &outcome.records {
            let expect = if record["target"] == free.target() {
                "ok close_notify"
            } else {
                "local/resource"
            };
            assert_eq!(verdict(record), expect, "{record:#}");
        }
    });
}

const FEW_PORTS: &str = "echo 40000 40019 > /proc/sys/net/ipv4/ip_local_port_range";

/// Connections to one address from every port that there is; they are reset when dropped.
fn take_all_ports_to(addr: SocketAddr) -> Vec<TcpStream> {
    let mut held = Vec::new();
    loop {
        match TcpStream::connect(addr) {
            Ok(stream) => {
                // Or the port would stay taken for a minute after the end.
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                held.push(stream);
            }
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
                return held;
            }
        }
    }
}

#[test]
fn a_connection_that_reaches_itself_is_nobody() {
    // A dial to the only port that there is comes from it. The machine has addresses of its own
    // that are not loopback addresses.
    let setup = "echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range; \
        ip addr add 192.0.2.1/32 dev lo; ip addr add 2001:db8::1/128 dev lo nodad";
    in_network_namespace("local::a_connection_that_reaches_itself_is_nobody", setup, || {
        for address in ["127.0.0.1", "0.0.0.0", "[::1]", "[::]", "192.0.2.1", "[2001:db8::1]"] {
            let outcome = Tlsweep::json().sweep([format!("{address}:40000")]);
            let record = outcome.only_record();
            assert_eq!(verdict(record), "connect/refused", "{record:#}");
            assert!(record["error"]["detail"].as_str().unwrap().contains("itself"), "{record:#}");
        }
    });
}

#[test]
fn no_ipv6_on_the_machine() {
    let setup = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6";
    in_network_namespace("local::no_ipv6_on_the_machine", setup, || {
        let good = Spec::good().start();
        let server = NameServer::start();
        let name = format!("dual.test:{}", good.addr.port());
        let outcome = Tlsweep::json().args(["--resolver", &server.address()]).sweep([
            "[::1]:443",
            "[2001:db8::1]:443",
            &name,
        ]);
        outcome.assert_complete();
        for record in &outcome.records {
            let literal = record["target"].as_str().unwrap().starts_with('[');
            let expect = if literal { "connect/unreachable" } else { "ok close_notify" };
            assert_eq!(verdict(record), expect, "{record:#}");
            assert!(total_ms(record) < AT_ONCE_MS, "undelayed: {record:#}");
        }
        let outcome = Tlsweep::json().args(["--resolver", "[::1]:53"]).sweep(["good.test"]);
        assert_eq!(verdict(outcome.only_record()), "resolve/timeout");
    });
}

#[test]
fn a_link_local_address_without_a_zone_says_what_is_missing() {
    let test = "local::a_link_local_address_without_a_zone_says_what_is_missing";
    in_network_namespace(test, "ip addr add fd00::2/64 dev lo nodad", || {
        let outcome = Tlsweep::json().sweep(["[fe80::1]:443"]);
        let record = outcome.only_record();
        assert_eq!(verdict(record), "connect/unreachable");
        assert!(record["error"]["detail"].as_str().unwrap().contains("needs a zone"), "{record:#}");
    });
}

#[test]
fn a_disk_that_fills_up_keeps_whole_lines() {
    let Some(unshare) = unshare_mounts() else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let path = dir.path().display();
    let peer = Spec::refusing().on_all_of_loopback().start();
    let script = format!(
        "mount -t tmpfs -o size=64k tmpfs {path}
         seq 1 250 | sed 's/.*/127.0.&.1:{port}\\n127.0.&.2:{port}\\n127.0.&.3:{port}/' |
             {BINARY} -j > {path}/out && code=0 || code=$?
         cat {path}/out; exit $code",
        port = peer.addr.port(),
    );
    let output = unshare.run(["-m", "sh", "-ec", &script]);
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("No space left on device"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    let text = String::from_utf8_lossy(&output.stdout);
    let (whole, _torn) = text.rsplit_once('\n').unwrap();
    assert!(whole.lines().count() > 20, "{text}");
    for line in whole.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn a_wall_clock_that_races_moves_no_deadline() {
    let Some(faketime) = Program::find("faketime") else {
        return;
    };
    let silent = Spec::script([Step::Hold]).start();
    let good = Spec::good().start();
    // One that runs a thousand times too fast, and one that lags behind.
    for clock in ["+0 x1000", "-10d"] {
        let outcome = Tlsweep::json_under(faketime.path(), ["-f", clock])
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .args(["--handshake-timeout", "2s"])
            .sweep([silent.target(), good.target()]);
        outcome.assert_complete();
        for record in &outcome.records {
            let total = total_ms(record);
            if record["target"] == good.target() {
                assert_eq!(verdict(record), "ok close_notify", "{clock}: {record:#}");
                assert!(total >= 0.0, "{clock}: {record:#}");
            } else {
                assert_eq!(verdict(record), "handshake/timeout", "{clock}: {record:#}");
                assert!((2000.0..10_000.0).contains(&total), "{clock}: {record:#}");
            }
        }
    }
}

/// Good and refusing targets in turn.
struct Mixture {
    good: Peer,
    refusing: Peer,
}

impl Mixture {
    fn start() -> Self {
        Self {
            good: Spec::good().on_all_of_loopback().start(),
            refusing: Spec::refusing().on_all_of_loopback().start(),
        }
    }

    fn targets(&self, count: usize) -> impl Iterator<Item = String> {
        let ports = [self.good.addr.port(), self.refusing.addr.port()];
        (0..count).map(move |number| {
            format!("127.5.{}.{}:{}", number / 250, number % 250 + 1, ports[number % 2])
        })
    }

    fn check(&self, outcome: &Outcome, count: usize) {
        outcome.assert_complete();
        assert_eq!(outcome.records.len(), count, "lost or doubled lines");
        let good = format!(":{}", self.good.addr.port());
        for record in &outcome.records {
            let is_good = record["target"].as_str().unwrap().ends_with(&good);
            let expect = if is_good { "ok close_notify" } else { "connect/refused" };
            assert_eq!(verdict(record), expect, "{record:#}");
        }
    }
}

fn total_ms(record: &Value) -> f64 {
    record["ms"]["total"].as_f64().unwrap()
}
