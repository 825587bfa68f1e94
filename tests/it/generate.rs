//! What `--generate` prints is loaded by the programs that it is for.

use std::fs;
use std::process::Command;

use tempfile::TempDir;
use tlsweep::manual::CHAPTERS;

use crate::support::cmd::BINARY;
use crate::support::programs::{Program, shown};

fn generated(artifact: &str) -> String {
    let output = Command::new(BINARY).args(["--generate", artifact]).output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The artifact as a file of this name.
fn file(artifact: &str, name: &str) -> (TempDir, String) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, generated(artifact)).unwrap();
    (dir, path.to_str().unwrap().to_owned())
}

#[test]
fn the_man_page_is_shown_without_warnings() {
    let (Some(man), Some(_groff)) = (Program::find("man"), Program::find("groff")) else { return };
    let (_dir, path) = file("man", "tlsweep.1");
    for width in ["80", "120"] {
        let mut command = man.command();
        command.args(["--warnings", "-E", "UTF-8", "-l", &path]).env("MANWIDTH", width);
        let output =
            command.env("MAN_KEEP_FORMATTING", "").env("LC_ALL", "C.UTF-8").output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", shown(&output));
        let page = String::from_utf8(output.stdout).unwrap();
        for word in ["NAME", "SYNOPSIS", "OPTIONS", "--fail-on", "TARGETS", "unknown_issuer"] {
            assert!(page.contains(word), "{word} is on the page");
        }
    }
}

#[test]
fn the_man_page_has_every_chapter() {
    let page = generated("man");
    for chapter in CHAPTERS {
        let title = chapter.text.lines().next().unwrap().trim_start_matches("# ");
        let heading = format!(".SH \"{}\"", title.to_uppercase().replace('-', "\\-"));
        assert!(page.contains(&heading), "{heading}");
    }
}

#[test]
fn bash_completes_flags_and_their_values() {
    let Some(bash) = Program::find("bash") else { return };
    let (_dir, path) = file("complete-bash", "tlsweep");
    let script = r#"
        set -eu
        source "$1"
        complete -p tlsweep > /dev/null
        COMP_WORDS=(tlsweep --fail) COMP_CWORD=1
        _tlsweep tlsweep --fail tlsweep
        echo "${COMPREPLY[@]}"
        COMP_WORDS=(tlsweep --format j) COMP_CWORD=2
        _tlsweep tlsweep j --format
        echo "${COMPREPLY[@]}"
    "#;
    let output = bash.run(["--norc", "-c", script, "bash", &path]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "--fail-on\njson\n", "{}", shown(&output));
}

#[test]
fn zsh_loads_its_completions() {
    let Some(zsh) = Program::find("zsh") else { return };
    let (dir, _path) = file("complete-zsh", "_tlsweep");
    let script = r#"
        fpath=("$1" $fpath)
        autoload -Uz compinit && compinit -u -d "$1/dump"
        [[ ${_comps[tlsweep]} = _tlsweep ]] && autoload +X _tlsweep && echo loaded
    "#;
    let output = zsh.run(["-f", "-c", script, "zsh", dir.path().to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "loaded\n", "{}", shown(&output));
    assert!(output.stderr.is_empty(), "{}", shown(&output));
}

#[test]
fn fish_completes_flags() {
    let Some(fish) = Program::find("fish") else { return };
    let (dir, path) = file("complete-fish", "tlsweep.fish");
    let script = "source $argv[1]; complete -C 'tlsweep --fail'";
    let mut command = fish.command();
    command.args(["--no-config", "-c", script, &path]).env("HOME", dir.path());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("--fail-on"), "{}", shown(&output));
}
