//! What a build says of itself: `--version`, and the same facts in the summary of a sweep.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cmd::Tlsweep;
use crate::support::peer::Spec;
use crate::support::pki::CA;

const LOCK: &str = include_str!("../../Cargo.lock");

fn printed(args: &[&str]) -> String {
    let outcome = Tlsweep::new().args(args).run("");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
    outcome.text().to_owned()
}

/// The facts of `--version --verbose` by their names.
fn facts() -> BTreeMap<String, String> {
    let text = printed(&["--version", "--verbose"]);
    let facts = text.lines().skip(1).map(|line| line.split_once(": ").unwrap());
    facts.map(|(name, fact)| (name.to_owned(), fact.to_owned())).collect()
}

/// The summary of a sweep of one server.
fn summary(args: &[&str]) -> Value {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("summary.json");
    let peer = Spec::refusing().start();
    let outcome =
        Tlsweep::json().args([Path::new("--summary"), &file]).args(args).sweep([peer.target()]);
    outcome.assert_complete();
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn the_version_is_one_line() {
    let expected = format!("tlsweep {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(&["--version"]), expected);
    assert_eq!(printed(&["-V"]), expected);
}

#[test]
fn the_verbose_version_says_what_the_program_was_built_from() {
    let facts = facts();
    for package in ["rustls", "aws-lc-rs", "aws-lc-sys", "webpki-roots"] {
        let entry = format!("name = \"{package}\"\nversion = \"{}\"\n", facts[package]);
        assert!(LOCK.contains(&entry), "{entry} is in Cargo.lock");
    }
    let is_hash = |text: &str| text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(is_hash(&facts["commit"]) || facts["commit"] == "not known", "{facts:?}");
    assert!(facts["target"].contains("-linux-"), "{facts:?}");
    assert!(is_hash(&facts["roots sha256"]), "{facts:?}");
    humantime::parse_rfc3339(&format!("{}T00:00:00Z", facts["roots published"])).unwrap();
    assert_eq!(printed(&["-Vv"]), printed(&["--version", "--verbose"]));
}

#[test]
fn a_summary_says_what_it_takes_to_repeat_the_sweep() {
    let facts = facts();
    let summary = summary(&["-c", "7", "--shuffle", "10", "--seed", "9007199254740993"]);
    assert_eq!(
        (&summary["seed"], &summary["concurrency"]),
        (&9007199254740993_u64.into(), &7.into())
    );
    for (field, name) in [
        ("target", "target"),
        ("rustls", "rustls"),
        ("aws_lc_rs", "aws-lc-rs"),
        ("aws_lc_sys", "aws-lc-sys"),
        ("webpki_roots", "webpki-roots"),
        ("roots_published", "roots published"),
    ] {
        assert_eq!(summary["build"][field], facts[name], "{field}");
    }
    assert_eq!(summary["build"]["commit"].as_str().unwrap_or("not known"), facts["commit"]);
    assert_eq!(summary["roots"]["sha256"], facts["roots sha256"]);
    assert_eq!(summary["roots"]["count"].to_string(), facts["roots"]);
}

#[test]
fn a_seed_that_chance_chose_is_in_the_summary() {
    let shuffled = summary(&["--shuffle", "10"]);
    // Every reader of JSON keeps whole numbers below this.
    assert!(shuffled["seed"].as_u64().unwrap() < 1 << 53, "{shuffled:#}");
    assert_eq!(summary(&[]).get("seed"), None);
}

#[test]
fn other_roots_have_another_hash() {
    let dir = TempDir::new().unwrap();
    let roots = CA.write_to(&dir);
    let given = summary(&["--roots", roots.to_str().unwrap()]);
    assert_eq!(given["roots"]["count"], 1);
    assert_ne!(given["roots"]["sha256"], facts()["roots sha256"]);
}
