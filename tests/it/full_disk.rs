//! File systems that fill up during a sweep, or that say only at the end that something is lost.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cmd::{BINARY, Outcome, Tlsweep};
use crate::support::peer::{Peer, Spec};
use crate::support::programs::{Program, shown, skip, unshare_mounts};
use crate::support::random::Random;

/// Targets of a sweep whose output does not fit.
const TARGETS: usize = 300;

/// Sizes of a file system, for each format.
const SIZES: usize = 50;

#[test]
fn json_has_what_is_counted_and_the_rest_comes_with_resume() {
    fill_and_resume("out.jsonl");
}

#[test]
fn csv_has_what_is_counted_and_the_rest_comes_with_resume() {
    fill_and_resume("out.csv");
}

#[test]
fn zstd_has_what_is_counted_and_the_rest_comes_with_resume() {
    fill_and_resume("out.jsonl.zst");
}

/// Sweeps to a file system of a random size that is too small, and then goes on with more room.
fn fill_and_resume(output: &str) {
    let (Some(unshare), Some(zstd)) = (unshare_mounts(), Program::find("zstd")) else { return };
    let mut random = Random::new();
    let peer = Spec::refusing().on_all_of_loopback().start();
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    // Tags that do not compress make several frames of zstd.
    let tag = |random: &mut Random| -> String {
        (0..3800).map(|_| char::from(b'a' + u8::try_from(random.below(26)).unwrap())).collect()
    };
    let list: Vec<_> = (0..TARGETS)
        .map(|n| format!("127.5.{}.{}:{}", n / 250, n % 250 + 1, peer.addr.port()))
        .map(|target| format!("{target},,{}\n", tag(&mut random)))
        .collect();
    fs::write(path("list"), list.concat()).unwrap();
    fs::create_dir(path("disk")).unwrap();
    let script = "
        cd \"$0\" && mount -t tmpfs -o size=$2k tmpfs disk || exit 1
        sweep() { \"$1\" -q -f list -o disk/$2 --summary $3.json $4 2>$3.err; echo $? >$3.code; cp disk/$2 $3; }
        sweep \"$1\" $3 first; mount -o remount,size=64m disk; sweep \"$1\" $3 whole --resume";
    let mut partial = BTreeSet::new();
    for _ in 0..SIZES {
        let size = random.below(1400) + 4;
        let root = dir.path().to_str().unwrap();
        let ran = unshare.run(["-m", "sh", "-c", script, root, BINARY, &size.to_string(), output]);
        assert!(ran.status.success(), "{}", shown(&ran));
        let read = |name: &str| fs::read_to_string(path(name)).unwrap();
        let of_run = |name: &str| {
            let summary: Value = serde_json::from_str(&read(&format!("{name}.json"))).unwrap();
            let code: i32 = read(&format!("{name}.code")).trim().parse().unwrap();
            let lines = numbers(&path(name), output, &zstd);
            let context = format!(
                "seed {}, {size} KiB, {name}: exit {code}, {}",
                random.seed(),
                read(&format!("{name}.err"))
            );
            (lines, summary["targets"].as_u64().unwrap(), code, context)
        };
        let (first, counted, code, context) = of_run("first");
        assert_eq!(first.len() as u64, counted, "{context}");
        assert_eq!(code, if first.len() == TARGETS { 0 } else { 3 }, "{context}");
        if code == 3 {
            let is_said = context.contains(&format!("cannot write to disk/{output}"));
            assert!(is_said && context.contains("No space left on device"), "{context}");
        }
        let (whole, added, code, context) = of_run("whole");
        assert_eq!((code, added + counted), (0, TARGETS as u64), "{context}");
        let unique: BTreeSet<_> = whole.iter().copied().collect();
        assert_eq!((unique.len(), whole.len()), (TARGETS, TARGETS), "{context}");
        partial.insert(first.len());
    }
    assert!(partial.len() > 2, "the sizes were too much alike: {partial:?}");
}

/// The numbers of the targets in a file, each line of which must be whole.
fn numbers(file: &Path, output: &str, zstd: &Program) -> Vec<u64> {
    let text = match output.ends_with(".zst") {
        // Without a frame it is no file of zstd.
        true if fs::metadata(file).unwrap().len() == 0 => String::new(),
        true => {
            let unpacked = zstd.run([Path::new("-dcq"), file]);
            assert!(unpacked.status.success(), "{}", shown(&unpacked));
            String::from_utf8(unpacked.stdout).unwrap()
        }
        false => fs::read_to_string(file).unwrap(),
    };
    assert!(text.is_empty() || text.ends_with('\n'), "{output} ends with a part of a line");
    if output.contains(".json") {
        let record = |line| serde_json::from_str::<Value>(line).unwrap();
        return text.lines().map(|line| record(line)["number"].as_u64().unwrap()).collect();
    }
    let mut lines = text.lines();
    let Some(header) = lines.next() else { return Vec::new() };
    let place = header.split(',').position(|name| name == "number").unwrap();
    lines.map(|line| line.split(',').nth(place).unwrap().parse().unwrap()).collect()
}

/// A sweep whose list ends only after its reports' file system is full.
fn reports_on_a_full_disk(flags: &[&str]) -> Option<(Outcome, Vec<String>, Peer)> {
    let unshare = unshare_mounts()?;
    let peer = Spec::refusing().start();
    let dir = TempDir::new().unwrap();
    let disk = dir.path().to_str().unwrap();
    // The mounts of the sweep are seen through its root.
    let script = "mount -t tmpfs -o size=32k tmpfs \"$0\"; cd \"$0\"; exec \"$@\"";
    let mut run =
        Tlsweep::json_under(unshare.path(), ["-m", "sh", "-ec", script, disk]).args(flags).start();
    run.write(&format!("{}\n", peer.target()));
    run.next_record();
    let inside = format!("/proc/{}/root{disk}", run.pid());
    let full = loop {
        // Whatever becomes free in between is filled as well.
        if let Err(full) = fs::write(format!("{inside}/fill"), vec![0; 64 << 10]) {
            break full;
        }
    };
    assert_eq!(full.raw_os_error(), Some(libc::ENOSPC));
    run.write(&format!("{}\n", peer.target()));
    run.next_record();
    // An open folder outlives the process, and its mounts.
    let folder = fs::File::open(&inside).unwrap();
    let outcome = run.finish();
    let left = fs::read_dir(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&folder)));
    let left = left.unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    Some((outcome, left.collect(), peer))
}

