//! A machine whose clock moves, which has no /proc, or whose pipes others have set to non-blocking.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustix::io::ioctl_fionbio;
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::support::certs::{Entity, ca, now, server};
use crate::support::cmd::{Tlsweep, verdict};
use crate::support::ocsp::{answer_at, response, revoked};
use crate::support::peer::{Peer, Spec};
use crate::support::programs::{Program, in_network_namespace, unshare_mounts};
use crate::support::script::Step;
use crate::support::served::{showing, stapling};

/// What rustls and we do with the time of day takes it for later than 1970.
#[test]
fn a_clock_before_1970_is_an_error_that_names_it() {
    let Some(faketime) = Program::find("faketime") else {
        return;
    };
    let good = Spec::good().start();
    let run = Tlsweep::json_under(faketime.path(), ["-f", "@1969-06-01 00:00:00"]);
    let outcome = run.args([good.target()]).run("");
    assert_eq!((outcome.code, outcome.records.len()), (Some(2), 0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("clock"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

/// How one asks what a sweep of next month would say. libfaketime moves the clocks of this process, and
/// the kernel's stay where they are.
#[test]
fn a_sweep_of_another_day_takes_no_longer() {
    let Some(faketime) = Program::find("faketime") else {
        return;
    };
    let refusing = Spec::refusing().on_all_of_loopback().start();
    let targets = || (1..=200).map(|n| format!("127.6.0.{n}:{}", refusing.addr.port()));
    for day in ["+30d", "-30d"] {
        let run = Tlsweep::json_under(faketime.path(), ["-f", day]);
        let outcome = run.sweep(targets());
        outcome.assert_complete();
        assert_eq!(outcome.records.len(), 200, "{day}: {}", outcome.stderr);
    }
}

/// A sweep that goes on for twenty minutes, by its clock: libfaketime moves the time of day and the
/// monotonic clock.
#[test]
fn certificates_and_staples_are_judged_by_the_moment_of_their_handshake() {
    if Program::find("faketime").is_none() {
        return;
    }
    let (ten, twenty) = (Duration::from_secs(600), Duration::from_secs(1200));
    let year = Duration::from_secs(365 * 86_400);
    let root = Entity::root("root");
    let issuer = root.issue(ca("issuer"));
    let serve = |from: SystemTime, until: SystemTime, is_stapled| {
        let mut params = server(&["127.0.0.1"]);
        params.not_before = OffsetDateTime::from(from);
        params.not_after = OffsetDateTime::from(until);
        let leaf = issuer.issue(params);
        let chain = [leaf.der.clone(), issuer.der.clone()];
        let key = leaf.key.serialize_der();
        let answer = answer_at(&leaf.der, &issuer, &revoked(), now() + ten, Some(now() + year));
        let spec = match is_stapled {
            true => stapling(&chain, &key, Some(response(&issuer, &[answer], None))),
            false => showing(&chain, &key),
        };
        spec.unwrap().start()
    };
    let peers: [Peer; 3] = [
        serve(now() - year, now() + year, true),
        serve(now() + ten, now() + year, false),
        serve(now() - year, now() + ten, false),
    ];
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let [roots, clock] = [path("roots.pem"), path("clock")];
    fs::write(&roots, tlsweep::cert::pem(&root.der)).unwrap();
    let set = |offset: &str| {
        // As a whole, for it is read at any moment.
        fs::write(path("new"), offset).unwrap();
        fs::rename(path("new"), &clock).unwrap();
    };
    set("+0");
    let mut run = Tlsweep::json()
        .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1")
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .args(["--roots", &roots, "-c", "1"])
        .start();
    let targets: String = peers.iter().map(|peer| format!("{}\n", peer.target())).collect();
    let mut told = || {
        run.write(&targets);
        peers.each_ref().map(|_| run.next_record())
    };
    let verdicts = |records: &[Value; 3]| {
        records.each_ref().map(|it| it["trust"]["verdict"].as_str().unwrap().to_owned())
    };
    let early = told();
    assert_eq!(verdicts(&early), ["trusted", "not_yet_valid", "trusted"], "{early:#?}");
    assert_eq!(early[0]["ocsp"]["current"], false, "{:#}", early[0]);
    set(&format!("+{}", twenty.as_secs()));
    let late = told();
    assert_eq!(verdicts(&late), ["revoked", "trusted", "expired"], "{late:#?}");
    let time = |record: &Value| humantime::parse_rfc3339(record["time"].as_str().unwrap()).unwrap();
    assert!(time(&late[0]) >= time(&early[0]) + twenty, "{} {}", early[0], late[0]);
    run.finish().assert_complete();
}

#[test]
fn no_proc_is_no_reason_not_to_sweep() {
    let Some(unshare) = unshare_mounts() else { return };
    let refusing = Spec::refusing().start();
    let script = "mount -t tmpfs tmpfs /proc; exec \"$@\"";
    let outcome = Tlsweep::json_under(unshare.path(), ["-m", "sh", "-ec", script, "sh"])
        .sweep([refusing.target()]);
    assert_eq!(verdict(outcome.only_record()), "connect/refused", "{}", outcome.stderr);
}

/// All of them wait at once, so each has its memory.
#[test]
fn a_limit_of_data_is_an_error_or_a_smaller_sweep() {
    let Some(prlimit) = Program::find("prlimit") else { return };
    let silent = Spec::script([Step::Hold]).on_all_of_loopback().start();
    let targets =
        || (0..1000).map(|n| format!("127.5.{}.{}:{}", n / 250, n % 250 + 1, silent.addr.port()));
    let mut codes = Vec::new();
    for mib in [8, 16, 24, 48] {
        let outcome = Tlsweep::json_under(prlimit.path(), [format!("--data={}", mib << 20)])
            .args(["--handshake-timeout", "50ms"])
            .sweep(targets());
        match outcome.code {
            Some(0) => assert_eq!(outcome.records.len(), 1000, "{mib} MiB"),
            Some(2) => assert!(outcome.stderr.contains("ulimit"), "{mib} MiB: {}", outcome.stderr),
            code => panic!("{mib} MiB: {code:?}: {}", outcome.stderr),
        }
        codes.push(outcome.code);
    }
    assert_eq!((codes[0], codes[3]), (Some(2), Some(0)), "{codes:?}");
}

#[test]
fn stdin_that_does_not_block_is_waited_for() {
    let refusing = Spec::refusing().start();
    let (stdin, mut writer) = io::pipe().unwrap();
    ioctl_fionbio(&stdin, true).unwrap();
    let mut run = Tlsweep::json().stdin(stdin).start();
    for number in 1..=3 {
        writeln!(writer, "{}", refusing.target()).unwrap();
        // The next line is not there yet when this one is done.
        assert_eq!(run.next_record()["line"], number);
    }
    drop(writer);
    run.finish().assert_complete();
}

#[test]
fn records_on_a_stdin_that_does_not_block_are_waited_for() {
    let refusing = Spec::refusing().start();
    let records = Tlsweep::json().sweep([refusing.target(), refusing.target()]);
    let lines: Vec<_> = records.text().lines().collect();
    let (stdin, mut writer) = io::pipe().unwrap();
    ioctl_fionbio(&stdin, true).unwrap();
    let mut run = Tlsweep::json().args(["--from", "-"]).stdin(stdin).start();
    // A target ends where the next one begins.
    writeln!(writer, "{}", lines[0]).unwrap();
    writeln!(writer, "{}", lines[1]).unwrap();
    assert_eq!(run.next_record()["line"], 1);
    // Nothing is there to read any more, and the end comes later.
    drop(writer);
    assert_eq!(run.finish().assert_complete().records.len(), 2);
}

#[test]
fn stdout_that_does_not_block_takes_all_that_is_printed() {
    let whole = Tlsweep::new().args(["--generate", "man"]).run("");
    let (mut reader, stdout) = io::pipe().unwrap();
    ioctl_fionbio(&stdout, true).unwrap();
    let mut before = 0;
    while let Ok(written) = (&stdout).write(&[b'x'; 4096]) {
        before += written;
    }
    let run = Tlsweep::new().args(["--generate", "man"]).stdout(stdout).start();
    // Until the thread that prints waits for room, or has given up.
    while is_printing(run.pid()) == Some(false) {
        std::thread::yield_now();
    }
    let mut text = Vec::new();
    reader.read_to_end(&mut text).unwrap();
    assert_eq!(run.finish().assert_complete().code, Some(0));
    assert_eq!(text.len(), before + whole.assert_complete().stdout.len());
}

/// Whether the thread that prints is there and sleeps; None once the process is gone.
fn is_printing(process: u32) -> Option<bool> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let is_asleep = |thread: PathBuf| -> Option<bool> {
        let status = fs::read_to_string(thread.join("status")).ok()?;
        Some(status.starts_with("Name:\tprint\n") && status.contains("State:\tS"))
    };
    let mut any = false;
    let mut asleep = false;
    for thread in threads.flatten() {
        any = true;
        asleep |= is_asleep(thread.path()).unwrap_or(false);
    }
    any.then_some(asleep)
}

/// Linux reports what a router says of IPv6 like what this machine forbids.
#[test]
fn a_router_that_prohibits_is_no_fault_of_this_machine() {
    let test = "machine::a_router_that_prohibits_is_no_fault_of_this_machine";
    let router = "unshare -n sleep 30 </dev/null >/dev/null 2>&1 & router=$!
        until [ $(readlink /proc/$router/ns/net) != $(readlink /proc/$$/ns/net) ]; do :; done
        ip link add near type veth peer name far netns $router
        ip addr add 2001:db8:1::1/64 dev near nodad; ip link set near up
        nsenter -t $router -n sh -ec 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; ip link set lo up
            ip addr add 2001:db8:1::2/64 dev far nodad; ip link set far up
            ip -6 route add prohibit 2001:db8:2::/64'
        ip -6 route add 2001:db8:2::/64 via 2001:db8:1::2";
    in_network_namespace(test, router, || {
        let outcome = Tlsweep::json().sweep(["[2001:db8:2::1]:443"]);
        let record = outcome.only_record();
        assert_eq!(verdict(record), "connect/unreachable", "{record:#}");
        let detail = record["error"]["detail"].as_str().unwrap();
        assert!(detail.contains("prohibited"), "{record:#}");
    });
}
