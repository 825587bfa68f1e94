//! The README's tables say what the tables of the library say.

use std::fs;
use std::path::Path;

use tlsweep::dial::starttls::PROTOCOLS;
use tlsweep::limits;
use tlsweep::report::check::CHECKS;
use tlsweep::report::output::COLUMNS;
use tlsweep::report::schema::{leaves, schema};

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// Every word of the closed list at `pointer` of the schema.
fn words(pointer: &str) -> Vec<String> {
    let schema = schema();
    let list = schema.as_value().pointer(pointer).unwrap();
    let words = |list: &serde_json::Value| {
        let one = list.get("const").into_iter();
        let many = list.get("enum").and_then(|list| list.as_array()).into_iter().flatten();
        one.chain(many).map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let choices = list.get("oneOf").and_then(|choices| choices.as_array()).into_iter().flatten();
    std::iter::once(list).chain(choices).flat_map(words).collect()
}

#[test]
fn starttls_protocols() {
    for protocol in PROTOCOLS {
        let schemes: Vec<_> = protocol.schemes.iter().map(|s| format!("`{s}://`")).collect();
        let ports: Vec<_> = protocol.ports.iter().map(u16::to_string).collect();
        let (schemes, ports) = (schemes.join(" "), ports.join(", "));
        let row = format!("| `{}` | {schemes} | {ports} |", protocol.name);
        assert!(readme().contains(&row), "{row}");
    }
}

#[test]
fn checks_and_columns() {
    for check in CHECKS {
        let row = format!("| `{}` | {}", check.usage(), check.help);
        assert!(readme().contains(&row), "{row}");
    }
    for (place, (column, _)) in COLUMNS.iter().enumerate() {
        let row = format!("| {} | {column} |", place + 1);
        assert!(readme().contains(&row), "{row}");
    }
}

#[test]
fn limits_in_force() {
    let readme = readme();
    let kib = |bytes: usize| format!("{} KiB", bytes / 1024);
    for (what, limit) in [
        ("addresses of a range", format!("2^{}", limits::RANGE_BITS)),
        ("shards of a list", limits::MAX_SHARDS.to_string()),
        ("targets that `--shuffle`", limits::MAX_SHUFFLE.to_string()),
        ("a line of input", kib(limits::LINE_LIMIT)),
        ("echo of a line that is no target", limits::ECHO_LIMIT.to_string()),
        ("evidence", limits::EVIDENCE_LIMIT.to_string()),
        ("plain text before TLS", kib(limits::PLAINTEXT_LIMIT)),
        ("banner in a record", limits::BANNER_LIMIT.to_string()),
        ("plaintext flight", kib(limits::FLIGHT_LIMIT)),
        ("certificates in which a path", limits::MAX_INTERMEDIATES.to_string()),
    ] {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {what}")));
        assert!(row.is_some_and(|row| row.replace(',', "").contains(&limit)), "{what}: {limit}");
    }
}

#[test]
fn kinds_and_stages() {
    let error = "/properties/error/properties";
    let kinds = words(&format!("{error}/kind"));
    let stages = words(&format!("{error}/stage"));
    assert_eq!((kinds.len(), stages.len()), (19, 6));
    for word in kinds.iter().chain(&stages) {
        assert!(readme().contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn every_field_is_named() {
    let readme = readme();
    for leaf in leaves() {
        let (room, name) = leaf.rsplit_once('.').unwrap_or(("", &leaf));
        let is_summed_up = ["ocsp", "enumeration"].contains(&room);
        let whole = format!("`{leaf}`");
        let in_row =
            |line: &str| line.contains(&format!("`{room}.")) && line.contains(&format!(".{name}`"));
        let is_named = is_summed_up || readme.contains(&whole) || readme.lines().any(in_row);
        assert!(is_named, "{leaf}");
    }
}
