//! `--report` and `--format report`: what many records come to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cmd::{Outcome, Tlsweep};
use crate::support::peer::Spec;
use crate::support::pki::CA;
use crate::support::programs::{Program, shown};

/// What an attacker would like a page or a terminal to obey.
const HOSTILE: &str = "<script>alert(1)</script>\"'&</style>\u{202e}\x1b[31m";

/// Records of made-up hosts, and what they come to.
struct Made {
    lines: String,
    counts: BTreeMap<String, u64>,
}

/// So many records of every kind; texts are `hostile` or plain.
fn made(records: u64, hostile: bool) -> Made {
    let mut made = Made { lines: String::new(), counts: BTreeMap::new() };
    let text = |plain: String| if hostile { HOSTILE.repeat(8) + &plain } else { plain };
    for n in 0..records {
        let mut count = |label: &str| *made.counts.entry(label.to_owned()).or_default() += 1;
        let mut record = json!({
            "v": 1, "line": n + 1, "number": n + 1, "target": text(format!("h{n}.test")),
            "host": "h.test", "port": 443, "time": "2026-11-27T00:00:00.000Z", "ok": true,
            "ms": {"total": 20.0}, "attempts": 1,
        });
        if n % 5 == 4 {
            let kind = ["refused", "timeout"][(n / 5 % 2) as usize];
            count(&format!("connect/{kind}"));
            record["ok"] = false.into();
            record["error"] =
                json!({"stage": "connect", "kind": kind, "detail": text("no".into())});
            writeln!(made.lines, "{record}").unwrap();
            continue;
        }
        count("ok");
        let (group, is_pq) = [("X25519MLKEM768", true), ("X25519", false)][(n % 2) as usize];
        count(group);
        if is_pq {
            count("post-quantum");
        }
        let days = (n * 37 % 500) as i64 - 50;
        let bins =
            [(0, "ended"), (7, "0 to 6"), (14, "7 to 13"), (30, "14 to 29"), (60, "30 to 59")];
        let bins =
            bins.into_iter().chain([(90, "60 to 89"), (180, "90 to 179"), (365, "180 to 364")]);
        let bin =
            bins.into_iter().find(|(end, _)| days < *end).map_or("365 or more", |(_, bin)| bin);
        count(bin);
        let lifetime = [47, 90, 200, 398, 825][(n % 7 % 5) as usize];
        count(match lifetime {
            47 => "0 to 47 days",
            90 => "48 to 100 days",
            200 => "101 to 200 days",
            398 => "201 to 398 days",
            _ => "more than 398 days",
        });
        let issuer = format!("CN=CA {}", n % 3);
        count(&issuer);
        count(["EC P-256", "RSA 2048"][(n % 2) as usize]);
        let verdict = if days < 0 { "expired" } else { "trusted" };
        count(verdict);
        let end = format!("2027-{:02}-01T00:00:00Z", 1 + days.max(0) / 50);
        record["tls"] = json!({"version": "TLSv1.3", "group": group});
        record["cert"] = json!({
            "issuer": text(issuer), "days_left": days, "not_after": end, "lifetime_days": lifetime,
        });
        record["cert"]["key"] = ["EC", "RSA"][(n % 2) as usize].into();
        match n % 2 {
            0 => record["cert"]["key_curve"] = "P-256".into(),
            _ => record["cert"]["key_bits"] = 2048.into(),
        }
        let problems = if days < 0 { json!(["expired"]) } else { json!([]) };
        record["trust"] =
            json!({"verdict": verdict, "problems": problems, "days_left": days, "not_after": end});
        record["ms"]["handshake"] = json!(1.0 + (n % 100) as f64);
        writeln!(made.lines, "{record}").unwrap();
    }
    made
}

/// The page and the text of a replay of `lines`.
fn reported(lines: &str) -> (String, Outcome) {
    let dir = TempDir::new().unwrap();
    let [records, page] = ["records.jsonl", "page.html"].map(|name| dir.path().join(name));
    fs::write(&records, lines).unwrap();
    let args = [Path::new("--from"), &records, Path::new("--report"), &page];
    let outcome = Tlsweep::new().args(args).args(["-q", "--format", "report"]).run("");
    outcome.assert_complete();
    (fs::read_to_string(&page).unwrap(), outcome)
}

/// The count behind a label in the page.
fn count_in_page(page: &str, label: &str) -> Option<u64> {
    let (_, row) = page.split_once(&format!("<th scope=\"row\">{label}</th>"))?;
    let (_, number) = row.split_once("<td class=\"number\">")?;
    number.split('<').next()?.replace(',', "").parse().ok()
}

