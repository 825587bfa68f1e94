//! Files that are written: none is another one that the command line names, and reports are safe.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::cmd::{Outcome, Tlsweep};
use crate::support::peer::Spec;
use crate::support::pki::CA;

/// Every flag that names a file, and whether the file is written.
const FLAGS: [(&str, bool); 10] = [
    ("--file", false),
    ("--from", false),
    ("--exclude", false),
    ("--roots", false),
    ("--crl", false),
    ("--output", true),
    ("--status-file", true),
    ("--summary", true),
    ("--metrics", true),
    ("--report", true),
];

/// Another name of `path`, which need not be there.
type Alias = fn(&Path) -> PathBuf;

const ALIASES: [(&str, Alias); 4] = [
    ("itself", Path::to_owned),
    ("a detour", |path| path.parent().unwrap().join("sub/..").join(path.file_name().unwrap())),
    ("a symbolic link", |path| {
        let link = path.with_file_name("link");
        symlink(path.file_name().unwrap(), &link).unwrap();
        link
    }),
    ("a hard link", |path| {
        let link = path.with_file_name("hard");
        // Of what is not there, there is none.
        match fs::hard_link(path, &link) {
            Ok(()) => link,
            Err(_) => path.to_owned(),
        }
    }),
];

struct Place {
    dir: TempDir,
    file: PathBuf,
}

impl Place {
    fn new(content: Option<&str>) -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let file = dir.path().join("file");
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        Self { dir, file }
    }

    fn content(&self) -> Option<String> {
        fs::read_to_string(&self.file).ok()
    }
}

fn assert_refused(outcome: &Outcome, names: [&str; 2], what: &str) {
    assert_eq!(outcome.code, Some(2), "{what}: {}", outcome.stderr);
    assert!(outcome.stderr.contains("the same file"), "{what}: {}", outcome.stderr);
    for name in names {
        assert!(outcome.stderr.contains(name), "{what}: no {name} in {}", outcome.stderr);
    }
}

#[test]
fn every_pair_of_files_of_which_one_is_written_is_refused() {
    let peer = Spec::good().start();
    let target = peer.target();
    let mut pairs = 0;
    for (place, (one, one_is_written)) in FLAGS.into_iter().enumerate() {
        for (other, other_is_written) in FLAGS.into_iter().skip(place + 1) {
            if !one_is_written && !other_is_written {
                continue;
            }
            for (alias_name, alias) in ALIASES {
                for content in [None, Some("")] {
                    // What is read must be there; what --output makes must not.
                    if content.is_none() && !(one_is_written && other_is_written) {
                        continue;
                    }
                    let place = Place::new(content);
                    let [first, second] = [place.file.clone(), alias(&place.file)];
                    for (first, second) in [(&first, &second), (&second, &first)] {
                        let args = [Path::new(one), first, Path::new(other), second];
                        let run = Tlsweep::new().args(["-j", "--resume", &target, "-o"]);
                        let run = match [one, other] {
                            // It goes with neither targets nor --resume.
                            names if names.contains(&"--from") => Tlsweep::new().args(["-j"]),
                            names if names.contains(&"--output") => {
                                Tlsweep::new().args(["-j", &target])
                            }
                            _ => run.args([place.dir.path().join("out")]),
                        };
                        let what = format!("{one} and {other} by {alias_name}, {content:?}");
                        assert_refused(&run.args(args).run(""), [one, other], &what);
                        assert_eq!(place.content().as_deref(), content, "{what}");
                        pairs += 1;
                    }
                }
            }
        }
    }
    assert!(pairs > 100, "{pairs}");
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn what_stdin_and_stdout_are_counts_as_well() {
    let peer = Spec::good().start();
    let list = peer.target() + "\n";
    for flag in ["--summary", "--metrics", "--status-file", "--output"] {
        let place = Place::new(Some(&list));
        let stdin = || File::open(&place.file).unwrap();
        let args = [Path::new(flag), &place.file];
        let resume: &[&str] = if flag == "--output" { &["-j", "--resume"] } else { &[] };
        for inputs in [&[][..], &["-f", "-"]] {
            let run = Tlsweep::new().args(args).args(resume).args(inputs).stdin(stdin());
            assert_refused(
                &run.start().ends_within(crate::support::cmd::LIMIT),
                ["stdin", flag],
                flag,
            );
        }
        assert_eq!(place.content(), Some(list.clone()));
    }
    for flag in ["--summary", "--metrics", "--status-file", "--file", "--exclude"] {
        for name in ["file", "/dev/stdout", "/dev/fd/1"] {
            let place = Place::new(None);
            let stdout = File::create(&place.file).unwrap();
            let args = [Path::new(flag), &place.dir.path().join(name)];
            let run = Tlsweep::new().args([&peer.target()]).args(args).stdout(stdout);
            assert_refused(&run.run(""), ["stdout", flag], &format!("{flag} {name}"));
            assert_eq!(place.content().as_deref(), Some(""));
        }
    }
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn what_takes_nothing_away_is_allowed() {
    let peer = Spec::good().start();
    let dir = TempDir::new().unwrap();
    let roots = CA.write_to(&dir);
    let list = dir.path().join("list");
    fs::write(&list, peer.target() + "\n").unwrap();
    let outcome = Tlsweep::json()
        .args(["-f".as_ref(), list.as_os_str(), "-f".as_ref(), list.as_os_str()])
        .args(["--roots".as_ref(), roots.as_os_str(), "--roots".as_ref(), roots.as_os_str()])
        .args(["--status-file", "/dev/null", "--summary"])
        .args([dir.path().join("summary")])
        .run("");
    assert_eq!(outcome.assert_complete().records.len(), 2);
}

/// The summary holds the command line, which may be nobody else's business.
#[test]
fn a_report_keeps_the_mode_of_the_file_that_it_replaces() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("summary");
    for mode in [0o600, 0o640] {
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let outcome = Tlsweep::new().args([Path::new("--summary"), &path]).run("");
        outcome.assert_complete();
        assert_ne!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[test]
fn a_summary_does_not_steer_a_terminal() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("summary");
    let evil = "\u{9b}31m\u{202e}\u{7f}";
    Tlsweep::new().args([Path::new("--summary"), &path, Path::new(evil)]).run("").assert_complete();
    let summary = fs::read_to_string(&path).unwrap();
    assert!(summary.contains("31m") && !summary.contains(['\u{9b}', '\u{202e}', '\u{7f}']));
}
