//! What the operator sees besides the results: status lines, SIGUSR1, the summary, the metrics.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::UdpSocket;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::cmd::{BINARY, Outcome, Tlsweep, verdict};
use crate::support::exposition::Exposition;
use crate::support::peer::{Peer, Spec, server_config};
use crate::support::pki::{CA, GOOD};
use crate::support::programs::{Program, shown};
use crate::support::script::{Step, send};

/// What should come at once may take this long on a busy machine.
const LATE: Duration = Duration::from_secs(60);

#[test]
fn status_lines_add_up() {
    let dir = TempDir::new().unwrap();
    let mixture = Mixture::start();
    let silent = Spec::script([Step::Hold]).start();
    let list = dir.path().join("list");
    let targets = mixture.targets(300).chain([silent.target()]);
    fs::write(&list, targets.map(|line| line + "\n").collect::<String>()).unwrap();

    let outcome = Tlsweep::json()
        .args(["--status", "10ms", "--handshake-timeout", "1s", "-f"])
        .args([list])
        .start()
        .finish();

    outcome.assert_complete();
    let (lines, summary) = outcome.stderr.trim_end().rsplit_once('\n').unwrap();
    assert!(summary.starts_with("tlsweep: 301 targets"), "{summary}");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 2, "{lines:#?}");
    let mut before = (0.0, 0.0);
    for line in &lines {
        let number = |name: &str| line[name].as_f64().unwrap_or_else(|| panic!("{name}: {line}"));
        let by: f64 = line["by"].as_object().unwrap().values().map(|n| n.as_f64().unwrap()).sum();
        assert_eq!(number("ok") + number("failed"), number("done"), "{line}");
        assert_eq!(by, number("failed"), "{line}");
        assert!(number("done") + number("in_flight") <= 301.0, "{line}");
        let (elapsed, done) = (number("elapsed") - before.0, number("done") - before.1);
        // The last line may follow another at once, and times are given to the millisecond.
        assert!(elapsed >= 0.0 && done >= 0.0, "{line} after {before:?}");
        let off = (number("rate") * elapsed - done).abs();
        assert!(off <= 0.001 * number("rate") + 0.001, "{line} after {before:?}");
        before = (number("elapsed"), number("done"));
        assert!(number("rss") > 1e6 && number("descriptors") >= 5.0, "{line}");
        assert_eq!(number("resolver_queue"), 0.0, "{line}");
        assert_eq!(line.get("eta").is_some(), number("done") > 0.0, "{line}");
        humantime::parse_rfc3339(line["time"].as_str().unwrap()).unwrap();
    }
    let last = lines.last().unwrap();
    assert_eq!((&last["done"], &last["in_flight"]), (&301.into(), &0.into()));
    assert_eq!(last["eta"], 0.0);
    assert_eq!(last["by"], tally(&outcome.records, failure));
}

#[test]
fn a_status_file_is_appended_to() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("status");
    fs::write(&file, "{}\n").unwrap();
    let refusing = Spec::refusing().start();
    let outcome =
        Tlsweep::json().args([Path::new("--status-file"), &file]).sweep([refusing.target()]);
    outcome.assert_complete();
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    // The sweep is over long before the 10 s of the default: its end is the only moment.
    let lines = status_lines(&file);
    assert_eq!((lines.len(), &lines[1]["by"]["connect/refused"]), (2, &1.into()));
    // What is read as it comes has no size.
    assert_eq!(lines[1].get("eta"), None);
}

#[test]
fn sigusr1_prints_a_line_at_once() {
    let dir = TempDir::new().unwrap();
    let stderr = dir.path().join("stderr");
    let good = Spec::good().start();
    let silent = Spec::script([Step::Hold]).start();
    let mut run = with_stderr_in(&stderr).args(["--handshake-timeout", "500s"]).start();
    run.write(&format!("{}\n{}\n", silent.target(), good.target()));
    run.next_record();
    for count in 1..=3 {
        run.signal("USR1");
        let line = wait_for(&stderr, |lines| lines.get(count - 1).cloned());
        let counts = ["done", "ok", "failed", "in_flight"].map(|name| line[name].as_u64().unwrap());
        assert_eq!(counts, [1, 1, 0, 1], "{line}");
    }
    run.signal("INT");
    run.signal("TERM");
    let outcome = run.ends_within(LATE);
    assert_eq!(outcome.records.len(), 2);
}

