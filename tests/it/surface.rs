//! The library shows what an embedder needs and no more, and what it shows can grow.

use std::collections::BTreeSet;
use std::fs;

use crate::layers::{rust_files, src};

/// All that the first page of the documentation lists.
const SHOWN: [&str; 19] = [
    "BadLine",
    "Checks",
    "Clock",
    "InvalidCheck",
    "Line",
    "Permit",
    "Permits",
    "Place",
    "Prober",
    "Record",
    "Review",
    "Roots",
    "RootsError",
    "Scan",
    "config",
    "failure",
    "follow_up_flags",
    "names",
    "record",
];

/// Types in the output that are not `#[non_exhaustive]`, and why.
const CLOSED: [(&str, &str); 15] = [
    ("Build", REPORTS),
    ("Counts", REPORTS),
    ("Document", REPORTS),
    ("Failure", "a pointer to its reason, which can grow"),
    ("Order", "the client's or the server's"),
    ("Percentiles", REPORTS),
    ("Process", REPORTS),
    ("RootsInUse", REPORTS),
    ("Setup", REPORTS),
    ("Signature", "valid, invalid or not checked"),
    ("StatusLine", REPORTS),
    ("Summary", REPORTS),
    ("Support", "yes, no or unknown"),
    ("Trusted", "the only word for no problem"),
    ("Verdict", "no problem or a problem, which can grow"),
];

const REPORTS: &str = "for the reports of the command, which the library does not show";

const HIDDEN: &str = "#[cfg_attr(not(internals), doc(hidden))]";

/// The items that `lib.rs` makes public and does not hide.
fn shown(lib: &str) -> BTreeSet<&str> {
    let mut shown = BTreeSet::new();
    let mut before = "";
    for line in lib.lines() {
        if let Some(module) = line.strip_prefix("pub mod ").filter(|_| before != HIDDEN) {
            shown.insert(module.trim_end_matches([';', '{', ' ']));
        }
        if let Some(path) = line.strip_prefix("pub use ") {
            let (_, names) = path.trim_end_matches(';').rsplit_once("::").unwrap();
            shown.extend(names.trim_matches(['{', '}']).split(", "));
        }
        before = line;
    }
    shown
}

#[test]
fn the_first_page_lists_what_an_embedder_needs() {
    let lib = fs::read_to_string(src().join("lib.rs")).unwrap();
    assert_eq!(shown(&lib), BTreeSet::from(SHOWN));
}

/// The public types of `text` that are written into the output, each with its attributes.
fn written(text: &str) -> Vec<(&str, String)> {
    let mut written = Vec::new();
    let mut attributes = String::new();
    for line in text.lines() {
        let item = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
        if let Some(item) = item.filter(|_| attributes.contains("JsonSchema")) {
            let end = item.find(|c: char| !c.is_alphanumeric()).unwrap_or(item.len());
            written.push((&item[..end], attributes.clone()));
        }
        // The attributes of an item are the lines before it, back to its documentation.
        match line.starts_with("///") || line.is_empty() {
            true => attributes.clear(),
            false => attributes.push_str(line),
        }
    }
    written
}

#[test]
fn what_is_written_into_the_output_can_grow() {
    let mut closed = BTreeSet::new();
    let mut open = 0;
    for file in rust_files(&src()) {
        let text = fs::read_to_string(&file).unwrap();
        for (name, attributes) in written(&text) {
            match attributes.contains("#[non_exhaustive]") {
                true => open += 1,
                false => assert!(closed.insert(name.to_owned()), "{name} is there twice"),
            }
        }
    }
    assert!(open > 20, "{open}");
    let expected = CLOSED.map(|(name, _why)| name.to_owned());
    assert_eq!(closed, BTreeSet::from(expected));
}
