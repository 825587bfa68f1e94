//! `--baseline`: what has changed since an earlier sweep.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cmd::{Outcome, Tlsweep};
use crate::support::peer::{Peer, Spec};
use crate::support::pki::CA;

/// A good server and a closed port, and what one sweep of them wrote.
struct Swept {
    dir: TempDir,
    roots: PathBuf,
    good: Peer,
    refusing: Peer,
    lines: String,
}

impl Swept {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let (good, refusing) = (Spec::good().start(), Spec::refusing().start());
        let roots = CA.write_to(&dir);
        let swept = Self { dir, roots, good, refusing, lines: String::new() };
        let outcome = swept.command().sweep([swept.good.target(), swept.refusing.target()]);
        let lines = outcome.assert_complete().text().to_owned();
        Self { lines, ..swept }
    }

    fn command(&self) -> Tlsweep {
        Tlsweep::json().args([Path::new("--roots"), &self.roots]).args(["-c", "1"])
    }

    fn against(&self, baseline: &Path) -> Tlsweep {
        self.command().args([Path::new("--baseline"), baseline])
    }

    fn again(&self, baseline: &Path) -> Outcome {
        self.against(baseline).sweep([self.good.target(), self.refusing.target()])
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The record of the good server, changed by `change`, as a file.
    fn with(&self, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        self.file(name, self.edited(change) + "\n")
    }

    fn edited(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut record: Value = serde_json::from_str(self.lines.lines().next().unwrap()).unwrap();
        change(&mut record);
        record.to_string()
    }

    fn summary_of(&self, command: Tlsweep) -> (Outcome, Value) {
        let path = self.dir.path().join("summary.json");
        let outcome = command
            .args([Path::new("--summary"), &path])
            .sweep([self.good.target(), self.refusing.target()]);
        (outcome, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    }
}

#[test]
fn nothing_has_changed() {
    let swept = Swept::new();
    let plain = swept.file("plain.jsonl", &swept.lines);
    let packed = swept.file("x.jsonl.zst", zstd::encode_all(swept.lines.as_bytes(), 1).unwrap());
    for baseline in [plain, packed] {
        let (outcome, summary) =
            swept.summary_of(swept.against(&baseline).args(["--fail-on", "changed"]));
        let changed: Vec<_> =
            outcome.assert_complete().records.iter().map(|r| &r["changed"]).collect();
        assert_eq!(changed, [&json!({}), &json!({})]);
        assert_eq!(summary["baseline"], json!({"same": 2, "changed": 0, "new": 0, "missing": 0}));
    }
}

#[test]
fn each_field_tells_its_earlier_value_and_is_a_condition() {
    let swept = Swept::new();
    let hash = "ab".repeat(32);
    for (pointer, field, earlier) in [
        ("/tls/version", "tls.version", "TLSv1.2"),
        ("/tls/group", "tls.group", "x25519"),
        ("/cert/sha256", "cert.sha256", hash.as_str()),
        ("/cert/spki_sha256", "cert.spki_sha256", &hash),
        ("/cert/issuer", "cert.issuer", "CN=Another CA"),
        ("/trust/verdict", "trust.verdict", "expired"),
    ] {
        let baseline =
            swept.with("earlier.jsonl", |r| *r.pointer_mut(pointer).unwrap() = earlier.into());
        let (room, name) = field.split_once('.').unwrap();
        let expected = json!({ room: { name: earlier } });
        for condition in ["changed".to_owned(), format!("changed={field}")] {
            let outcome = swept
                .against(&baseline)
                .args(["--fail-on", &condition])
                .sweep([swept.good.target()]);
            assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
            assert_eq!(outcome.records[0]["changed"], expected);
            assert_eq!(outcome.records[0]["failed_checks"], json!([condition]));
            assert!(outcome.stderr.contains("1 changed, 0 new, 0 missing"), "{}", outcome.stderr);
        }
        let outcome = swept
            .against(&baseline)
            .args(["--fail-on", "changed=result"])
            .sweep([swept.good.target()]);
        assert_eq!(outcome.assert_complete().records[0]["failed_checks"], json!([]));
    }
}

#[test]
fn a_result_that_changed_hides_no_field_and_invents_none() {
    let swept = Swept::new();
    let refused = |record: &mut Value| {
        record["ok"] = false.into();
        record["error"] = json!({"stage": "connect", "kind": "refused", "detail": ""});
        for room in ["tls", "cert", "chain", "trust"] {
            record.as_object_mut().unwrap().remove(room);
        }
    };
    let baseline = swept.with("refused.jsonl", refused);
    let outcome = swept.again(&baseline);
    assert_eq!(outcome.records[0]["changed"], json!({"result": "connect/refused"}));
    assert_eq!(outcome.records[1]["changed"], json!({"new": true}));
    assert!(outcome.stderr.contains("1 changed, 1 new, 0 missing"), "{}", outcome.stderr);
}

#[test]
fn a_fault_of_our_own_machine_is_no_change() {
    let swept = Swept::new();
    let baseline = swept.with("ours.jsonl", |record| {
        record["ok"] = false.into();
        record["error"] = json!({"stage": "local", "kind": "resource", "detail": ""});
        for room in ["tls", "cert", "chain", "trust"] {
            record.as_object_mut().unwrap().remove(room);
        }
    });
    let outcome = swept.against(&baseline).sweep([swept.good.target()]);
    assert_eq!(outcome.assert_complete().records[0]["changed"], json!({}));
}

#[test]
fn a_target_is_the_same_in_another_spelling_and_another_place() {
    let swept = Swept::new();
    let port = swept.good.addr.port();
    let hosts = swept.command().sweep([format!("LOCALHOST:{port}"), format!("127.0.0.1:{port}")]);
    let baseline = swept.file("names.jsonl", hosts.assert_complete().text());
    let again = [
        format!("127.0.0.1 {port}"),
        format!("https://localhost:{port}/path"),
        "# a comment".to_owned(),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("127.0.0.1:{port},other.test"),
        "no target".to_owned(),
    ];
    let outcome = swept.against(&baseline).sweep(again);
    let changed: Vec<_> = outcome.records.iter().map(|r| r.get("changed").cloned()).collect();
    let new = Some(json!({"new": true}));
    assert_eq!(
        changed,
        [Some(json!({})), Some(json!({})), new.clone(), new, None],
        "{}",
        outcome.stderr
    );
}

#[test]
fn of_a_target_that_was_swept_twice_the_last_time_counts() {
    let swept = Swept::new();
    let old = swept.edited(|record| {
        record["time"] = "2020-01-01T00:00:00Z".into();
        record["tls"]["version"] = "TLSv1.2".into();
    });
    let last = swept.edited(|_| {});
    let baseline = swept.file("days.jsonl", format!("{old}\n{last}\n"));
    let outcome = swept.against(&baseline).sweep([swept.good.target()]);
    assert_eq!(outcome.assert_complete().records[0]["changed"], json!({}));
    let baseline = swept.file("back.jsonl", format!("{last}\n{old}\n"));
    let outcome = swept.against(&baseline).sweep([swept.good.target()]);
    let expected = json!({"tls": {"version": "TLSv1.2"}});
    assert_eq!(outcome.assert_complete().records[0]["changed"], expected);
    // The same host twice in the list of today.
    let (outcome, summary) = swept.summary_of(swept.against(&baseline).args([swept.good.target()]));
    assert_eq!(outcome.records.len(), 1);
    assert_eq!(summary["baseline"]["missing"], 0);
}

#[test]
fn of_several_addresses_the_same_one_is_compared() {
    let swept = Swept::new();
    let other = swept.edited(|record| {
        record["addr"] = "127.0.0.2".into();
        record["tls"]["version"] = "TLSv1.2".into();
    });
    let same = swept.edited(|_| {});
    let baseline = swept.file("all.jsonl", format!("{other}\n{same}\n"));
    let outcome = swept.against(&baseline).sweep([swept.good.target()]);
    assert_eq!(outcome.assert_complete().records[0]["changed"], json!({}));
    assert!(outcome.stderr.contains("0 changed, 0 new, 0 missing"), "{}", outcome.stderr);
    // A name that moved is still the same target.
    let baseline = swept.file("moved.jsonl", other);
    let outcome = swept.against(&baseline).sweep([swept.good.target()]);
    let expected = json!({"tls": {"version": "TLSv1.2"}});
    assert_eq!(outcome.assert_complete().records[0]["changed"], expected);
}

#[test]
fn missing_targets_are_counted_when_the_whole_list_was_seen() {
    let swept = Swept::new();
    let baseline = swept.file("all.jsonl", &swept.lines);
    let outcome = swept.against(&baseline).sweep([swept.good.target()]);
    assert!(outcome.stderr.contains("0 changed, 0 new, 1 missing"), "{}", outcome.stderr);
    let outcome = swept.against(&baseline).args(["--shard", "0/2"]).sweep([swept.good.target()]);
    assert!(outcome.stderr.trim_end().ends_with("0 changed, 0 new"), "{}", outcome.stderr);
}

#[test]
fn records_of_earlier_sweeps_are_compared_as_well() {
    let swept = Swept::new();
    let baseline = swept.with("earlier.jsonl", |r| r["cert"]["issuer"] = "CN=Another CA".into());
    let now = swept.file("now.jsonl", &swept.lines);
    let files = [Path::new("--from"), &now, Path::new("--baseline"), &baseline];
    let outcome = Tlsweep::json().args(files).args(["--fail-on", "changed=new"]).run("");
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert_eq!(outcome.records[0]["changed"], json!({"cert": {"issuer": "CN=Another CA"}}));
    assert_eq!(outcome.records[1]["failed_checks"], json!(["changed=new"]));
    // What they say of an earlier baseline is kept, and conditions are judged by it.
    let kept = swept.file("kept.jsonl", outcome.text());
    let from = [Path::new("--from"), kept.as_path()];
    let replayed = Tlsweep::json().args(from).args(["--fail-on", "changed=cert.issuer"]).run("");
    assert_eq!(replayed.records[0]["failed_checks"], json!(["changed=cert.issuer"]));

    let text = Tlsweep::new().args(from).run("");
    let notes: Vec<_> = text.text().lines().map(|l| l.rsplit('\t').next().unwrap()).collect();
    assert!(notes[0].contains("changed: cert.issuer (was CN=Another CA)"), "{notes:?}");
    assert!(notes[1].contains("; new;"), "{notes:?}");
    let detail = Tlsweep::new().args(["--format", "detail"]).args(from).run("");
    assert!(
        detail.text().contains("  changed       cert.issuer, which was CN=Another CA"),
        "{}",
        detail.text()
    );
    assert!(detail.text().contains("the baseline does not have this target"), "{}", detail.text());
    let csv = Tlsweep::new().args(["--format=csv", "--fields=target,changed"]).args(from).run("");
    let csv: Vec<_> = csv.text().lines().collect();
    let head = "target,changed.new,changed.result,changed.tls.version,changed.tls.group,\
                changed.cert.sha256,changed.cert.spki_sha256,changed.cert.issuer,changed.trust.verdict";
    assert_eq!(csv[0], head);
    assert!(csv[1].ends_with(",,,,,,,CN=Another CA,"), "{csv:?}");
    assert!(csv[2].ends_with(",true,,,,,,,"), "{csv:?}");
}

#[test]
fn a_long_issuer_is_cut_and_still_compared() {
    let swept = Swept::new();
    let long = format!("CN={}", "x".repeat(200));
    let was = swept.with("was.jsonl", |r| r["cert"]["issuer"] = long.clone().into());
    let from = |now: &Path| {
        let files = [Path::new("--from"), now, Path::new("--baseline"), &was];
        Tlsweep::json().args(files).run("").assert_complete().records[0]["changed"].clone()
    };
    assert_eq!(from(&was), json!({}));
    let now = swept.with("now.jsonl", |r| r["cert"]["issuer"] = format!("{long}y").into());
    let earlier = from(&now)["cert"]["issuer"].as_str().unwrap().to_owned();
    assert!(
        earlier.starts_with("CN=xxx") && earlier.ends_with('…') && earlier.len() < 80,
        "{earlier}"
    );
}

#[test]
fn what_is_no_baseline_says_why() {
    let swept = Swept::new();
    let torn = swept.file("torn.jsonl", &swept.lines[..swept.lines.len() - 20]);
    let outcome = swept.again(&torn);
    assert_eq!(outcome.assert_complete().records[1]["changed"], json!({"new": true}));
    assert!(outcome.stderr.contains("torn.jsonl is torn off"), "{}", outcome.stderr);
    let empty = swept.file("empty.jsonl", "");
    let outcome = swept.again(&empty);
    assert_eq!(outcome.assert_complete().records[0]["changed"], json!({"new": true}));

    let other = swept.edited(|record| record["v"] = 2.into()) + "\n";
    let missing = swept.dir.path().join("missing.jsonl");
    for (baseline, words) in [
        (swept.file("version.jsonl", other), &["line 1", "version 2", "version 1"][..]),
        (swept.file("text.tsv", "a.test\tok\n"), &["line 1", "--format json"]),
        (missing, &["missing.jsonl", "No such file"]),
        (PathBuf::from("-"), &["needs a file"]),
    ] {
        let outcome = swept.again(&baseline);
        assert_eq!((outcome.code, outcome.records.len()), (Some(2), 0), "{}", outcome.stderr);
        for word in ["--baseline"].iter().chain(words) {
            assert!(outcome.stderr.contains(word), "no {word} in {}", outcome.stderr);
        }
    }
    let outcome =
        swept.command().args(["--fail-on", "changed=result"]).sweep([swept.good.target()]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("--fail-on changed=result needs"), "{}", outcome.stderr);
    let outcome =
        swept.command().args(["--fail-on", "changed=issuer"]).sweep([swept.good.target()]);
    assert!(outcome.stderr.contains("cert.spki_sha256, cert.issuer"), "{}", outcome.stderr);
    let all = swept.file("all.jsonl", &swept.lines);
    let outcome =
        swept.against(&all).args([Path::new("--summary"), &all]).sweep([swept.good.target()]);
    assert!(outcome.stderr.contains("same file"), "{}", outcome.stderr);
}

/// Every issuer another one, which is the worst case. What the kernel says of a whole process differs by half
/// a MiB from run to run: 4 bytes of a target, with so many of them. Several arenas would add to that.
#[test]
fn a_target_of_the_baseline_takes_at_most_200_bytes() {
    const TARGETS: [u64; 2] = [10_000, 130_000];
    let swept = Swept::new();
    let line = swept.edited(|record| {
        record["host"] = "HOST".into();
        record["cert"] = json!({
            "sha256": "ab".repeat(32),
            "spki_sha256": "cd".repeat(32),
            "issuer": format!("CN=ISSUER {}", "x".repeat(200)),
        });
    });
    let path = swept.dir.path().join("many.jsonl.zst");
    let now = swept.with("now.jsonl", |_| {});
    let peaks = TARGETS.map(|targets| {
        let mut file = zstd::Encoder::new(File::create(&path).unwrap(), 1).unwrap();
        for target in 0..targets {
            let line = line.replace("HOST", &format!("h{target}.test"));
            writeln!(file, "{}", line.replace("ISSUER", &target.to_string())).unwrap();
        }
        file.finish().unwrap();
        let summary = swept.dir.path().join("summary");
        let files = [Path::new("--from"), &now, Path::new("--baseline"), &path];
        let run = Tlsweep::json().env("MALLOC_ARENA_MAX", "1").args(files);
        let run = run.args([Path::new("--summary"), &summary]);
        run.run("").assert_complete();
        let document: Value = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
        assert_eq!(document["baseline"]["missing"], targets);
        document["peak_rss"].as_u64().unwrap()
    });
    let each = peaks[1].saturating_sub(peaks[0]) / (TARGETS[1] - TARGETS[0]);
    println!("{each} bytes for each target: {peaks:?}");
    assert!(each <= 200, "{each} bytes for each target: {peaks:?}");
}