#[test]
fn sigusr1_kills_nothing_before_the_input_is_open() {
    let Some(mkfifo) = Program::find("mkfifo") else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let roots = fs::read(CA.write_to(&dir)).unwrap();
    let fifo = fifo(&mkfifo, &dir);
    let good = Spec::good().start();
    let run = Tlsweep::json()
        .args(["--roots".as_ref(), fifo.as_os_str(), good.target().as_ref()])
        .start();
    // It is opened here when it is there: then the program is about to read its roots.
    let mut writer = File::options().write(true).open(&fifo).unwrap();
    run.signal("USR1");
    writer.write_all(&roots).unwrap();
    drop(writer);
    let outcome = run.finish();
    assert_eq!(outcome.only_record()["trust"]["verdict"], "trusted");
    let line: Value = serde_json::from_str(outcome.stderr.lines().next().unwrap()).unwrap();
    assert!(line["done"].as_u64().unwrap() <= 1, "{line}");
}

#[test]
fn nobody_takes_the_status_lines_so_they_wait_alone() {
    let Some(mkfifo) = Program::find("mkfifo") else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let fifo = fifo(&mkfifo, &dir);
    let mut full = File::options();
    let full = full.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    let mut full = full.open(&fifo).unwrap();
    while full.write(&[b'\n'; 4096]).is_ok() {}
    assert_eq!(full.write(b"\n").unwrap_err().kind(), ErrorKind::WouldBlock);
    let refusing = Spec::refusing().on_all_of_loopback().start();
    let targets = (1..=200).map(|n| format!("127.0.0.{n}:{}", refusing.addr.port()));
    let outcome = with_stderr_in(&fifo).args(["-q", "--status", "1ms", "-c1"]).sweep(targets);
    assert_eq!(outcome.assert_complete().records.len(), 200);
}

#[test]
fn lookups_queue_up_at_a_dead_name_server() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("status");
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut run = Tlsweep::json()
        .args(["--resolver", &dead.local_addr().unwrap().to_string()])
        .args(["--resolve-timeout", "1s", "--status", "1ms", "--status-file"])
        .args([&file])
        .start();
    run.write("a.test\nb.test\nc.test\n127.0.0.1:x\n");
    let line = wait_for(&file, |lines| {
        lines.iter().find(|line| line["resolver_queue"] == 3 && line["done"] == 1).cloned()
    });
    assert_eq!(line["in_flight"], 3);
    let outcome = run.finish();
    assert_eq!(tally(&outcome.records, failure)["resolve/timeout"], 3);
    assert_eq!(status_lines(&file).last().unwrap()["resolver_queue"], 0);
}

#[test]
fn the_summary_and_the_metrics_equal_the_records() {
    let dir = TempDir::new().unwrap();
    let mixture = Mixture::start();
    let reports = InFiles::new(&dir);
    let outcome = reports
        .run()
        .args(["--fail-on", "error,untrusted,min-tls=1.3", "--roots"])
        .args([CA.write_to(&dir)])
        .sweep(mixture.targets(500));
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let summary = reports.check(&outcome);
    assert_eq!((&summary["targets"], &summary["exit_code"]), (&500.into(), &1.into()));
    for (room, words) in [("versions", 2), ("groups", 2), ("verdicts", 2), ("failed_checks", 3)] {
        assert_eq!(summary[room].as_object().unwrap().len(), words, "{room}: {summary:#}");
    }
}

#[test]
fn verdicts_are_counted_though_no_field_shows_them() {
    let dir = TempDir::new().unwrap();
    let good = Spec::good().start();
    let summary = dir.path().join("summary");
    let args = [Path::new("--summary"), &summary];
    let outcome = Tlsweep::json_fields("target").args(args).sweep([good.target()]);
    outcome.assert_complete();
    assert_eq!(read_json(&summary)["verdicts"], serde_json::json!({ "unknown_issuer": 1 }));
}

