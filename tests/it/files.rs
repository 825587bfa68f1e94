//! Files that are written: none is another one that the command line names, and reports are safe.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::cmd::{BINARY, Outcome, Tlsweep};
use crate::support::peer::Spec;
use crate::support::pki::CA;
use crate::support::programs::{Program, install_executable, shown, skip};

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

/// A web server or node_exporter may read the report as one of its group.
#[test]
fn a_report_of_another_user_keeps_the_group_of_the_file_that_it_replaces() {
    let Some(setpriv) = Program::find("setpriv") else { return };
    const USER: [&str; 3] = ["--reuid=65534", "--regid=65534", "--groups=12345"];
    let trial = setpriv.run([&USER[..], &["true"]].concat());
    if !trial.status.success() {
        return skip(&format!("no right to be another user: {}", shown(&trial)));
    }
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // Another user may not be allowed to look into the folder where the binary was built.
    let binary = dir.path().join("tlsweep");
    install_executable(BINARY, &binary);
    let path = dir.path().join("summary");
    fs::write(&path, "old").unwrap();
    chown(&path, Some(54321), Some(12345)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let run = Tlsweep::under(setpriv.path(), USER, &binary).args([Path::new("--summary"), &path]);
    let outcome = run.run("");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let found = path.metadata().unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (65534, 12345, 0o640));
    assert_ne!(fs::read_to_string(&path).unwrap(), "old");
}

/// Two writers would tear each other's lines.
#[test]
fn a_pipe_has_one_writer() {
    let peer = Spec::good().start();
    for (args, names) in [
        (&["--status-file", "/dev/stdout"][..], ["stdout", "--status-file"]),
        (&["-o", "/dev/fd/1", "--status-file", "/dev/stdout"], ["--output", "--status-file"]),
    ] {
        let outcome = Tlsweep::new().args([&peer.target()]).args(args).run("");
        assert_refused(&outcome, names, &format!("{args:?}"));
        assert!(outcome.stdout.is_empty(), "{args:?}");
    }
    assert_eq!(peer.accepted(), 0);
    let dir = TempDir::new().unwrap();
    let output = dir.path().join("out.jsonl");
    let run = Tlsweep::new().args([&peer.target()]).args(["--status-file", "/dev/stdout", "-o"]);
    let outcome = run.args([output]).run("");
    assert_eq!((outcome.code, outcome.text().lines().count()), (Some(0), 1), "{}", outcome.stderr);
}

#[test]
fn a_directory_and_a_link_to_itself_are_no_output_and_called_what_they_are() {
    let peer = Spec::good().start();
    let dir = TempDir::new().unwrap();
    let [itself, to_dir] = ["itself", "to_dir"].map(|name| dir.path().join(name));
    symlink("itself", &itself).unwrap();
    symlink(".", &to_dir).unwrap();
    for (path, said) in [
        (dir.path(), "is a directory; name a file in it"),
        (&to_dir, "is a directory; name a file in it"),
        (&itself, "Too many levels of symbolic links"),
    ] {
        let outcome = Tlsweep::new().args([&peer.target()]).args(["-o".as_ref(), path]).run("");
        assert_eq!(outcome.code, Some(2), "{path:?}: {}", outcome.stderr);
        let is_named = outcome.stderr.contains(path.to_str().unwrap());
        assert!(is_named && outcome.stderr.contains(said), "{path:?}: {}", outcome.stderr);
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
