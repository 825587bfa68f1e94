//! The list of packages in `.ci/run` holds every program that tests and benches start: a machine on
//! which nothing was installed by hand gets all that they need.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::programs::{PACKAGES, is_packaged};

/// Programs that are there before `.ci/run` begins: the Rust toolchain, and what checked it out.
const PRESUPPOSED: &[&str] = &["apt-get", "cargo", "git", "rustup"];

/// Peers that `benches/compare` compares with where somebody has installed them.
const OPTIONAL: &[&str] = &["go"];

/// What stands before the name of a program in the sources. A name that is put together at run time
/// is checked by `Program::find` itself.
const STARTS: &[(&str, &str)] = &[
    ("tests", "Program::find(\""),
    ("tests", "Command::new(\""),
    ("tests", "json_under(\""),
    ("benches", "Command::new(\""),
    ("benches", "shutil.which(\""),
    ("benches", "command = [\""),
];

/// The builtins of bash, and the program that the scripts are about.
const BUILTINS: &[&str] = &[
    "cd", "command", "done", "echo", "exit", "export", "fi", "for", "local", "mapfile", "printf",
    "read", "return", "set", "tlsweep", "trap", "wait",
];

#[test]
fn every_program_that_is_started_has_a_package() {
    let mut started = BTreeSet::new();
    for (folder, beginning) in STARTS {
        let mut found = false;
        each_text(&root().join(folder), &mut |text| {
            for behind in text.split(beginning).skip(1) {
                found = true;
                started.extend(behind.split('"').next().map(str::to_owned));
            }
        });
        assert!(found, "nothing in {folder} is started with {beginning}");
    }
    started.extend(programs_of_scripts());
    let is_known = |name: &&String| {
        PRESUPPOSED.contains(&name.as_str())
            || OPTIONAL.contains(&name.as_str())
            || is_packaged(name)
    };
    let missing: Vec<_> = started.iter().filter(|name| !is_known(name)).collect();
    assert!(missing.is_empty(), "add to the list in .ci/run: {missing:?}");
    // If the parser overlooked commands, this test would prove nothing.
    for known in ["openssl", "zstd", "mkfifo", "mariadb-install-db", "sh", "valgrind", "nginx"] {
        assert!(started.contains(known), "{known}: {started:?}");
    }
}

#[test]
fn every_line_of_the_list_has_a_program_and_a_package() {
    let rows: Vec<Vec<_>> =
        PACKAGES.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
    assert!(rows.iter().all(|row| row.len() == 2), "{rows:?}");
    let programs: BTreeSet<_> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(programs.len(), rows.len(), "a program stands there twice");
}

/// The programs that `.ci/run` and the scripts of the engines begin a command with.
fn programs_of_scripts() -> BTreeSet<String> {
    let mut scripts = vec![fs::read_to_string(root().join(".ci/run")).unwrap()];
    each_text(&root().join("tests/engines"), &mut |text| {
        if text.starts_with("#!/bin/bash") {
            scripts.push(text.to_owned());
        }
    });
    let mut programs = BTreeSet::new();
    for script in scripts {
        let functions: BTreeSet<_> = script
            .lines()
            .filter_map(|line| line.trim().split_once("() {"))
            .map(|it| it.0)
            .collect();
        let words = script.replace(*PACKAGES, "").replace("\\\n", "").replace(">&", ">");
        for line in words
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#') && !line.starts_with("step "))
        {
            let commands = line.split(['|', ';', '(', '&']).filter_map(first_word);
            let is_program = |word: &&str| !BUILTINS.contains(word) && !functions.contains(word);
            programs.extend(commands.filter(is_program).map(str::to_owned));
        }
    }
    programs
}

/// The word that names what a command runs, unless a variable does.
fn first_word(command: &str) -> Option<&str> {
    let mut words = command.split_ascii_whitespace().filter(|word| {
        let stands_before = ["if", "then", "do", "else", "while", "exec", "!", "$as_root"];
        !stands_before.contains(word) && !word.contains('=')
    });
    let word = words.next()?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    (word.chars().all(is_name) && !word.starts_with(['-', '.'])).then_some(word)
}

fn each_text(folder: &Path, look: &mut dyn FnMut(&str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_text(&path, look);
        } else if path != root().join(file!())
            && let Ok(text) = fs::read_to_string(&path)
        {
            look(&text);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
