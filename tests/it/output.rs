//! The three formats, and the schema.

use serde_json::{Value, json};

use crate::support::cmd::{Tlsweep, schema};
use crate::support::peer::Spec;
use crate::support::pki::GOOD_NAMES;
use crate::support::programs::{Program, shown};
use crate::support::script::Step::{Hold, ReadHello};
use crate::support::script::send;

#[test]
fn text_in_a_pipe_is_nine_columns_between_tabs() {
    let good = Spec::good().start();
    let refusing = Spec::refusing().start();
    let outcome = Tlsweep::new().args(["-c", "1"]).sweep([good.target(), refusing.target()]);
    let rows: Vec<Vec<&str>> =
        outcome.assert_complete().text().lines().map(|line| line.split('\t').collect()).collect();
    let [ok, refused] = rows.as_slice() else { panic!("{}", outcome.text()) };

    assert_eq!(ok.len(), 9, "{ok:?}");
    assert_eq!(ok[..3], [good.target().as_str(), "ok", "TLSv1.3"]);
    assert_eq!(ok[3], "X25519MLKEM768");
    assert_eq!(ok[4], "-", "no protocol was agreed on");
    assert!(ok[5].parse::<i64>().unwrap() > 30_000, "days until 2125: {ok:?}");
    assert!(ok[7].parse::<f64>().unwrap() > 0.0, "{ok:?}");

    assert_eq!(refused.len(), 9, "{refused:?}");
    assert_eq!(refused[..2], [refusing.target().as_str(), "connect/refused"]);
    assert_eq!(refused[2..7], ["-"; 5]);
    assert_ne!(refused[8], "-", "the note is the detail");
}

