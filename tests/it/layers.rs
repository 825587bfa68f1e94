//! The rooms of `src` stand in the order in which data flows, and so do the files of a room. A file
//! imports only what stands above it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and files of the library, in order: each may import only what stands above it.
const LIBRARY: &[&str] = &[
    "bytes",
    "escape",
    "limits",
    "names",
    "signature",
    "plural",
    "manual",
    "certificate_count",
    "greeting",
    "failure",
    "deadline",
    "feed::target",
    "feed::decode",
    "feed::source",
    "feed::extent",
    "feed::hint",
    "feed::input",
    "feed::range",
    "feed::exclude",
    "feed::shard",
    "feed::resume",
    "feed::selection",
    "feed::shuffle",
    "feed::queue",
    "feed",
    "pace::gather",
    "pace::permit",
    "pace::limiter",
    "pace",
    "quic",
    "dial::resolve",
    "dial::connect",
    "dial::framing",
    "dial::records",
    "dial::signals",
    "dial::tap",
    "dial::starttls",
    "dial::upgrade",
    "dial::udp",
    "dial",
    "tls::schemes",
    "tls::recorder",
    "tls::key_schedule",
    "tls::suites",
    "tls::key_share",
    "tls::legacy",
    "tls::hello",
    "tls::posture",
    "tls::ja3s",
    "tls::agreed",
    "tls::sessions",
    "tls::ech",
    "tls::renegotiation",
    "tls::handshake",
    "tls::drain",
    "tls::ssl2",
    "tls::jarm",
    "tls::plaintext",
    "tls::enumerate",
    "tls",
    "cert",
    "config",
    "probe::attempt",
    "probe::plan",
    "probe",
    "report::timestamp",
    "report::width",
    "report::enumeration",
    "report::changed",
    "report::build",
    "report::record",
    "report::schema",
    "report::check",
    "report::replay",
    "report::baseline",
    "report::review",
    "report::latency",
    "report::overview::frequent",
    "report::overview::rows",
    "report::overview",
    "report::summary",
    "report::status",
    "report::watched",
    "report::metrics",
    "report::output",
    "report::output::stream",
    "report::output::advice",
    "report::output::text",
    "report::output::table",
    "report::output::detail",
    "report::output::json",
    "report::output::csv",
    "report::output::zst",
    "report::output::file",
    "report::output::checkpoint",
    "report",
    "sweep",
    "scan",
];

/// Rooms and files of the command, in order.
const COMMAND: &[&str] = &[
    "exit",
    "stdio",
    "term",
    "help",
    "version",
    "cli::values",
    "cli",
    "man",
    "generate",
    "threads",
    "signals",
    "runtime",
    "preflight",
    "files",
    "hints",
    "replaced",
    "progress",
    "roots",
    "crls",
    "crlite",
    "baseline",
    "destination",
    "demo",
    "no_demo",
    "drawing",
    "watch",
    "dry_run",
    "replay",
    "plan",
    "run",
    "main",
];

/// What is no module: the map of the library, and the build script.
const OUTSIDE: [&str; 2] = ["lib", "build"];

/// Where the modules of the command are.
const COMMAND_ROOT: &str = "bin::tlsweep::";

const LINES_IN_A_FILE: usize = 500;

pub(crate) fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
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

/// A crate: its modules by their paths, and what each of them imports.
struct Crate {
    order: &'static [&'static str],
    imports: BTreeMap<String, BTreeSet<String>>,
}

impl Crate {
    fn read(order: &'static [&'static str], root: &str) -> Self {
        let mut imports = BTreeMap::new();
        for file in rust_files(&src()) {
            let module = module(&file);
            let module = match module.strip_prefix(COMMAND_ROOT) {
                Some(of_command) if root == COMMAND_ROOT => of_command,
                None if root.is_empty() && !OUTSIDE.contains(&module.as_str()) => &module,
                _ => continue,
            };
            if is_for_tests(&file) {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            imports.insert(module.to_owned(), imported(module, without_tests(&text)));
        }
        assert!(imports.len() > 10, "{:?}", imports.keys());
        Self { order, imports }
    }

    fn both() -> [Self; 2] {
        [Self::read(LIBRARY, ""), Self::read(COMMAND, COMMAND_ROOT)]
    }

    /// The place of the longest entry of the order that `path` is or lies in.
    fn place(&self, path: &str) -> Option<usize> {
        let rooms = self.order.iter().enumerate().filter(|(_, room)| lies_in(path, room));
        rooms.max_by_key(|(_, room)| room.len()).map(|(place, _)| place)
    }

    /// The module that an imported path is, or whose item it is.
    fn module_of(&self, path: &str) -> Option<&str> {
        let modules = self.imports.keys().filter(|module| lies_in(path, module));
        modules.max_by_key(|module| module.len()).map(String::as_str)
    }
}