#[test]
fn a_signal_still_leaves_everything_written() {
    let dir = TempDir::new().unwrap();
    let reports = InFiles::new(&dir);
    let good = Spec::good().start();
    let silent = Spec::script([Step::Hold]).start();
    let mut run = reports.run().args(["--handshake-timeout", "500s", "--status", "1day"]).start();
    run.write(&format!("{}\n{}\n", silent.target(), good.target()));
    run.next_record();
    run.signal("TERM");
    run.signal("INT");
    let outcome = run.ends_within(LATE);
    let summary = reports.check(&outcome);
    assert_eq!(summary["by"], serde_json::json!({ "local/interrupted": 1 }));
    assert_eq!(summary["exit_code"], outcome.code.unwrap());
}

#[test]
fn a_reader_of_the_metrics_never_sees_a_part() {
    let dir = TempDir::new().unwrap();
    let reports = InFiles::new(&dir);
    let mixture = Mixture::start();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut updates = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let Ok(text) = fs::read_to_string(&reports.metrics) else { continue };
                let metrics = Exposition::parse(&text);
                let done = metrics.sum("tlsweep_targets_total");
                updates.push((metrics.value("tlsweep_last_update_time_seconds"), done));
            }
            updates
        });
        let run = reports.run().args(["--status", "1ms"]).sweep(mixture.targets(2000));
        ended.store(true, Ordering::Relaxed);
        let mut updates = reader.join().unwrap();
        assert!(updates.is_sorted(), "{updates:?}");
        updates.dedup();
        assert!(updates.len() >= 10, "{updates:?}");
        reports.check(&run);
    });
    let mode = fs::metadata(&reports.metrics).unwrap().permissions().mode();
    assert_ne!(mode & 0o040, 0, "the collector may read it: {mode:o}");
    let mut names: Vec<_> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["tlsweep.json", "tlsweep.prom"], "nothing else is left there");
}

#[test]
fn reports_that_cannot_be_written_exit_2_and_nothing_is_dialled() {
    let dir = TempDir::new().unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    let (link, directory) = (link.to_str().unwrap(), dir.path().to_str().unwrap());
    let peer = Spec::good().start();
    let long = format!("{directory}/{}", "n".repeat(256));
    let named_like_a_directory = format!("{directory}/new/");
    for flag in ["--summary", "--metrics", "--status-file"] {
        for path in ["/no/such/directory/file", directory, link, &long, &named_like_a_directory] {
            // What is appended to may be anything.
            if (flag, path) == ("--status-file", link) {
                continue;
            }
            let outcome = Tlsweep::new().args([flag, path, &peer.target()]).run("");
            assert_eq!(outcome.code, Some(2), "{flag} {path}: {}", outcome.stderr);
            assert!(outcome.stderr.contains(path), "{flag} {path}: {}", outcome.stderr);
        }
    }
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn a_summary_that_cannot_be_written_in_the_end_exits_3() {
    let dir = TempDir::new().unwrap();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let refusing = Spec::refusing().start();
    let mut run = Tlsweep::json().args([Path::new("--summary"), &inner.join("summary")]).start();
    run.write(&format!("{}\n", refusing.target()));
    run.next_record();
    fs::remove_dir(&inner).unwrap();
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("summary"), "{}", outcome.stderr);
}

/// Servers of several kinds, so that every counter has something to count.
struct Mixture([Peer; 4]);

impl Mixture {
    fn start() -> Self {
        let tls12 = server_config(&GOOD, &[&rustls::version::TLS12]);
        Self([
            Spec::good().on_all_of_loopback().start(),
            Spec::served(tls12).on_all_of_loopback().start(),
            Spec::refusing().on_all_of_loopback().start(),
            Spec::script([Step::ReadHello, send("HTTP/1.1 400 Bad Request\r\n\r\n"), Step::Hold])
                .on_all_of_loopback()
                .start(),
        ])
    }