/// The count behind a label in the text.
fn count_in_text(text: &str, label: &str) -> Option<u64> {
    let mut rows = text.lines().filter_map(|line| line.trim_start().strip_prefix(label));
    let row = rows.find(|row| row.starts_with(' '))?;
    row.replace([',', '<', '>'], "").split_whitespace().rev().nth(2)?.parse().ok()
}

#[test]
fn every_number_is_that_of_the_records() {
    let made = made(2_000, false);
    let (page, outcome) = reported(&made.lines);
    assert!(made.counts.len() > 22, "{:?}", made.counts);
    for (label, count) in &made.counts {
        if label == "post-quantum" {
            let sentence = format!("{count} of 1,600 are post-quantum (50.0 %).");
            assert!(page.contains(&sentence) && outcome.text().contains(&sentence), "{sentence}");
            continue;
        }
        assert_eq!(count_in_page(&page, label), Some(*count), "{label} in the page");
        assert_eq!(count_in_text(outcome.text(), label), Some(*count), "{label} in the text");
    }
    assert!(page.contains("TLS sweep of 2,000 results"), "{page}");
    assert_eq!(page.matches("<td>2027-01-01</td>").count(), 10);
    assert!(outcome.text().lines().all(|line| line.chars().count() <= 80), "{}", outcome.text());
}