#[test]
fn a_report_that_finds_the_disk_full_is_named_and_nothing_else_is_lost() {
    for flags in [
        &["--summary", "report"][..],
        &["--report", "report"],
        &["--metrics", "report"],
        &["--metrics", "report", "--metrics-targets"],
        &["--status-file", "report"],
        &["--status-file", "report", "--status", "50ms"],
    ] {
        let Some((outcome, left, _peer)) = reports_on_a_full_disk(flags) else { return };
        assert_eq!((outcome.code, outcome.records.len()), (Some(3), 2), "{flags:?}");
        let errors: Vec<_> = outcome.stderr.lines().filter(|it| it.contains("error")).collect();
        let [error] = *errors else { panic!("{flags:?}: {}", outcome.stderr) };
        assert!(error.starts_with("tlsweep: error: cannot write "), "{flags:?}: {error}");
        assert!(error.contains(" report: No space left on device"), "{flags:?}: {error}");
        assert!(!error.contains("tmp"), "a temporary path: {error}");
        assert!(left.iter().all(|name| name == "fill" || name == "report"), "{flags:?}: {left:?}");
    }
}

/// Room that comes back is used again, and what was torn off does not spoil the next line.
#[test]
fn a_status_line_that_was_torn_off_stands_alone() {
    let Some(unshare) = unshare_mounts() else { return };
    let peer = Spec::refusing().start();
    let dir = TempDir::new().unwrap();
    let disk = dir.path().to_str().unwrap();
    let script = "mount -t tmpfs -o size=32k tmpfs \"$0\"; cd \"$0\"; exec \"$@\"";
    let mut run = Tlsweep::json_under(unshare.path(), ["-m", "sh", "-ec", script, disk])
        .args(["--status-file", "lines", "--status", "1h"])
        .start();
    run.write(&format!("{}\n", peer.target()));
    run.next_record();
    let inside = format!("/proc/{}/root{disk}", run.pid());
    // All but a part of a page is taken, which the file has already.
    let begun = vec![b' '; 4095];
    fs::write(format!("{inside}/lines"), &begun).unwrap();
    fs::write(format!("{inside}/fill"), vec![0; 64 << 10]).unwrap_err();
    run.signal("USR1");
    let length = |at_least: usize| loop {
        let text = fs::read_to_string(format!("{inside}/lines")).unwrap();
        if text.len() >= at_least {
            break text;
        }
        std::thread::yield_now();
    };
    length(4096);
    fs::remove_file(format!("{inside}/fill")).unwrap();
    run.signal("USR1");
    let text = length(4200);
    let [torn, rest] = text.split_once('\n').map(<[_; 2]>::from).unwrap();
    assert_eq!(torn.len(), 4096, "{torn:?}");
    let line = rest.lines().next().unwrap();
    assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(3), "a line is missing: {}", outcome.stderr);
}

