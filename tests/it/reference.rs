//! The reference says what the tables of the library and the command line say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tlsweep::dial::starttls::PROTOCOLS;
use tlsweep::limits;
use tlsweep::manual::CHAPTERS;
use tlsweep::report::check::CHECKS;
use tlsweep::report::output::COLUMNS;
use tlsweep::report::schema::{leaves, schema};

use crate::support::cmd::BINARY;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// All chapters, one after the other.
fn reference() -> String {
    CHAPTERS.iter().map(|chapter| chapter.text).collect()
}

#[test]
fn every_chapter_is_listed() {
    let files = fs::read_dir(root().join("src/manual")).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<_> =
        files.filter_map(|file| Some(file.strip_suffix(".md")?.to_owned())).collect();
    let listed: BTreeSet<_> = CHAPTERS.iter().map(|chapter| chapter.name.to_owned()).collect();
    assert_eq!(found, listed);
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for name in listed {
        assert!(readme.contains(&format!("](src/manual/{name}.md)")), "the README links to {name}");
    }
}

#[test]
fn links_between_chapters_lead_somewhere() {
    for chapter in CHAPTERS {
        for link in chapter.text.split("](").skip(1) {
            let name = link.split(')').next().unwrap();
            let is_known = CHAPTERS.iter().any(|other| name == format!("{}.md", other.name));
            assert!(is_known, "{} links to {name}", chapter.name);
        }
    }
}

#[test]
fn every_flag_is_explained() {
    let output = Command::new(BINARY).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let reference = reference();
    let flags: BTreeSet<_> = help
        .lines()
        .filter_map(|line| {
            let line = line.trim_start();
            let long = line.strip_prefix("--").or_else(|| line.get(4..)?.strip_prefix("--"))?;
            let is_option = line.starts_with('-');
            let end = long.find(|c: char| c != '-' && !c.is_ascii_alphanumeric());
            is_option.then(|| long[..end.unwrap_or(long.len())].to_owned())
        })
        .collect();
    assert!(flags.len() > 40, "{flags:?}");
    for flag in flags {
        let is_named = reference.match_indices(&format!("--{flag}")).any(|(at, name)| {
            !reference[at + name.len()..]
                .starts_with(|c: char| c == '-' || c.is_ascii_alphanumeric())
        });
        assert!(is_named, "--{flag}");
    }
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
        assert!(reference().contains(&row), "{row}");
    }
}

#[test]
fn checks_and_columns() {
    for check in CHECKS {
        let row = format!("| `{}` | {}", check.usage(), check.help);
        assert!(reference().contains(&row), "{row}");
    }
    for (place, column) in COLUMNS.iter().enumerate() {
        let row = format!("| {} | {column} |", place + 1);
        assert!(reference().contains(&row), "{row}");
    }
}

