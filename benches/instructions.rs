//! How many instructions the operations of `micro` take, counted by callgrind: the same on a busy
//! machine as on a quiet one, so that CI can hold them to what is written down here.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may panic and prints its figures"
)]

mod operations;

use std::env;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use operations::{costly, operations};

/// Instructions that each takes, as last measured (x86_64, valgrind 3.19, Rust 1.95). Valgrind shows
/// programs neither SHA nor AVX-512 instructions, so that hashes weigh more here than in earnest.
const COMMITTED: [(&str, u64); 14] = [
    ("parse address", 2_138),
    ("parse name, SNI and tag", 5_544),
    ("parse name that is not ASCII", 10_225),
    ("classify refused", 2_287),
    ("classify alert", 790),
    ("facts", 80_772),
    ("facts of a rich certificate", 154_198),
    ("verdict, chain seen before", 70_005),
    ("verdict, new leaf", 1_132_519),
    ("encode text", 13_646),
    ("encode json", 36_576),
    ("encode json, some fields", 12_603),
    ("encode csv", 103_577),
    ("count", 1_505),
];

/// What judging one chain with its staple may take at most: 20 ms at 6 instructions a nanosecond. On the
/// machine that this was written on (AMD EPYC, otherwise idle) callgrind counted 6.6 (directory names) to
/// 11.6 (dense staple) for a nanosecond of the costly operations as `--time` shows them.
const CEILING: u64 = 20_000_000 * 6;

/// More than that beyond the committed number is a failure.
const TOLERANCE_PERCENT: u64 = 5;

/// Runs of an operation that are counted, after as many that are not.
const RUNS: u64 = 100;

/// The argument that prints the processor time of the costly operations, to compare with instructions.
const TIME: &str = "--time";

/// The argument with which this program is started under callgrind.
const UNDER_CALLGRIND: &str = "--under-callgrind";

fn main() -> ExitCode {
    if env::args().any(|word| word == UNDER_CALLGRIND) {
        run_all();
        return ExitCode::SUCCESS;
    }
    if env::args().any(|word| word == TIME) {
        time();
        return ExitCode::SUCCESS;
    }
    let (counted, counted_of_costly) = count();
    let mut exit = ExitCode::SUCCESS;
    println!("{:40} {:>12} {:>12}", "instructions", "counted", "committed");
    for ((name, committed), counted) in COMMITTED.iter().zip(counted) {
        let is_more = counted * 100 > committed * (100 + TOLERANCE_PERCENT);
        println!("{name:40} {counted:12} {committed:12} {}", if is_more { "MORE" } else { "" });
        if is_more {
            exit = ExitCode::FAILURE;
        }
    }
    println!("{:48} {:>12} {:>12}", "judging what is made to cost", "counted", "ceiling");
    for ((name, _), counted) in costly().iter().zip(counted_of_costly) {
        let is_more = counted > CEILING;
        println!("{name:48} {counted:12} {CEILING:12} {}", if is_more { "MORE" } else { "" });
        if is_more {
            exit = ExitCode::FAILURE;
        }
    }
    exit
}

/// Prints the best of several runs.
fn time() {
    for (name, mut operation) in costly() {
        let runs = (0..9).map(|_| {
            let begun = Instant::now();
            operation();
            begun.elapsed()
        });
        println!("{name:48} {:12} ns", runs.min().unwrap_or_default().as_nanos());
    }
}

fn run_all() {
    let operations = operations();
    assert!(operations.iter().map(|(name, _)| name).eq(COMMITTED.iter().map(|(name, _)| name)));
    for (_, mut operation) in operations {
        (0..RUNS).for_each(|_| operation());
        collected(&mut operation, RUNS);
    }
    // Nothing of them may be cheaper the second time.
    for (_, mut operation) in costly() {
        collected(&mut operation, 1);
    }
}

/// Callgrind collects while this runs.
#[inline(never)]
fn collected(operation: &mut dyn FnMut(), runs: u64) {
    let counted = dumped(operation, runs);
    // No tail call: it would leave this function before the other is entered.
    assert_eq!(black_box(counted), runs);
}

/// Callgrind writes a dump when this returns, and counts from zero again; it does so only for what
/// was entered while it collected.
#[inline(never)]
fn dumped(operation: &mut dyn FnMut(), runs: u64) -> u64 {
    (0..runs).for_each(|_| operation());
    runs
}

/// Instructions per operation, in the order of the table, and those of the costly ones.
fn count() -> (Vec<u64>, Vec<u64>) {
    let me = env::current_exe().unwrap();
    // Beside the program, where git looks away; overwritten by the next count.
    let out = me.with_extension("callgrind");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .args(["--toggle-collect=instructions::collected*", "--dump-after=instructions::dumped*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(me)
        .arg(UNDER_CALLGRIND)
        .status()
        .expect("valgrind is not installed");
    assert!(status.success(), "{status}");
    let dump = |number| format!("{}.{number}", out.display());
    let counted = |number| total(Path::new(&dump(number)));
    let usual = COMMITTED.len();
    let costly = usual + costly().len();
    (
        (1..=usual).map(|number| counted(number) / RUNS).collect(),
        (usual + 1..=costly).map(counted).collect(),
    )
}

/// The sum of a dump.
fn total(dump: &Path) -> u64 {
    let text = std::fs::read_to_string(dump).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("totals: "));
    line.unwrap().trim().parse().unwrap()
}