#[test]
fn a_page_is_small_and_safe_whatever_the_records_say() {
    let (page, outcome) = reported(&made(3_000, true).lines);
    assert!(page.len() < 200_000, "{} bytes", page.len());
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    for harmful in ["<script", "\u{202e}", "\x1b", "http:", "https:", "src=", "url("] {
        assert!(!page.contains(harmful), "{harmful:?}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
    assert!(!outcome.text().contains(['\u{202e}', '\x1b']), "{}", outcome.text());
    assert!(outcome.text().lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn a_sweep_has_the_report_of_its_records() {
    let dir = TempDir::new().unwrap();
    let [good, refusing] = [Spec::good().start(), Spec::refusing().start()];
    let roots = CA.write_to(&dir);
    let page = |name: &str| dir.path().join(name);
    let run = |args: &[&str], name: &str| {
        let args_of_files = [Path::new("--roots"), &roots, Path::new("--report"), &page(name)];
        Tlsweep::new().args(args_of_files).args(args).sweep([good.target(), refusing.target()])
    };
    // Whatever is written of the records, the report is of them all.
    let all = run(&["-j"], "all.html");
    run(&["-j", "--fields", "target"], "few.html").assert_complete();
    let failing = run(&["-j", "--fail-on", "error", "--only-failing"], "failing.html");
    assert_eq!((failing.code, failing.text().lines().count()), (Some(1), 1));
    for name in ["all.html", "few.html", "failing.html"] {
        let text = fs::read_to_string(page(name)).unwrap();
        for (label, count) in [("ok", 1), ("connect/refused", 1), ("trusted", 1)] {
            assert_eq!(count_in_page(&text, label), Some(count), "{label} in {name}");
        }
    }
    let (replayed, _) = reported(all.text());
    assert_eq!(replayed, fs::read_to_string(page("all.html")).unwrap());
}

#[test]
fn a_report_of_a_part_says_that_it_is_one() {
    let dir = TempDir::new().unwrap();
    let [records, page] = ["records.jsonl", "page.html"].map(|name| dir.path().join(name));
    let whole = made(10, false).lines;
    fs::write(&records, format!("{whole}no record\n{whole}")).unwrap();
    let args = [Path::new("--from"), &records, Path::new("--report"), &page];
    let outcome = Tlsweep::new().args(args).args(["--format", "report"]).run("");
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("line 11: not a record; --from reads"), "{}", outcome.stderr);
    let page = fs::read_to_string(&page).unwrap();
    for text in [page.as_str(), outcome.text()] {
        assert!(text.contains("TLS sweep of 10 results"), "{text}");
        assert!(text.contains("Not complete: the input could not be read to its end."), "{text}");
    }
    let (page, outcome) = reported(&whole);
    assert!(!page.contains("Not complete") && !outcome.text().contains("Not complete"), "{page}");
}

#[test]
fn the_page_is_written_when_the_report_cannot_be_printed() {
    let dir = TempDir::new().unwrap();
    let [records, page] = ["records.jsonl", "page.html"].map(|name| dir.path().join(name));
    fs::write(&records, made(10, false).lines).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let args = [Path::new("--from"), &records, Path::new("--report"), &page];
    let run = Tlsweep::new().stdout(full).args(args).args(["--format", "report"]);
    let outcome = run.run("");
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("No space left on device"), "{}", outcome.stderr);
    assert!(fs::read_to_string(&page).unwrap().contains("TLS sweep of 10 results"));
}

#[test]
fn a_report_of_nothing_and_a_report_in_a_file() {
    let (page, outcome) = reported("");
    assert!(page.contains("TLS sweep of 0 results"), "{page}");
    assert!(outcome.text().starts_with("TLS sweep of 0 results\n"), "{}", outcome.text());
    let args = ["--format", "report", "-o", "x.txt", "127.0.0.1:9"];
    let refused = Tlsweep::new().args(args).run("");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--report FILE.html"), "{}", refused.stderr);
}

#[test]
fn memory_does_not_depend_on_how_many_records_there_are() {
    let dir = TempDir::new().unwrap();
    let lines = made(20_000, false).lines;
    let path = |name: &str| -> PathBuf { dir.path().join(name) };
    fs::write(path("records.jsonl"), &lines).unwrap();
    let args = ["-q", "--format", "report", "--from"];
    let outcome = Tlsweep::new()
        .args(args)
        .args([path("records.jsonl")])
        .args([Path::new("--report"), &path("page.html")])
        .args([Path::new("--summary"), &path("summary.json")])
        .run("");
    outcome.assert_complete();
    let summary = fs::read_to_string(path("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["targets"], 20_000);
    assert!(summary["peak_rss"].as_u64().unwrap() < 64 << 20, "{summary}");
}

/// Counts by the words of the page, as DuckDB sees the records.
const BY_DUCKDB: &str = r#"
import duckdb, sys
r = f"read_json_auto('{sys.argv[1]}', union_by_name = true)"
queries = [
    f"SELECT coalesce(error.stage || '/' || error.kind, 'ok'), count(*) FROM {r} GROUP BY ALL",
    f"SELECT tls.version, count(*) FROM {r} WHERE tls.version IS NOT NULL GROUP BY ALL",
    f"SELECT tls.\"group\", count(*) FROM {r} WHERE tls.\"group\" IS NOT NULL GROUP BY ALL",
    f"SELECT trust.verdict, count(*) FROM {r} WHERE trust IS NOT NULL GROUP BY ALL",
    f"SELECT cert.issuer, count(*) FROM {r} WHERE cert IS NOT NULL GROUP BY ALL",
    f"""SELECT CASE WHEN cert.lifetime_days > 398 THEN 'more than 398 days'
                    WHEN cert.lifetime_days > 200 THEN '201 to 398 days'
                    WHEN cert.lifetime_days > 100 THEN '101 to 200 days'
                    WHEN cert.lifetime_days > 47 THEN '48 to 100 days' ELSE '0 to 47 days' END, count(*)
        FROM {r} WHERE cert IS NOT NULL GROUP BY ALL""",
    f"""SELECT CASE WHEN trust.days_left < 0 THEN 'ended' WHEN trust.days_left < 7 THEN '0 to 6'
                    WHEN trust.days_left < 14 THEN '7 to 13' WHEN trust.days_left < 30 THEN '14 to 29'
                    WHEN trust.days_left < 60 THEN '30 to 59' WHEN trust.days_left < 90 THEN '60 to 89'
                    WHEN trust.days_left < 180 THEN '90 to 179' WHEN trust.days_left < 365 THEN '180 to 364'
                    ELSE '365 or more' END, count(*)
        FROM {r} WHERE trust IS NOT NULL GROUP BY ALL""",
]
for query in queries:
    for label, n in duckdb.sql(query).fetchall():
        print(f"{label}\t{n}")
"#;

#[test]
fn duckdb_counts_the_same_records_as_the_page_does() {
    let Some(python) = Program::of_engines("python3") else { return };
    let dir = TempDir::new().unwrap();
    let records = dir.path().join("records.jsonl");
    let made = made(3_000, false);
    fs::write(&records, &made.lines).unwrap();
    let output = python.run([Path::new("-c"), Path::new(BY_DUCKDB), &records]);
    assert!(output.status.success(), "{}", shown(&output));
    let counted = String::from_utf8(output.stdout).unwrap();
    let (page, _) = reported(&made.lines);
    let mut labels = 0;
    for (label, count) in counted.lines().filter_map(|line| line.split_once('\t')) {
        assert_eq!(count_in_page(&page, label), count.parse().ok(), "{label}: {counted}");
        labels += 1;
    }
    assert!(labels > 20, "{counted}");
}
