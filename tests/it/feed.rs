//! Which targets are swept, and in which order: ranges, shards, shuffles, exclude lists, dry runs.

use std::io::Write;
use std::time::Duration;

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::support::cmd::{BINARY, Tlsweep, verdict};
use crate::support::dns::NameServer;
use crate::support::peer::Spec;
use crate::support::programs::Program;

/// An end that should come at once may take this long on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(20);

#[test]
fn a_range_is_a_target_an_address() {
    let peer = Spec::refusing().on_all_of_loopback().start();
    let port = peer.addr.port();
    let lines =
        ["# no target".to_owned(), format!("127.6.0.9/28:{port},a.example,tag"), "x:0".into()];
    let outcome = Tlsweep::json().sweep(lines);
    outcome.assert_complete();
    let mut seen: Vec<_> = outcome.records.iter().map(number).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=17).collect::<Vec<_>>());
    for record in outcome.records.iter().filter(|record| number(record) < 17) {
        let address = format!("127.6.0.{}", number(record) - 1);
        assert_eq!(record["target"], format!("{address}:{port}"), "all lines say the port");
        assert_eq!((&record["line"], &record["addr"]), (&2.into(), &Value::from(address)));
        assert_eq!((&record["sni"], &record["tag"]), (&"a.example".into(), &"tag".into()));
        assert_eq!(verdict(record), "connect/refused");
    }
}

#[test]
fn the_port_of_a_range_is_that_of_the_flag() {
    let v4 = Spec::good().start();
    let v6 = Spec::good().on_v6().start();
    for (line, peer, echo) in
        [("127.0.0.1/32", &v4, "127.0.0.1"), ("::1/128", &v6, "[::1]"), ("[::1/128]", &v6, "[::1]")]
    {
        let port = peer.addr.port();
        let outcome = Tlsweep::json().args(["-p", &port.to_string(), line]).run("");
        let record = outcome.only_record();
        assert_eq!(verdict(record), "ok close_notify", "{line}");
        assert_eq!(record["target"], format!("{echo}:{port}"));
    }
}

#[test]
fn a_bad_range_is_one_line_that_says_why() {
    for (line, words) in [
        ("127.0.0.0/33", "0 to 32"),
        ("[2001:db8::/129]:443,,tag", "0 to 32"),
        ("2001:db8::/64", "write /96 or longer"),
        ("127.0.0.0/24:99999", "1 to 65535"),
        ("127.0.0.0/24,1.2.3.4", "SNI"),
        ("example.com/24", "slash"),
        ("127.0.0/24", "slash"),
    ] {
        let outcome = Tlsweep::json().sweep([line]);
        let record = outcome.only_record();
        assert_eq!(verdict(record), "input/invalid_target", "{line}");
        assert!(detail(record).contains(words), "{line}: {record:#}");
        assert_eq!(Some(record["target"].as_str().unwrap()), line.split(',').next());
    }
}

#[test]
fn a_huge_range_comes_address_by_address() {
    let peer = Spec::refusing().on_all_of_loopback().start();
    let line = format!("127.0.0.0/8:{}", peer.addr.port());
    let mut run = Tlsweep::json().args(["-c", "50", &line]).start();
    let mut peak_after = |lines| {
        for _ in 0..lines {
            run.next_line();
        }
        run.peak_rss()
    };
    let early = peak_after(3000);
    let late = peak_after(10_000);
    assert!(late < early + 2 * 1024, "from {early} to {late} KiB");
}

