//! The engine alone: from the queue of lines to the lines of the output, with work that does nothing.
//! What is made of each line is the same full record. It shows what loops cost each other.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may panic and prints its figures"
)]

#[expect(dead_code, reason = "one record of it is enough here")]
mod operations;
#[expect(dead_code, unused_imports, reason = "nobody is served here")]
mod served;

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use tlsweep::failure::Failure;
use tlsweep::feed::input::{Line, Place};
use tlsweep::feed::queue::queue;
use tlsweep::feed::selection::Targets;
use tlsweep::pace::permit::{Permit, Permits};
use tlsweep::report::output::queue::{Encoding, Room, queue as record_queue};
use tlsweep::report::output::stream::Stream;
use tlsweep::report::output::{FORMATS, Layout, write_all};
use tlsweep::report::record::Record;
use tlsweep::report::status::Status;
use tlsweep::sweep::{Settings, Stop, Work, sweep};
use tlsweep::{cert, config};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::Instant;

use served::{argument, cpu_of, is_bench};

/// Hands out the same record for every line.
struct Nothing(Record);

impl Work for Nothing {
    async fn work(&self, _line: &Line, _permit: &mut Permit) -> Vec<Record> {
        vec![self.0.clone()]
    }

    fn give_up(&self, line: &Line, failure: Failure) -> Record {
        Record::of_line(line, failure, SystemTime::UNIX_EPOCH)
    }
}

fn main() {
    let lines = if is_bench() { argument("--targets").unwrap_or(500_000) } else { 1000 };
    // A verdict is made once, so that the library is loaded before anything is measured.
    drop(cert::Roots::built_in());
    println!("{lines} full records as JSON, work that does nothing");
    for loops in [1, 2, 4] {
        let start = Instant::now();
        let (written, cpu) = cpu_of(|| sweep_all(lines, NonZero::new(loops).unwrap()));
        assert_eq!(written, lines);
        let elapsed = start.elapsed();
        println!(
            "{loops} loops: {:8.0} a second, {:5.2} µs of CPU each",
            lines as f64 / elapsed.as_secs_f64(),
            (cpu / u32::try_from(lines).unwrap()).as_secs_f64() * 1e6,
        );
    }
}

/// How many records were written.
fn sweep_all(lines: u64, loops: NonZero<usize>) -> u64 {
    let status = Arc::new(Status::default());
    let work = Arc::new(Nothing(operations::full_record()));
    let permits = Permits::new(const { NonZero::new(1000).unwrap() });
    let settings = Settings { permits, grace: Duration::ZERO, status: Arc::clone(&status) };
    let (mut sender, line_queue) = queue(config::LINE_QUEUE, None);
    let (_, json) = FORMATS.into_iter().find(|(name, _)| *name == "json").unwrap();
    let format = Arc::from(json(&Layout::default()));
    let encoding = Encoding { format, leaves_interrupted: false, status: Arc::clone(&status) };
    let (senders, records) = record_queue(loops, Room::OF_A_LOOP, encoding);
    let (_stop, stopping) = watch::channel(Stop::No);
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 1..=lines {
                let text = Ok("www.example.com".to_owned());
                assert!(sender.take(Line { place: Place { line: number, number }, text }));
            }
        });
        for records in senders {
            let (work, settings) = (Arc::clone(&work), settings.clone());
            let (line_queue, stopping) = (line_queue.clone(), stopping.clone());
            scope.spawn(move || {
                let runtime = Builder::new_current_thread().build().unwrap();
                runtime.block_on(sweep(work, settings, line_queue, records, stopping));
            });
        }
        write_all(records, &mut Stream::new(io::sink()), &status).unwrap();
    });
    status.counts().done
}