fn lies_in(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The paths within the same crate that `text`, which is that of `module`, mentions.
fn imported(module: &str, text: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    for (keyword, start) in [("crate::", ""), ("super::", module), ("self::", module)] {
        let places = code.match_indices(keyword).map(|(place, _)| place);
        for place in places.filter(|place| !code[..*place].ends_with("super::")) {
            let (mut rest, mut from) = (&code[place..], start);
            while let Some(behind) = rest.strip_prefix("super::") {
                from = from.rsplit_once("::").map_or("", |(parent, _)| parent);
                rest = behind;
            }
            tree(rest.strip_prefix("crate::").unwrap_or(rest), from, &mut paths);
        }
    }
    paths
}

/// Takes in the paths of a use tree that begins `text`; what is behind it.
fn tree<'a>(text: &'a str, prefix: &str, paths: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = tree(rest, prefix, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(behind) if !behind.trim_start().starts_with('}') => rest = behind,
                Some(behind) => return behind.trim_start().strip_prefix('}').unwrap(),
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = match (prefix, name) {
        (_, "self" | "") => prefix.to_owned(),
        ("", _) => name.to_owned(),
        _ => format!("{prefix}::{name}"),
    };
    match rest.strip_prefix("::") {
        Some(rest) => tree(rest, &path, paths),
        None => {
            paths.insert(path);
            let alias = rest.strip_prefix(" as ").map_or(rest, |rest| {
                rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
            });
            alias.strip_prefix('*').unwrap_or(alias)
        }
    }
}

/// The code of a file, whose own unit tests stand at its end. Tests in a file of their own are only
/// declared, and code may follow.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _)| code)
}

#[test]
fn use_trees_are_understood() {
    let text = "use crate::{a, b::{self, c as d}, e::*};\nuse super::f;\n\
                // crate::comment\nfn h() { crate::i::j() + super::super::k(1) }";
    let paths: Vec<_> = imported("x::y::z", text).into_iter().collect();
    assert_eq!(paths, ["a", "b", "b::c", "e", "i::j", "x::k", "x::y::f"]);
}

#[test]
fn nobody_imports_what_stands_below() {
    let mut faults = Vec::new();
    for this in Crate::both() {
        for (module, paths) in &this.imports {
            let Some(here) = this.place(module) else {
                faults.push(format!("{module} has no place in the order"));
                continue;
            };
            // What `super::` alone names is the room itself.
            for path in paths.iter().filter(|path| !path.is_empty()) {
                let there = this.place(path);
                if there.is_none_or(|there| there > here && !lies_in(module, path)) {
                    faults.push(format!("{module} imports {path}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Also in rooms whose files have no places of their own. A room and its own files may know each
/// other.
#[test]
fn imports_form_no_circle() {
    let mut faults = Vec::new();
    for this in Crate::both() {
        let edges = |module: &str| -> Vec<&str> {
            let used = this.imports[module].iter().filter_map(|path| this.module_of(path));
            used.filter(|used| !lies_in(module, used) && !lies_in(used, module)).collect()
        };
        for start in this.imports.keys() {
            let mut seen = BTreeSet::new();
            let mut open = edges(start);
            while let Some(module) = open.pop() {
                if seen.insert(module) {
                    open.extend(edges(module));
                }
            }
            if seen.contains(start.as_str()) {
                faults.push(start.clone());
            }
        }
    }
    assert!(faults.is_empty(), "these are in a circle: {faults:#?}");
}

/// Whether a file holds nothing but unit tests and what they read.
fn is_for_tests(file: &Path) -> bool {
    let path = file.to_str().unwrap();
    ["/tests.rs", "/tests/", "/script.rs"].iter().any(|part| path.contains(part))
}

#[test]
fn no_file_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["src", "tests/it", "tests/support", "benches"]
        .map(|dir| rust_files(&root.join(dir)))
        .concat()
    {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LINES_IN_A_FILE, "{} has {lines} lines", file.display());
    }
}
