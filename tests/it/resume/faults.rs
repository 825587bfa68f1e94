//! Files that cannot be written to, or gone on with.

use std::fs;
use std::io::Read;
use std::process::Command;

use tempfile::TempDir;

use super::{RESUMABLE, Sweep, json, wait_until};
use crate::support::cmd::{AT_ONCE, BINARY, Tlsweep, sorted};
use crate::support::peer::Spec;
use crate::support::programs::{Program, shown, skip};

#[test]
fn a_file_that_is_there_is_left_alone() {
    let peer = Spec::good().start();
    let dir = TempDir::new().unwrap();
    for (name, text) in [("empty", ""), ("full", "something\n"), ("out.zst", "something\n")] {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let outcome = Tlsweep::new().args(["-j", "-o", path]).sweep([peer.target()]);
        assert_eq!(outcome.code, Some(2), "{name}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("--resume"), "{name}: {}", outcome.stderr);
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
    let outcome = Tlsweep::new().args(["-o", "/"]).sweep([peer.target()]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn what_tlsweep_did_not_write_is_left_alone() {
    let peer = Spec::good().start();
    let line = "{\"number\":1,\"target\":\"a\"}\n";
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("out");
    let zst = dir.path().join("out.zst");
    for (text, format) in [
        ("notes", "json"),
        ("notes\n", "json"),
        ("{\"a\":1}\n", "json"),
        ("{\"a\":1}", "json"),
        ("[1,2]\n", "json"),
        ("127.0.0.1:443\tok\t-\t-\t-\t-\t-\t1.0\t-\n", "json"),
        ("127.0.0.1:443\tok\t-\t-\t-\t-\t-\t1.0\t-\n", "csv"),
        (line, "csv"),
        ("number,target\n1,a\n", "csv"),
        ("notes", "csv"),
    ] {
        for path in [&path, &zst] {
            fs::write(path, text).unwrap();
            let shown = path.to_str().unwrap();
            let args = ["--format", format, "-o", shown, "--resume"];
            let outcome = Tlsweep::new().args(args).sweep([peer.target()]);
            assert_eq!(outcome.code, Some(2), "{text:?}: {}", outcome.stderr);
            assert!(outcome.stderr.contains(shown), "{text:?}: {}", outcome.stderr);
            assert_eq!(fs::read_to_string(path).unwrap(), text);
        }
    }
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn without_number_and_target_there_is_no_going_on() {
    let peer = Spec::good().start();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("out");
    let path = path.to_str().unwrap();
    for (flags, needed) in [
        (&["-o", path][..], "json or csv"),
        (&["-o", path, "-j", "--fields", "number,ok"], "target"),
        (&["-o", path, "--format", "csv", "--fields", "target"], "number"),
        (&["-o", "-", "-j"], "--output"),
        (&["-o", "/dev/stdout", "-j"], "--output"),
        (&["-o", "/dev/null", "-j"], "/dev/null"),
        (&["-j"], "--output"),
    ] {
        let outcome = Tlsweep::new().args(flags).args(["--resume"]).sweep([peer.target()]);
        assert_eq!(outcome.code, Some(2), "{flags:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(needed), "{flags:?}: {}", outcome.stderr);
        assert!(!fs::exists(path).unwrap(), "{flags:?}");
    }
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn stdout_pipes_and_devices_are_written_to() {
    let peer = Spec::good().start();
    for path in ["-", "/dev/stdout"] {
        let outcome = Tlsweep::new().args(["-j", "-o", path]).sweep([peer.target()]);
        assert_eq!(json(outcome.assert_complete().text())["ok"], true, "{path}");
    }
    let outcome = Tlsweep::new().args(["-j", "-o", "/dev/null"]).sweep([peer.target()]);
    assert_eq!(outcome.assert_complete().text(), "");
    let outcome = Tlsweep::new().args(["-j", "-o", "/dev/full"]).sweep([peer.target()]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("No space left on device"), "{}", outcome.stderr);

    let dir = TempDir::new().unwrap();
    for (name, is_compressed) in [("pipe", false), ("pipe.zst", true)] {
        let path = dir.path().join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let run = Tlsweep::new().args(["-j", "-o", path.to_str().unwrap(), &peer.target()]).start();
        let mut bytes = Vec::new();
        fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
        run.finish().assert_complete();
        if is_compressed {
            bytes = zstd::decode_all(bytes.as_slice()).unwrap();
        }
        assert_eq!(json(str::from_utf8(&bytes).unwrap())["ok"], true, "{name}");
    }
}

#[test]
fn two_do_not_write_to_one_file() {
    let peer = Spec::good().start();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("out");
    let args = ["-j", "-o", path.to_str().unwrap(), "--resume"];
    let mut first = Tlsweep::new().args(args).start();
    first.write(&format!("{}\n", peer.target()));
    wait_until("the first line", || fs::read(&path).is_ok_and(|bytes| bytes.ends_with(b"\n")));
    let second = Tlsweep::new().args(args).start().ends_within(AT_ONCE);
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("another tlsweep"), "{}", second.stderr);
    first.finish().assert_complete();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
}

#[test]
fn a_file_of_limited_size_keeps_whole_targets() {
    let Some(prlimit) = Program::find("prlimit") else {
        return;
    };
    for output in RESUMABLE {
        let sweep = Sweep::of(400, output);
        let list = sweep.list();
        let input = ["-f", list.to_str().unwrap()];
        let limited =
            prlimit.run(["--fsize=20000", BINARY].iter().chain(&sweep.args()).chain(&input));
        let is_full = !output.ends_with(".zst");
        let expected = if is_full { 3 } else { 0 };
        assert_eq!(limited.status.code(), Some(expected), "{output}: {}", shown(&limited));
        let stderr = String::from_utf8_lossy(&limited.stderr);
        assert_eq!(stderr.contains("File too large"), is_full, "{output}: {stderr}");
        let kept = sweep.targets().len();
        assert!(kept > 20 && (kept < 400) == is_full, "{output}: {kept}");
        sweep.resume().run("").assert_complete();
        sweep.assert_complete(output);
    }
}

#[test]
fn a_disk_that_fills_up_keeps_whole_targets_and_is_gone_on_with() {
    let Some(unshare) = Program::find("unshare") else {
        return;
    };
    if !unshare.run(["-m", "true"]).status.success() {
        return skip("no right to mount");
    }
    let sweep = Sweep::of(750, "out.jsonl");
    let (list, dir) = (sweep.list(), sweep.dir.path().join("disk"));
    fs::create_dir(&dir).unwrap();
    let run = format!("{BINARY} -j -o {0}/out -f {1}", dir.display(), list.display());
    let script = format!(
        "mount -t tmpfs -o size=64k tmpfs {dir}
         {run} || echo code $?
         grep -c . {dir}/out
         {run} --resume || echo code $?
         mount -o remount,size=16m {dir}
         {run} --resume && cat {dir}/out",
        dir = dir.display(),
    );
    let output = unshare.run(["-m", "sh", "-ec", &script]);
    assert!(output.status.success(), "{}", shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("code 3"), "{text}");
    let kept: usize = lines.next().unwrap().parse().unwrap();
    assert!((20..750).contains(&kept), "{kept}");
    assert_eq!(lines.next(), Some("code 3"), "{text}");
    let targets = lines.map(|line| json(line)["target"].as_str().unwrap().to_owned());
    assert_eq!(sorted(targets), sorted(sweep.input));
    assert_eq!(String::from_utf8_lossy(&output.stderr).matches("No space left").count(), 2);
}