#[test]
fn text_on_a_terminal_is_coloured_unless_told_not_to() {
    let Some(script) = Program::find("script") else {
        return;
    };
    let peer = Spec::good().start();
    let on_a_terminal = |environment: &str| {
        let command = format!("{environment} {} -q {}", crate::support::cmd::BINARY, peer.target());
        let output = script.run(["-qec", &command, "/dev/null"]);
        assert!(output.status.success(), "{}", shown(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(on_a_terminal("TERM=xterm").contains("\x1b["));
    assert!(!on_a_terminal("NO_COLOR=1 TERM=xterm").contains("\x1b[3"));
}

#[test]
fn what_a_peer_says_cannot_steer_a_terminal() {
    let evil = "\u{1b}]0;title\u{7}\u{202e}\t\r\n,\"";
    let peer = Spec::script([ReadHello, send(evil), Hold]).start();
    for format in ["text", "csv", "json"] {
        let outcome = Tlsweep::new()
            .args(["--format", format])
            .sweep([peer.target(), "bad\u{1b}[31m\u{202e}.test".to_owned()]);
        let text = outcome.assert_complete().text();
        for forbidden in ['\u{1b}', '\u{7}', '\u{202e}', '\r'] {
            assert!(!text.contains(forbidden), "{format}: {forbidden:?} in {text:?}");
        }
    }
}

#[test]
fn csv_has_a_header_and_rows_of_its_length() {
    let good = Spec::good().start();
    let refusing = Spec::refusing().start();
    let input = [format!("{},good.test,\"a, tag\"", good.target()), refusing.target()];
    let outcome = Tlsweep::new().args(["--format", "csv", "-c", "1"]).sweep(&input);
    let mut reader = csv::Reader::from_reader(outcome.assert_complete().text().as_bytes());
    let header = reader.headers().unwrap().clone();
    // A row of another length is an error of the reader.
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let field = |row: usize, name: &str| {
        let column = header.iter().position(|column| column == name);
        rows[row].get(column.unwrap_or_else(|| panic!("no {name} in {header:?}"))).unwrap()
    };
    assert_eq!(rows.len(), 2);
    assert_eq!(field(0, "target"), good.target());
    assert_eq!(field(0, "tag"), "\"a, tag\"");
    assert_eq!(field(0, "ok"), "true");
    assert_eq!(field(0, "tls.version"), "TLSv1.3");
    assert_eq!(
        field(0, "cert.names"),
        GOOD_NAMES[..2].join(" "),
        "addresses are a field of their own"
    );
    assert_eq!(field(1, "ok"), "false");
    assert_eq!(field(1, "error.kind"), "refused");
    assert_eq!(field(1, "tls.version"), "");

    let bare = Tlsweep::new().args(["--format", "csv", "--no-header"]).sweep(&input[1..]);
    assert_eq!(bare.text().lines().count(), 1);
    assert!(!bare.text().contains("tls.version"));
}

/// A spreadsheet runs a cell that begins like this.
#[test]
fn csv_has_no_formula_from_a_peer_or_a_line() {
    let formula = "=HYPERLINK(\"http://x.test\")";
    let peer = Spec::script([send(formula), Hold]).start();
    let good = Spec::good().start();
    let lines = ["=1+1", "-x.test", "@x.test", "+1.test"].map(str::to_owned);
    let lines = lines.into_iter().chain([format!("smtp://{}", peer.target()), peer.target()]);
    let lines: Vec<_> = lines.chain([format!("{},,+tag", good.target())]).collect();
    let run = || Tlsweep::new().args(["--handshake-timeout", "1s", "-c1", "--format"]);
    let csv = run().args(["csv"]).sweep(&lines);
    let mut reader = csv::Reader::from_reader(csv.assert_complete().text().as_bytes());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), lines.len());
    for cell in rows.iter().flatten() {
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        assert!(!is_formula || cell.parse::<f64>().is_ok(), "{cell:?} in {}", csv.text());
    }
    for (row, target) in
        ["\\x3d1+1", "\\x2dx.test", "\\x40x.test", "\\x2b1.test"].iter().enumerate()
    {
        assert!(rows[row].iter().any(|cell| cell == *target), "{target} in {:?}", rows[row]);
    }
    assert!(rows[6].iter().any(|cell| cell == "\\x2btag"), "{:?}", rows[6]);
    let evidence = rows.iter().flatten().any(|cell| cell.starts_with("\\x3dHYPERLINK("));
    assert!(evidence, "{}", csv.text());
    for format in ["json", "text"] {
        let outcome = run().args([format]).sweep(&lines);
        assert!(!outcome.assert_complete().text().contains("x3d"), "{}", outcome.text());
    }
}

#[test]
fn numbers_in_csv_stay_numbers() {
    let record = Tlsweep::new()
        .args(["--format", "csv", "--no-header", "--fields", "cert.days_left,ms.total", "--demo"])
        .run("");
    let days = record.assert_complete().text().lines().filter(|line| line.starts_with("-1,"));
    assert_eq!(days.count(), 1, "{}", record.text());
}

#[test]
fn csv_of_nothing_is_nothing_or_a_header() {
    let outcome = Tlsweep::new().args(["--format", "csv"]).run("");
    assert!(outcome.assert_complete().text().lines().count() <= 1);
}

#[test]
fn fields_narrow_json_and_csv() {
    let peer = Spec::good().start();
    let outcome = Tlsweep::json_fields("target,tls.version,error.kind").sweep([peer.target()]);
    let expected = json!({"target": peer.target(), "tls": {"version": "TLSv1.3"}});
    assert_eq!(*outcome.only_record(), expected);

    let csv = Tlsweep::new()
        .args(["--format", "csv", "--fields", "target,tls.version,error.kind"])
        .sweep([peer.target()]);
    let expected = format!("target,tls.version,error.kind\n{},TLSv1.3,\n", peer.target());
    assert_eq!(csv.text().replace('\r', ""), expected);
}

#[test]
fn a_record_has_what_the_contract_says() {
    let peer = Spec::good().start();
    let line = format!("{},good.test,a tag", peer.target());
    let outcome = Tlsweep::json().sweep([line]);
    let record = outcome.only_record();
    assert_eq!(record["v"], 1);
    assert_eq!(record["line"], 1);
    assert_eq!(record["tag"], "a tag");
    assert_eq!(record["host"], "127.0.0.1");
    assert_eq!(record["port"], peer.addr.port());
    assert_eq!(record["sni"], "good.test");
    assert_eq!(record["tls"]["cipher"], "TLS_AES_128_GCM_SHA256", "the first that is offered");
    assert_eq!(record["tls"]["group"], "X25519MLKEM768");
    assert_eq!(record["tls"]["key_exchange"], "hybrid");
    assert_eq!(record["tls"]["signature"], "ecdsa_secp256r1_sha256");
    assert_eq!(record["tls"]["signature_verified"], true);
    assert_eq!(record["chain"]["length"], 1);
    let fingerprint = record["chain"]["sha256"][0].as_str().unwrap();
    assert!(fingerprint.len() == 64 && fingerprint == fingerprint.to_lowercase(), "{fingerprint}");
    assert_eq!(record["cert"]["names"], json!(GOOD_NAMES[..2]));
    assert_eq!(record["cert"]["not_after"], "2125-01-01T00:00:00Z");
    assert_eq!(record["attempts"], 1);
    for count in ["sent", "received"] {
        assert!(record[count].as_u64().unwrap() > 500, "{count}: {record:#}");
    }
    for stage in ["connect", "handshake", "read", "total"] {
        assert!(record["ms"][stage].as_f64().unwrap() >= 0.0, "{stage}: {record:#}");
    }
    assert!(record["ms"].get("starttls").is_none(), "not looked at");
    assert!(!has_null(record), "absent is absent: {record:#}");
}

#[test]
fn fields_stand_in_the_contract_s_order() {
    let peer = Spec::good().start();
    let outcome = Tlsweep::json().sweep([peer.target()]);
    outcome.only_record();
    let order =
        ["\"v\":", "\"line\":", "\"target\":", "\"host\":", "\"time\":", "\"ok\":", "\"tls\":"];
    let places = order.map(|name| outcome.text().find(name).unwrap());
    assert!(places.is_sorted(), "{}", outcome.text());
}

#[test]
fn unknown_fields_are_denied() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let peer = Spec::good().start();
    let outcome = Tlsweep::json().sweep([peer.target()]);
    let record = outcome.only_record();
    for object in ["", "/tls", "/cert", "/chain", "/read", "/ms"] {
        let mut altered = record.clone();
        altered.pointer_mut(object).unwrap()["surprise"] = json!(1);
        assert!(!schema.is_valid(&altered), "a surprise in {object:?} is no fault");
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

#[test]
fn the_ending_of_the_file_is_the_format() {
    let peer = Spec::good().start();
    let dir = tempfile::TempDir::new().unwrap();
    for (name, start) in [
        ("a.jsonl", "{\"v\":1"),
        ("a.json", "{\"v\":1"),
        ("a.JSON", "{\"v\":1"),
        ("a.csv", "v,line,"),
        ("a.txt", "127.0.0.1"),
        ("a.tsv", "127.0.0.1"),
        ("a.out", "127.0.0.1"),
        ("a", "127.0.0.1"),
        ("b.jsonl.zst", "{\"v\":1"),
        ("b.csv.zst", "v,line,"),
        ("b.zst", "127.0.0.1"),
    ] {
        let path = dir.path().join(name);
        let run = Tlsweep::new().args(["-q", "-o", path.to_str().unwrap(), &peer.target()]);
        run.run("").assert_complete();
        let mut bytes = std::fs::read(&path).unwrap();
        if name.ends_with(".zst") {
            bytes = zstd::decode_all(bytes.as_slice()).unwrap();
        }
        assert!(bytes.starts_with(start.as_bytes()), "{name}: {}", String::from_utf8_lossy(&bytes));
    }
    let dialled = peer.accepted();
    for name in ["r.jsonl.gz", "r.gz", "r.csv.xz", "r.html", "r.parquet", "r.gz.zst"] {
        let path = dir.path().join(name);
        let outcome =
            Tlsweep::new().args(["-j", "-o", path.to_str().unwrap(), &peer.target()]).run("");
        assert_eq!(outcome.code, Some(2), "{name}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(".jsonl"), "{name}: {}", outcome.stderr);
        assert!(!path.exists(), "{name}");
    }
    assert_eq!(peer.accepted(), dialled);
    let path = dir.path().join("c.csv");
    let args = ["--format", "json", "-o", path.to_str().unwrap()];
    Tlsweep::new().args(args).args([peer.target()]).run("").assert_complete();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with('{'), "the flag goes first");
}

#[test]
fn only_what_fails_is_written_and_all_is_counted() {
    let good = Spec::good().start();
    let refusing = Spec::refusing().start();
    let lines = [good.target(), refusing.target(), good.target()];
    for format in ["json", "csv", "text", "detail"] {
        let args = ["--format", format, "--fail-on", "error", "--only-failing", "-c1"];
        let outcome = Tlsweep::new().args(args).sweep(&lines);
        assert_eq!(outcome.code, Some(1), "{format}: {}", outcome.stderr);
        let text = outcome.text();
        assert!(text.contains(&refusing.target()), "{format}: {text}");
        assert!(!text.contains(&good.target()), "{format}: {text}");
        assert!(outcome.stderr.contains("3 targets in"), "{format}: {}", outcome.stderr);
    }
    let args = ["-q", "--fail-on", "error", "--only-failing"];
    let healthy = Tlsweep::new().args(args).sweep([good.target()]);
    assert_eq!(healthy.assert_complete().text(), "", "cron sends no mail");
    for args in
        [&["--only-failing"][..], &["--only-failing", "--fail-on", "error", "-o", "x", "--resume"]]
    {
        let outcome = Tlsweep::new().args(args).sweep([good.target()]);
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
    }
}

#[test]
fn everything_that_is_written_for_programs_has_a_schema() {
    let peer = Spec::good().start();
    let dir = tempfile::TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let args = ["--summary", &path("summary"), "--status-file", &path("status"), "--status", "1"];
    Tlsweep::new().args(args).args(["--fail-on", "error"]).sweep([peer.target()]).assert_complete();
    for of in ["status", "summary"] {
        let schema = Tlsweep::new().args(["--print-schema", of]).run("");
        let schema: Value = serde_json::from_str(schema.assert_complete().text()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let text = std::fs::read_to_string(path(of)).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let faults: Vec<_> = validator.iter_errors(&document).map(|it| it.to_string()).collect();
        assert!(faults.is_empty(), "{of}: {faults:?}");
        for (name, value) in schema["properties"].as_object().unwrap() {
            assert!(value.get("description").is_some(), "{of}: {name} is not described");
        }
        for name in document.as_object().unwrap().keys() {
            assert!(schema["properties"].get(name).is_some(), "{of}: {name} is not in the schema");
        }
    }
    let record = Tlsweep::new().args(["--print-schema", "record"]).run("");
    assert_eq!(record.stdout, Tlsweep::new().args(["--print-schema"]).run("").stdout);
}

#[test]
fn a_time_without_a_unit_is_in_seconds_everywhere() {
    let peer = Spec::good().start();
    for flag in ["--timeout", "--connect-timeout", "--handshake-timeout", "--max-time", "--status"]
    {
        let outcome = Tlsweep::new().args([flag, "30"]).sweep([peer.target()]);
        assert_eq!(outcome.assert_complete().text().lines().count(), 1, "{flag}");
    }
}

#[test]
fn messages_have_one_prefix_and_escape_what_they_repeat() {
    let evil = "x\u{1b}]0;title\u{7}\u{202e}";
    for args in [
        &["--no-such-flag"][..],
        &["--timeout", evil],
        &["--format", evil],
        &["-f", evil],
        &["--roots", evil],
        &["--exclude", evil],
        &["--summary", "/no/such/\u{1b}[31m"],
        &["--status-file", "/no/such/\u{1b}[31m"],
        &["-o", "/no/such/\u{1b}[31m"],
        &["--alpn", "\u{1b}[31m,"],
        &["--fail-on", evil],
        &[evil, "--no-such-flag"],
    ] {
        let outcome = Tlsweep::new().args(args).run("");
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
        let start = "tlsweep: error: ";
        assert!(outcome.stderr.starts_with(start), "{args:?}: {:?}", outcome.stderr);
        let is_raw = outcome.stderr.contains(['\u{1b}', '\u{7}', '\u{202e}']);
        assert!(!is_raw, "{args:?}: {:?}", outcome.stderr);
    }
}