/// Network file systems, and quotas, may answer only when a file is synced or renamed.
#[test]
fn what_the_file_system_says_at_the_end_is_heard() {
    let Some(strace) = Program::find("strace") else { return };
    let trial = strace.run(["-f", "-o", "/dev/null", "true"]);
    if !trial.status.success() {
        return skip(&format!("strace may not trace: {}", shown(&trial)));
    }
    let peer = Spec::refusing().start();
    let syncs = "fsync,fdatasync:error=EDQUOT";
    let renames = "rename,renameat,renameat2:error=EIO";
    for (fault, flag, name, reason) in [
        (syncs, "--summary", "report", "Disk quota exceeded"),
        (syncs, "--report", "report", "Disk quota exceeded"),
        (syncs, "--status-file", "report", "Disk quota exceeded"),
        (syncs, "--output", "report", "Disk quota exceeded"),
        (syncs, "--output", "-", "Disk quota exceeded"),
        (renames, "--summary", "report", "Input/output error"),
        (renames, "--report", "report", "Input/output error"),
    ] {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("report");
        let stdout = dir.path().join("stdout");
        if matches!(flag, "--summary" | "--report") {
            fs::write(&file, "old").unwrap();
        }
        let (calls, _) = fault.split_once(':').unwrap();
        let place = if name == "-" { "-" } else { file.to_str().unwrap() };
        let output = strace
            .command()
            .args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={fault}"), BINARY, "-q", flag, place, &peer.target()])
            .stdin(std::process::Stdio::null())
            .stdout(fs::File::create(&stdout).unwrap())
            .stderr(std::process::Stdio::piped())
            .output()
            .unwrap();
        let what = format!("{flag} {name} {fault}: {}", shown(&output));
        assert_eq!(output.status.code(), Some(3), "{what}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let named = if name == "-" { "stdout" } else { place };
        assert!(stderr.contains(named) && stderr.contains(reason), "{what}");
        let lines = if flag == "--output" && name != "-" { &file } else { &stdout };
        assert_eq!(fs::read_to_string(lines).unwrap().lines().count(), 1, "{what}");
        if matches!(flag, "--summary" | "--report") {
            assert_eq!(fs::read_to_string(&file).unwrap(), "old", "{what}");
        }
        let mut left: Vec<_> =
            fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.retain(|name| name != "report" && name != "stdout");
        assert!(left.is_empty(), "{what}: {left:?}");
    }
}