#[test]
fn the_shards_of_a_list_are_the_list() {
    let lines = ["127.0.0.0/25", "localhost", "no target", "[::1]:1"].join("\n");
    let sweep = |shard: &str| {
        let quiet = Tlsweep::json().args(["-q", "--exclude-special", "--shard", shard]);
        let records = quiet.args(["--resolver", "127.0.0.1:1"]).run(lines.clone()).records;
        records.iter().map(|r| (number(r), r["target"].to_string())).collect::<Vec<_>>()
    };
    let mut whole = sweep("0/1");
    whole.sort_unstable();
    assert_eq!(whole.len(), 128 + 3);
    for count in [1, 2, 7, 64] {
        let mut union: Vec<_> = (0..count).flat_map(|i| sweep(&format!("{i}/{count}"))).collect();
        union.sort_unstable();
        assert_eq!(union, whole, "{count} shards");
    }
    assert_eq!(sweep("999999/1000000"), []);
}

#[test]
fn a_seed_decides_on_the_order() {
    let lines: Vec<_> = (1..=500).map(|number| format!("{number}.invalid:0")).collect();
    let order = |args: &[&str]| {
        let outcome = Tlsweep::json().args(["-c", "1"]).args(args).sweep(&lines);
        (outcome.records.iter().map(number).collect::<Vec<_>>(), outcome.stderr)
    };
    let (shuffled, notices) = order(&["--shuffle", "100"]);
    let seed = notices.split("--seed ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(order(&["--shuffle", "100", "--seed", seed]).0, shuffled);
    assert_ne!(order(&["--shuffle", "100", "--seed", "1"]).0, shuffled);
    let in_order: Vec<_> = (1..=500).collect();
    assert_eq!(order(&[]).0, in_order);
    let mut sorted = shuffled.clone();
    sorted.sort_unstable();
    assert_eq!((sorted == in_order, shuffled == in_order), (true, false));
    assert_eq!(order(&["-q", "--shuffle", "100"]).1, "");
}

#[test]
fn bad_values_exit_2_and_say_what_to_write() {
    for (args, word) in [
        (&["--shard", "7/7"][..], "I from 0 to N-1"),
        (&["--shard", "1"], "I/N"),
        (&["--shard", "0/1000001"], "1000000"),
        (&["--shuffle", "0"], "1..=1000000"),
        (&["--seed", "1"], "--shuffle"),
        (&["--max-time", "0s"], "1ms to 1year"),
        (&["--exclude", "/no/such/list"], "/no/such/list"),
    ] {
        let outcome = Tlsweep::new().args(args).run("");
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(word), "{args:?}: {}", outcome.stderr);
    }
}