    fn targets(&self, count: usize) -> impl Iterator<Item = String> {
        let ports = self.0.each_ref().map(|peer| Some(peer.addr.port()));
        let kinds = ports.into_iter().chain([None]).cycle();
        kinds.take(count).enumerate().map(|(number, port)| match port {
            // The certificate is for the first of them only.
            Some(port) => format!("127.0.0.{}:{port}", number % 10 + 1),
            None => format!("127.0.0.1:port{number}"),
        })
    }
}

/// The summary and the metrics of a run.
struct InFiles {
    summary: PathBuf,
    metrics: PathBuf,
}

impl InFiles {
    fn new(dir: &TempDir) -> Self {
        Self { summary: dir.path().join("tlsweep.json"), metrics: dir.path().join("tlsweep.prom") }
    }

    fn run(&self) -> Tlsweep {
        let args = [Path::new("--summary"), &self.summary, Path::new("--metrics"), &self.metrics];
        Tlsweep::json().args(args)
    }

    /// The summary, when it and the metrics are what the records say.
    fn check(&self, outcome: &Outcome) -> Value {
        let records = &outcome.records;
        let summary = read_json(&self.summary);
        assert_eq!(summary["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(summary["arguments"][0], BINARY);
        let [start, end] = ["start", "end"]
            .map(|name| humantime::parse_rfc3339(summary[name].as_str().unwrap()).unwrap());
        let lasted = end.duration_since(start).unwrap().as_secs_f64();
        assert!((lasted - summary["elapsed"].as_f64().unwrap()).abs() < 0.01, "{summary:#}");
        assert!(summary["peak_rss"].as_u64().unwrap() > 1_000_000, "{summary:#}");
        assert_eq!(summary["exit_code"], outcome.code.unwrap());

        let ok = records.iter().filter(|record| record["ok"] == true).count();
        assert_eq!(summary["targets"], records.len());
        assert_eq!(
            (&summary["ok"], &summary["failed"]),
            (&ok.into(), &(records.len() - ok).into())
        );
        assert_eq!(summary["by"], tally(records, failure));
        assert_eq!(summary["versions"], tally(records, at("/tls/version")));
        assert_eq!(summary["groups"], tally(records, at("/tls/group")));
        assert_eq!(summary["verdicts"], tally(records, at("/trust/verdict")));
        let met = records.iter().filter_map(|record| record["failed_checks"].as_array()).flatten();
        let met: Vec<_> = met.cloned().collect();
        assert_eq!(summary["failed_checks"], tally(&met, at("")));

        let of_made_ones = |record: &Value| record["ms"]["connect"].is_number();
        for record in records.iter().filter(|record| of_made_ones(record)) {
            let stage = record["error"]["stage"].as_str();
            assert!(stage.is_none_or(|s| ["starttls", "handshake"].contains(&s)), "{record:#}");
        }
        check_latency(&summary["ms"]["connect"], times(records, "connect", of_made_ones));
        check_latency(
            &summary["ms"]["handshake"],
            times(records, "handshake", |record| record["ok"] == true),
        );
        let dialled = |record: &Value| record["attempts"].as_u64().is_some_and(|n| n > 0);
        check_latency(&summary["ms"]["total"], times(records, "total", dialled));

        let metrics = Exposition::parse(&fs::read_to_string(&self.metrics).unwrap());
        let value = |key: &str| Value::from(metrics.value(key) as u64);
        assert_eq!(value(r#"tlsweep_targets_total{result="ok"}"#), summary["ok"]);
        assert_eq!(value(r#"tlsweep_targets_total{result="failed"}"#), summary["failed"]);
        assert_eq!(value("tlsweep_exit_code"), summary["exit_code"]);
        assert_eq!(metrics.value("tlsweep_in_flight"), 0.0);
        let failures = |word: &str| {
            let (stage, kind) = word.split_once('/').unwrap();
            format!("{{stage=\"{stage}\",kind=\"{kind}\"}}")
        };
        let verdicts = |word: &str| format!("{{verdict=\"{word}\"}}");
        let checks = |word: &str| format!("{{check=\"{word}\"}}");
        same(&metrics, "tlsweep_failures_total", &summary["by"], failures);
        same(&metrics, "tlsweep_verdicts_total", &summary["verdicts"], verdicts);
        same(&metrics, "tlsweep_failed_checks_total", &summary["failed_checks"], checks);
        let pair = |record: &Value| {
            let tls = &record["tls"];
            let group = tls["group"].as_str().unwrap_or_default();
            Some(format!("{{version={},group=\"{group}\"}}", tls.get("version")?))
        };
        let pairs = tally(records, pair);
        same(&metrics, "tlsweep_connections_total", &pairs, str::to_owned);
        for (step, name) in
            [("connect", "connect"), ("handshake", "handshake"), ("total", "target")]
        {
            let count = value(&format!("tlsweep_{name}_duration_seconds_count"));
            assert_eq!(count, summary["ms"][step]["count"], "{step}");
        }
        let within = metrics.get(r#"tlsweep_target_duration_seconds_bucket{le="0.01"}"#).unwrap();
        let times = times(records, "total", dialled);
        assert_eq!(within as usize, times.iter().filter(|ms| **ms <= 10.0).count());
        let sum: f64 = times.iter().sum();
        let found = metrics.value("tlsweep_target_duration_seconds_sum");
        assert!((found * 1000.0 - sum).abs() < 0.001, "{found} s, {sum} ms");
        summary
    }
}

/// Whether a metric has these counts and no others.
fn same(metrics: &Exposition, name: &str, counts: &Value, labels: impl Fn(&str) -> String) {
    let counts = counts.as_object().unwrap();
    for (word, count) in counts {
        let key = format!("{name}{}", labels(word));
        assert_eq!(metrics.value(&key), count.as_f64().unwrap(), "{key}");
    }
    assert_eq!(metrics.count(name), counts.len(), "{name}");
}

/// The times of a step, sorted, of the records that count for it.
fn times(records: &[Value], step: &str, counts: impl Fn(&Value) -> bool) -> Vec<f64> {
    let counted = records.iter().filter(|record| counts(record));
    let mut times: Vec<f64> = counted.filter_map(|record| record["ms"][step].as_f64()).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn check_latency(found: &Value, times: Vec<f64>) {
    assert_eq!(found["count"], times.len());
    for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
        let exact = times[(times.len() * percent).div_ceil(100) - 1];
        let off = found[name].as_f64().unwrap() - exact;
        assert!((-0.001..=exact * 0.016 + 0.001).contains(&off), "{name} is not {exact}: {found}");
    }
}

/// How often each word stands in the records.
fn tally(records: &[Value], word: impl Fn(&Value) -> Option<String>) -> Value {
    let mut counts = Map::new();
    for word in records.iter().filter_map(word) {
        let count = counts.get(&word).and_then(Value::as_u64).unwrap_or(0);
        counts.insert(word, (count + 1).into());
    }
    counts.into()
}

fn failure(record: &Value) -> Option<String> {
    record.get("error")?;
    verdict(record).split(' ').next().map(str::to_owned)
}

fn at(pointer: &str) -> impl Fn(&Value) -> Option<String> {
    move |record| Some(record.pointer(pointer)?.as_str()?.to_owned())
}

fn read_json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The whole lines of a file that are JSON.
fn status_lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until the status lines in a file have what is asked for.
fn wait_for(file: &Path, found: impl Fn(&[Value]) -> Option<Value>) -> Value {
    let deadline = Instant::now() + LATE;
    loop {
        let lines = status_lines(file);
        if let Some(found) = found(&lines) {
            return found;
        }
        assert!(Instant::now() < deadline, "{lines:#?}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// A run whose stderr is this file.
fn with_stderr_in(file: &Path) -> Tlsweep {
    let script = format!(r#"exec "$0" "$@" 2>>{}"#, file.display());
    Tlsweep::json_under("sh", ["-c", &script])
}

fn fifo(mkfifo: &Program, dir: &TempDir) -> PathBuf {
    let path = dir.path().join("fifo");
    let made = mkfifo.run([&path]);
    assert!(made.status.success(), "{}", shown(&made));
    path
}
