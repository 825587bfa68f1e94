//! Files as a crash of the machine leaves them.

use std::fs;
use std::os::unix::fs::symlink;

use super::{RESUMABLE, Sweep};
use crate::support::programs::{Program, shown, skip};

/// An output of several frames, if it has frames, and where the last of them begins.
fn grown(output: &str) -> (Sweep, usize) {
    let sweep = Sweep::of(120, output);
    let mut last = 0;
    for count in [40, 80, 120] {
        last = sweep.bytes().len();
        let list = sweep.input[..count].iter().flat_map(|line| [line, "\n"]).collect::<String>();
        sweep.write_list(&list);
        sweep.resume().run("").assert_complete();
    }
    (sweep, last)
}

#[test]
fn an_end_that_became_zeros_is_a_torn_end() {
    for output in RESUMABLE {
        let (sweep, last) = grown(output);
        let whole = sweep.bytes();
        for from in [last, last + 3, last + (whole.len() - last) / 2, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[from..].fill(0);
            damaged.extend([0; 5000]);
            fs::write(&sweep.output, damaged).unwrap();
            let outcome = sweep.resume().run("");
            outcome.assert_complete();
            sweep.assert_complete(output);
            assert!(sweep.bytes().starts_with(&whole[..last]), "{output}: redone from {from}");
        }
    }
}

/// The end is cut off although no target is left that would be written in its place.
#[test]
fn a_torn_end_goes_although_nothing_is_left_to_do() {
    for output in RESUMABLE {
        let (sweep, _) = grown(output);
        sweep.resume().run("").assert_complete();
        let whole = sweep.bytes();
        let begun: &[u8] = if output.ends_with("zst") { b"\x28\xb5\x2f\xfd" } else { b"{\"v\":1," };
        for rest in [&[0; 4096], begun] {
            fs::write(&sweep.output, [&whole, rest].concat()).unwrap();
            sweep.resume().run("").assert_complete();
            assert!(sweep.bytes() == whole, "{output}: {} bytes", sweep.bytes().len());
        }
    }
}

#[test]
fn a_last_frame_with_a_bad_checksum_is_a_torn_end() {
    for output in ["out.jsonl.zst", "out.csv.zst"] {
        let (sweep, last) = grown(output);
        let mut damaged = sweep.bytes();
        *damaged.last_mut().unwrap() ^= 1;
        let good = damaged[..last].to_vec();
        fs::write(&sweep.output, damaged).unwrap();
        let outcome = sweep.resume().run("");
        assert!(outcome.assert_complete().stderr.contains("80 targets done"), "{output}");
        sweep.assert_complete(output);
        assert!(sweep.bytes().starts_with(&good), "{output}");
    }
}

#[test]
fn damage_in_the_middle_says_where_and_changes_nothing() {
    for output in RESUMABLE {
        let (sweep, last) = grown(output);
        let mut damaged = sweep.bytes();
        damaged[last - 20..last].fill(0);
        fs::write(&sweep.output, &damaged).unwrap();
        let outcome = sweep.resume().run("");
        assert_eq!(outcome.code, Some(2), "{output}: {}", outcome.stderr);
        let place =
            if output.ends_with(".zst") { format!("to byte {last}") } else { "line ".into() };
        assert!(outcome.stderr.contains(&place), "{output}: {}", outcome.stderr);
        assert!(sweep.bytes() == damaged, "{output}");
    }
}

/// A peer can make the line of a target long, and another program can compress all lines into one
/// frame.
#[test]
fn a_frame_of_very_much_text_is_gone_on_with() {
    let sweep = Sweep::of(50, "out.jsonl.zst");
    let filler = "x".repeat(3_000_000);
    let text: String = sweep.input[..40]
        .iter()
        .enumerate()
        .map(|(place, target)| {
            format!("{{\"number\":{},\"target\":\"{target}\",\"a\":\"{filler}\"}}\n", place + 1)
        })
        .collect();
    assert!(text.len() > 115_000_000);
    fs::write(&sweep.output, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    let run = sweep.resume().args(["--fields", "number,target"]).start();
    let outcome = run.finish();
    assert!(outcome.assert_complete().stderr.contains("40 targets done"), "{}", outcome.stderr);
    sweep.assert_complete("a long frame");
}

#[test]
fn a_link_to_nothing_is_an_error_that_says_so() {
    for flags in [&[][..], &["--resume"]] {
        let sweep = Sweep::of(1, "out.jsonl");
        symlink(sweep.dir.path().join("nothing"), &sweep.output).unwrap();
        let outcome = sweep.run().args(flags).run("");
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("link to a file that is not there"), "{}", outcome.stderr);
        assert!(!sweep.dir.path().join("nothing").exists());
    }
}

#[test]
fn an_append_only_file_is_appended_to() {
    let Some(chattr) = Program::find("chattr") else {
        return;
    };
    for output in RESUMABLE {
        let (sweep, _) = grown(output);
        let list = sweep.input[..80].iter().flat_map(|line| [line, "\n"]).collect::<String>();
        fs::remove_file(&sweep.output).unwrap();
        sweep.write_list(&list);
        sweep.resume().run("").assert_complete();
        let path = sweep.output.to_str().unwrap();
        if !chattr.run(["+a", path]).status.success() {
            return skip("no right to chattr +a here");
        }
        let whole = sweep.bytes();
        sweep.write_list(&sweep.input.iter().flat_map(|line| [line, "\n"]).collect::<String>());
        let outcome = sweep.resume().run("");
        let (code, stderr) = (outcome.code, outcome.stderr);
        let undone = chattr.run(["-a", path]);
        assert!(undone.status.success(), "{}", shown(&undone));
        assert_eq!(code, Some(0), "{output}: {stderr}");
        assert!(sweep.bytes().starts_with(&whole), "{output}");
        sweep.assert_complete(output);

        let torn = &sweep.bytes()[..sweep.bytes().len() - 1];
        fs::write(&sweep.output, torn).unwrap();
        assert!(chattr.run(["+a", path]).status.success());
        let outcome = sweep.resume().run("");
        let (code, stderr) = (outcome.code, outcome.stderr);
        assert!(chattr.run(["-a", path]).status.success());
        assert_eq!(code, Some(2), "{output}: {stderr}");
        assert!(stderr.contains("append-only"), "{output}: {stderr}");
        assert_eq!(sweep.bytes(), torn, "{output}");
    }
}
