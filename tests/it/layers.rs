//! The rooms of `src` stand in the order in which data passes through them; nobody walks back.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and files, in order: each may import only what stands before it.
const ORDER: &[&str] = &[
    "bytes",
    "escape",
    "limits",
    "names",
    "signature",
    "manual",
    "failure",
    "deadline",
    "feed::target",
    "feed::input",
    "feed::range",
    "feed::exclude",
    "feed::shard",
    "feed::shuffle",
    "feed::resume",
    "feed::selection",
    "feed",
    "pace::permit",
    "pace::limiter",
    "pace",
    "dial::resolve",
    "dial::connect",
    "dial::tap",
    "dial::starttls",
    "dial::upgrade",
    "dial",
    "tls::recorder",
    "tls::key_share",
    "tls::handshake",
    "tls::drain",
    "tls::hello",
    "tls::legacy",
    "tls::plaintext",
    "tls::enumerate",
    "tls",
    "cert",
    "report::timestamp",
    "report::enumeration",
    "report::record",
    "report::schema",
    "report::check",
    "report::latency",
    "report::summary",
    "report::status",
    "report::metrics",
    "report::output",
    "report::output::text",
    "report::output::json",
    "report::output::csv",
    "report::output::zst",
    "report::output::file",
    "report::output::checkpoint",
    "report",
    "config",
    "probe",
    "sweep",
];

const LINES_IN_A_FILE: usize = 500;

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

/// `dial::connect` of `src/dial/connect.rs`, `dial` of `src/dial/mod.rs`.
fn module(file: &Path) -> String {
    let path = file.strip_prefix(src()).unwrap().with_extension("");
    let path = path.to_str().unwrap().replace('/', "::");
    path.strip_suffix("::mod").unwrap_or(&path).to_owned()
}

/// The place of the longest entry of [`ORDER`] that `path` is or lies in.
fn place(path: &str) -> Option<usize> {
    let lies_in = |room: &str| path == room || path.starts_with(&format!("{room}::"));
    let rooms = ORDER.iter().enumerate().filter(|(_, room)| lies_in(room));
    rooms.max_by_key(|(_, room)| room.len()).map(|(place, _)| place)
}

fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests").map_or(text, |(code, _)| code)
}

#[test]
fn nobody_imports_backwards() {
    let mut faults = Vec::new();
    for file in rust_files(&src()) {
        let module = module(&file);
        if module == "lib" || module.starts_with("bin::") {
            continue;
        }
        let Some(here) = place(&module) else {
            faults.push(format!("{module} has no place in the order"));
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        let uses = without_tests(&text).split("crate::").skip(1);
        for used in uses {
            let path: String =
                used.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
            let there = place(path.trim_end_matches(':'));
            if there.is_none_or(|there| there > here && ORDER[there] != ORDER[here]) {
                faults.push(format!("{module} imports crate::{path}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_file_is_too_long() {
    for file in rust_files(&src()) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LINES_IN_A_FILE, "{} has {lines} lines", file.display());
    }
}
