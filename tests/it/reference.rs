//! The reference says what the tables of the library and the command line say.

mod fields;
mod limits;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tlsweep::dial::starttls::PROTOCOLS;
use tlsweep::manual::CHAPTERS;
use tlsweep::report::check::CHECKS;
use tlsweep::report::output::COLUMNS;

use crate::support::cmd::BINARY;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// All chapters, one after the other.
fn reference() -> String {
    CHAPTERS.iter().map(|chapter| chapter.text).collect()
}

/// The text of one chapter.
fn chapter(name: &str) -> &'static str {
    CHAPTERS.iter().find(|chapter| chapter.name == name).unwrap().text
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

fn help() -> String {
    let output = Command::new(BINARY).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_flag_is_explained() {
    let help = help();
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

#[test]
fn every_value_of_a_flag_is_named() {
    let reference = reference();
    let code: Vec<_> = reference.split('`').skip(1).step_by(2).collect();
    let is_in_word = |c: char| c.is_ascii_alphanumeric() || ['-', '.'].contains(&c);
    let help = help().split_whitespace().collect::<Vec<_>>().join(" ");
    let lists =
        help.split("[possible values: ").skip(1).map(|list| list.split(']').next().unwrap());
    let values: BTreeSet<_> = lists.flat_map(|list| list.split(", ")).collect();
    assert!(values.contains("complete-bash"), "{values:?}");
    for value in values {
        let is_named = |code: &&str| code.split(|c| !is_in_word(c)).any(|word| word == value);
        assert!(code.iter().any(is_named), "{value}");
    }
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