#[test]
fn limits_in_force() {
    let reference = reference();
    let kib = |bytes: usize| format!("{} KiB", bytes / 1024);
    let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
    for (what, limit) in [
        ("addresses of a range", format!("2^{}", limits::RANGE_BITS)),
        ("shards of a list", limits::MAX_SHARDS.to_string()),
        ("targets that `--shuffle`", limits::MAX_SHUFFLE.to_string()),
        ("memory of the targets that `--shuffle`", mib(limits::SHUFFLE_BYTES)),
        ("answers of name servers that are read", limits::RESOLVER_TCP.to_string()),
        (
            "connections of `--enumerate`, `--jarm` and `--ech` that check",
            limits::MAX_CONTROLS.to_string(),
        ),
        ("records that are judged", limits::BULKY_LIMIT.to_string()),
        ("a line of input", kib(limits::LINE_LIMIT)),
        ("a name in the input", kib(limits::UNMAPPED_NAME_LIMIT)),
        ("echo of a line that is no target", limits::ECHO_LIMIT.to_string()),
        ("evidence", limits::EVIDENCE_LIMIT.to_string()),
        ("plain text before TLS", kib(limits::PLAINTEXT_LIMIT)),
        ("banner in a record", limits::BANNER_LIMIT.to_string()),
        ("plaintext flight", kib(limits::FLIGHT_LIMIT)),
        ("certificates of a handshake", limits::MAX_CERTIFICATES.to_string()),
        ("certificates of a chain whose hashes", limits::MAX_KEPT_CERTIFICATES.to_string()),
        ("certificates in which a path", limits::MAX_INTERMEDIATES.to_string()),
        ("bytes of all messages of a handshake", kib(limits::HANDSHAKE_LIMIT)),
        ("what looking for a path", format!("{} ms", limits::SEARCH_NANOSECONDS / 1_000_000)),
        ("what checking the signatures", format!("{} ms", limits::STAPLE_NANOSECONDS / 1_000_000)),
        ("certificates of one name", limits::MAX_NAMESAKES.to_string()),
        ("paths that are looked for", limits::MAX_DETOURS.to_string()),
        ("single responses of a stapled", limits::MAX_SINGLE_RESPONSES.to_string()),
        ("possible issuers that a staple", limits::MAX_ISSUERS.to_string()),
        ("bytes kept of a handshake message", kib(limits::MESSAGE_LIMIT)),
        ("filters of `--crlite` together", mib(usize::try_from(limits::CRLITE_LIMIT).unwrap())),
        ("timestamps of a certificate", limits::MAX_TIMESTAMPS.to_string()),
        ("HTTPS records of a name", limits::HTTPS_RECORDS_LIMIT.to_string()),
        ("values that are kept of a list", limits::HTTPS_VALUES_LIMIT.to_string()),
        ("ECH configurations in an HTTPS record", kib(limits::ECH_LIST_LIMIT)),
        ("ECH configurations that are kept", limits::ECH_CONFIGS_LIMIT.to_string()),
        ("a line of output |", kib(limits::OUTPUT_LINE_LIMIT)),
        ("a line of output with `--pem`", kib(limits::PEM_LINE_LIMIT)),
        (
            "what `--enumerate`, `--jarm`, `--quic` and `--ech` add",
            kib(limits::FOLLOW_UPS_LINE_LIMIT),
        ),
        ("target and tag in a line", kib(limits::TARGET_LIMIT)),
        ("alternative names in a record", limits::MAX_NAMES.to_string()),
        ("alternative names in a record", kib(limits::NAMES_LIMIT)),
        ("alternative names in a record", kib(limits::CHAIN_NAMES_LIMIT)),
        ("subject, issuer, root, responder", limits::NAME_LIMIT.to_string()),
        ("a list of URLs", kib(limits::URLS_LIMIT)),
        ("other text that a certificate makes", limits::TEXT_LIMIT.to_string()),
        ("the detail of a failure", limits::DETAIL_LIMIT.to_string()),
        ("targets with metrics of their own", limits::WATCHED_TARGETS.to_string()),
        ("target, server name or tag as a label", limits::TARGET_LABEL_LIMIT.to_string()),
        ("text of a baseline", limits::BASELINE_TEXT_LIMIT.to_string()),
        ("chains whose verdict is kept", limits::MAX_CHAINS.to_string()),
    ] {
        let row = reference.lines().find(|line| line.starts_with(&format!("| {what}")));
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
        assert!(reference().contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn every_field_is_named() {
    let reference = reference();
    for leaf in leaves() {
        let (room, name) = leaf.rsplit_once('.').unwrap_or(("", &leaf));
        let is_summed_up = ["ocsp", "enumeration"].contains(&room);
        let whole = format!("`{leaf}`");
        let in_row =
            |line: &str| line.contains(&format!("`{room}.")) && line.contains(&format!(".{name}`"));
        let is_named = is_summed_up || reference.contains(&whole) || reference.lines().any(in_row);
        assert!(is_named, "{leaf}");
    }
}
