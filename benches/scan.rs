//! What a handshake through the whole pipeline costs on loopback, from the line to the record: by
//! key-exchange group, with every chain seen before and with none.
//!
//! The server's work is not counted: it is a process of its own.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may panic and prints its figures"
)]

mod served;

use std::fs;
use std::io::{self, Cursor, Read};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use served::{Server, address, argument, cpu_of, is_bench, median};
use tlsweep::cert::Roots;
use tlsweep::config::{self, Config};
use tlsweep::deadline::Clock;
use tlsweep::dial::resolve::Families;
use tlsweep::feed::input::Input;
use tlsweep::feed::queue::queue;
use tlsweep::feed::resume::Done;
use tlsweep::feed::selection::Selection;
use tlsweep::feed::shard::Shard;
use tlsweep::names::Group;
use tlsweep::pace::permit::Permits;
use tlsweep::probe::Prober;
use tlsweep::report::check::Checks;
use tlsweep::report::output::queue::{Encoding, Room, queue as record_queue};
use tlsweep::report::output::stream::Stream;
use tlsweep::report::output::{FORMATS, Layout, write_all};
use tlsweep::report::status::Status;
use tlsweep::scan::Scan;
use tlsweep::sweep::{Settings, Stop, sweep};
use tlsweep::tls::handshake::Offer;
use tokio::sync::watch;

/// What is offered (nothing: the default), and which of it the server takes.
const HELLOS: [(&str, &[&str], &str); 4] = [
    ("X25519MLKEM768", &[], "X25519MLKEM768"),
    ("X25519 of a post-quantum offer", &[], "X25519"),
    ("X25519", &["x25519", "secp256r1"], "X25519"),
    ("P-256", &["secp256r1"], "P-256"),
];

fn main() {
    if served::serve_if_asked() {
        return;
    }
    served::stay_on_own_core();
    let (targets, repeats) = match is_bench() {
        true => (argument("--targets").unwrap_or(5000), argument("--repeats").unwrap_or(5)),
        false => (20, 1),
    };
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root.der");
    println!("CPU per handshake, µs: median of {repeats} sweeps of {targets} targets");
    for (name, offered, taken) in HELLOS {
        // A server that shows another chain to everybody, and one that has a single one.
        for (caches, chains) in [("cold", targets), ("warm", 1)] {
            let words = ["tls", taken, &chains.to_string(), root.to_str().unwrap()];
            let server = Server::start(&words);
            let target = |number| format!("{}:{}\n", address(number), server.port);
            let list: String = (0..targets).map(target).collect();
            let mut roots = Roots::built_in();
            roots.add(&fs::read(&root).unwrap().into()).unwrap();
            let sweeps = (0..repeats).map(|_| {
                let ((), cpu) = cpu_of(|| sweep_all(&list, offered, roots.clone()));
                cpu / u32::try_from(targets).unwrap()
            });
            let cpu = median(sweeps.collect()).as_secs_f64() * 1e6;
            println!("{name:32} {caches} {cpu:8.1}");
        }
    }
}

/// From the lines to the output, as the command does it.
fn sweep_all(list: &str, offered: &[&str], roots: Roots) {
    let status = Arc::new(Status::default());
    let concurrency = argument("--concurrency").unwrap_or(const { NonZero::new(500).unwrap() });
    let settings = Settings {
        permits: Permits::new(concurrency),
        grace: config::GRACE,
        status: Arc::clone(&status),
    };
    let clock = Clock::start(SystemTime::now());
    let prober = Prober::new(configuration(offered), roots, clock).unwrap();
    let scan = Scan::new(prober, Checks::default());
    let stdin = || Box::new(Cursor::new(list.to_owned())) as Box<dyn Read + Send>;
    let input = Input::open(Vec::new(), &["-".into()], stdin).unwrap();

    let (lines, line_queue) = queue(config::LINE_QUEUE, None);
    let (_, json) = FORMATS.into_iter().find(|(name, _)| *name == "json").unwrap();
    let format = Arc::from(json(&Layout::default()));
    let encoding = Encoding { format, leaves_interrupted: false, status: Arc::clone(&status) };
    let (mut senders, records) = record_queue(NonZero::<usize>::MIN, Room::OF_A_LOOP, encoding);
    let (_stop, stopping) = watch::channel(Stop::No);
    let selection = Selection { port: config::PORT, shard: Shard::WHOLE };
    let reader = thread::spawn(move || {
        selection.send_all(input, &mut Done::default(), lines).unwrap();
    });
    let writer = thread::spawn(move || {
        let mut sink = Stream::new(io::sink());
        write_all(records, &mut sink, &status).unwrap();
        status.counts()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(sweep(Arc::new(scan), settings, line_queue, senders.remove(0), stopping));
    reader.join().unwrap();
    let counts = writer.join().unwrap();
    assert_eq!(counts.ok, list.lines().count() as u64, "{counts:?}");
}

/// The command's defaults.
fn configuration(offered: &[&str]) -> Config {
    // What is not named here is as on the command line.
    Config {
        offer: Offer {
            groups: offered.iter().map(|name| Group::of_any_name(name).unwrap()).collect(),
            ..Offer::default()
        },
        families: Families::V4,
        ..Config::default()
    }
}