#[test]
fn a_bad_line_of_an_exclude_list_is_named() {
    let peer = Spec::good().start();
    let (run, list) = excluding(Tlsweep::json(), "a.example\n# fine\n\n127.0.0.0/33\n");
    let outcome = run.sweep([peer.target()]);
    assert_eq!((outcome.code, peer.accepted()), (Some(2), 0));
    let place = format!("{}: line 4: 127.0.0.0/33", list.path().display());
    for words in [&place, "not a CIDR range", "write 192.0.2.0/24"] {
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
}

#[test]
fn what_is_excluded_is_not_dialled_and_has_its_line() {
    let peer = Spec::good().on_all_of_loopback().start();
    let port = peer.addr.port();
    let list = "127.7.0.0/30 # a range\n127.7.0.9\n127.8.0.0/16\none.localhost\n*.two.localhost\n";
    let excluded = [
        "127.7.0.3",
        "127.7.0.9",
        "[::ffff:127.8.1.1]",
        "[::ffff:7f07:9]",
        "One.LocalHost.",
        "https://one.localhost",
        "deep.a.two.localhost",
    ];
    let dialled = ["127.7.0.4", "two.localhost", "a.one.localhost"];
    let lines = excluded.iter().chain(&dialled).map(|host| format!("{host}:{port},,tag"));
    let (run, _list) = excluding(Tlsweep::json(), list);
    let outcome = run.sweep(lines);
    assert_eq!(outcome.assert_complete().records.len(), excluded.len() + dialled.len());
    for record in &outcome.records {
        let is_excluded = number(record) as usize <= excluded.len();
        let expected = if is_excluded { "input/excluded" } else { "ok close_notify" };
        assert_eq!(verdict(record), expected, "{record:#}");
        assert_eq!((&record["tag"], &record["port"]), (&"tag".into(), &port.into()));
    }
    assert_eq!(peer.accepted(), dialled.len());
}

/// The kernel takes the unspecified addresses for this machine, and gateways translate those of NAT64.
#[test]
fn an_excluded_network_is_reached_by_no_other_form_of_its_addresses() {
    let peer = Spec::good().on_all_of_loopback().start();
    let forms = ["0.0.0.0", "[::ffff:0.0.0.0]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"];
    let lines = forms.map(|form| format!("{form}:{}", peer.addr.port()));
    let (run, _list) = excluding(Tlsweep::json(), "127.0.0.0/8\n");
    let outcome = run.args(["--connect-timeout", "1s", "--timeout", "2s"]).sweep(lines);
    let verdicts: Vec<_> = outcome.assert_complete().records.iter().map(verdict).collect();
    assert_eq!(verdicts, ["input/excluded"; 4]);
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn a_range_is_excluded_line_by_line() {
    let peer = Spec::refusing().on_all_of_loopback().start();
    let line = format!("127.7.1.0/24:{}", peer.addr.port());
    let (run, _list) = excluding(Tlsweep::json(), "127.7.1.128/25");
    let outcome = run.sweep([line]);
    let excluded = outcome.records.iter().filter(|r| verdict(r) == "input/excluded");
    let mut excluded: Vec<_> = excluded.map(number).collect();
    excluded.sort_unstable();
    assert_eq!((outcome.records.len(), excluded), (256, (129..=256).collect()));
}

#[test]
fn a_name_at_excluded_addresses() {
    let server = NameServer::start();
    let v6 = Spec::good().on_v6().start();
    let sweep = |list: &str, name: &str| {
        let line = format!("{name}:{}", v6.addr.port());
        let (run, _list) = excluding(Tlsweep::json(), list);
        run.args(["--resolver", &server.address()]).sweep([line])
    };
    let outcome = sweep("127.0.0.0/8", "home.test");
    assert_eq!(verdict(outcome.only_record()), "input/excluded");
    assert!(detail(outcome.only_record()).contains("127.0.0.1"));
    let outcome = sweep("127.0.0.0/8\n::1", "dual.test");
    assert_eq!(verdict(outcome.only_record()), "input/excluded");
    let outcome = sweep("127.0.0.0/8", "dual.test");
    let record = outcome.only_record();
    assert_eq!((verdict(record).as_str(), &record["addr"]), ("ok close_notify", &"::1".into()));
    let asked = server.asked().len();
    let outcome = sweep("home.test", "home.test");
    assert_eq!(verdict(outcome.only_record()), "input/excluded");
    assert_eq!(server.asked().len(), asked, "an excluded name is not looked up");
}

#[test]
fn special_addresses_are_excluded_on_demand() {
    let peer = Spec::good().start();
    let lines = [peer.target(), format!("localhost:{}", peer.addr.port())];
    let outcome = Tlsweep::json().args(["--exclude-special"]).sweep(lines);
    let verdicts: Vec<_> = outcome.assert_complete().records.iter().map(verdict).collect();
    assert_eq!((verdicts, peer.accepted()), (vec!["input/excluded".to_owned(); 2], 0));
}

#[test]
fn max_time_ends_a_sweep_as_sigint_does() {
    let peer = Spec::good().start();
    let mut run = Tlsweep::json().args(["--max-time", "2s"]).start();
    run.write(&format!("{}\n", peer.target()));
    let outcome = run.ends_within(AT_ONCE);
    assert_eq!(outcome.code, Some(130), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("stopping"), "{}", outcome.stderr);
    Tlsweep::json().args(["--max-time", "1h"]).sweep([peer.target()]).only_record();
}

#[test]
fn a_dry_run_counts_and_dials_nothing() {
    let peer = Spec::good().on_all_of_loopback().start();
    let input = format!("127.0.0.1/28:{}\na.test\nb.test\n\n#\nno target\n::1\n", peer.addr.port());
    let dry = |args: &[&str]| {
        let (run, _list) = excluding(Tlsweep::new(), "127.0.0.8/30\nb.test");
        let outcome = run.args(["--dry-run", "-c", "7"]).args(args).run(input.clone());
        outcome.assert_complete().text().to_owned()
    };
    assert_eq!(
        dry(&[]),
        "20 targets: 1 names, 13 addresses, 1 invalid, 5 excluded\n\
         at most 7 dials and 7 lookups at once\n"
    );
    let plan: Value = serde_json::from_str(&dry(&["-j", "--shard", "1/2"])).unwrap();
    let expected = serde_json::json!({
        "targets": 10, "names": 0, "addresses": 7, "invalid": 0, "excluded": 3,
        "concurrency": 7, "lookups": 7, "limits": [],
    });
    assert_eq!((plan, peer.accepted()), (expected, 0));
}

#[test]
fn a_dry_run_finds_what_cannot_be_used() {
    for args in [["-f", "/no/such/file"], ["-f", "/"], ["--exclude", "/no/such/list"]] {
        let outcome = Tlsweep::new().args(["--dry-run"]).args(args).run("");
        assert_eq!((outcome.code, outcome.text()), (Some(2), ""), "{args:?}");
        assert!(outcome.stderr.contains(args[1]), "{}", outcome.stderr);
    }
}

#[test]
fn a_dry_run_says_what_will_limit_the_sweep() {
    let Some(prlimit) = Program::find("prlimit") else {
        return;
    };
    let plan_with = |dials: &str, flags: &[&str]| -> Value {
        let args = ["--nofile=64", BINARY, "--dry-run", "-j", "-c", dials, "127.0.0.1"];
        serde_json::from_slice(&prlimit.run(args.iter().chain(flags)).stdout).unwrap()
    };
    let plan = |dials: &str| plan_with(dials, &[]);
    let bent = plan("500");
    let limit = bent["limits"][0].as_str().unwrap();
    assert!(bent["concurrency"].as_u64().unwrap() < 64, "{bent}");
    assert!(limit.contains("64 open files") && limit.contains("ulimit -n "), "{limit}");
    assert_eq!(plan("5")["limits"], serde_json::json!([]));
    let concurrency = |flags: &[&str]| plan_with("500", flags)["concurrency"].as_u64().unwrap();
    assert_eq!(concurrency(&["--quic", "--ech"]), concurrency(&[]), "one connection at a time");
    assert!(concurrency(&["--quic", "--jarm"]) < concurrency(&[]) / 3, "four at once");
}

#[test]
fn a_dry_run_takes_no_more_memory_for_more_lines() {
    let mut run = Tlsweep::new().args(["--dry-run"]).start();
    let taken = run.feed_for_ever(|chunk| {
        let lines =
            (0..10_000).map(|n| format!("127.{}.{}.{}:443,,{chunk}\n", n / 250, n % 250, n % 9));
        lines.collect::<String>().into_bytes()
    });
    let peak_after = |chunks: usize| {
        assert_eq!(taken.iter().take(chunks).count(), chunks);
        run.peak_rss()
    };
    let early = peak_after(5);
    let late = peak_after(50);
    assert!(late < early + 1024, "from {early} to {late} KiB");
    drop(taken);
    assert!(run.ends_within(AT_ONCE).text().contains("0 names"));
}

/// A run with this list of exclusions, which is gone when the list is dropped.
fn excluding(run: Tlsweep, list: &str) -> (Tlsweep, NamedTempFile) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(list.as_bytes()).unwrap();
    (run.args(["--exclude".as_ref(), file.path().as_os_str()]), file)
}

fn number(record: &Value) -> u64 {
    record["number"].as_u64().unwrap()
}

fn detail(record: &Value) -> &str {
    record["error"]["detail"].as_str().unwrap()
}
