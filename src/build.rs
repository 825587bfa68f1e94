//! The build script: notes what the program is built from, for `--version --verbose` and `--summary`.
//!
//! A package from crates.io has no git: cargo has left the commit in a file there.

#![expect(clippy::disallowed_methods, reason = "a build script is told by its environment")]

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// The packages whose versions decide on what a sweep sees and believes.
const PACKAGES: [&str; 4] = ["rustls", "aws-lc-rs", "aws-lc-sys", "webpki-roots"];

/// What cargo leaves in a package of its own making.
const OF_CARGO: &str = ".cargo_vcs_info.json";

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rerun-if-changed=src/build.rs");
    let commit = commit_of_package().or_else(commit_of_checkout);
    let lock = fs::read_to_string("Cargo.lock").ok();
    let versions = PACKAGES.map(|name| (name, lock.as_deref().and_then(|it| version(it, name))));
    let facts = [("target", env::var("TARGET").ok()), ("commit", commit)];
    for (name, value) in facts.into_iter().chain(versions) {
        if let Some(value) = value {
            let name = name.replace('-', "_").to_uppercase();
            println!("cargo::rustc-env=TLSWEEP_{name}={value}");
        }
    }
}

/// The version of `package` in the text of a Cargo.lock.
fn version(lock: &str, package: &str) -> Option<String> {
    let (_, behind) = lock.split_once(&format!("\nname = \"{package}\"\nversion = \""))?;
    Some(behind.split_once('"')?.0.to_owned())
}

fn commit_of_package() -> Option<String> {
    let info = fs::read_to_string(OF_CARGO).ok()?;
    let (_, behind) = info.split_once("\"sha1\":")?;
    hash(behind.trim_start().trim_start_matches('"').split('"').next()?)
}

/// The commit that is checked out, if this is a repository of its own: a package that was unpacked in
/// somebody else's is none of theirs.
fn commit_of_checkout() -> Option<String> {
    if !Path::new(".git").exists() {
        return None;
    }
    // Every commit, checkout and rebase adds a line there.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    hash(&git(&["rev-parse", "HEAD"])?)
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn hash(text: &str) -> Option<String> {
    let is_one = text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| text.to_owned())
}
