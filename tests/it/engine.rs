//! The engine by itself, with work that is made up.

use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tlsweep::failure::{Failure, Kind};
use tlsweep::feed::input::{Line, Place};
use tlsweep::feed::queue::{LineSender, queue};
use tlsweep::feed::selection::Targets;
use tlsweep::feed::shuffle::Shuffle;
use tlsweep::pace::permit::Permit;
use tlsweep::report::record::Record;
use tlsweep::report::status::Status;
use tlsweep::sweep::{Settings, Stop, Work, sweep};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const GRACE: Duration = Duration::from_millis(50);

/// Panics at `panic`, never ends at `hang`, and is done at once with everything else.
#[derive(Default)]
struct MadeUp {
    begun: AtomicUsize,
}

impl Work for MadeUp {
    fn work(&self, line: &Line, _permit: &mut Permit) -> impl Future<Output = Vec<Record>> + Send {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let record = record(line);
        async move {
            match record.target.as_str() {
                "panic" => panic!("made up"),
                "hang" => std::future::pending().await,
                _ => vec![record],
            }
        }
    }

    fn give_up(&self, line: &Line, failure: Failure) -> Record {
        Record::of_line(line, failure, SystemTime::UNIX_EPOCH)
    }
}

fn record(line: &Line) -> Record {
    let target = line.text.clone().unwrap().parse().unwrap();
    Record::of_target(line.place, &target, 443, SystemTime::UNIX_EPOCH)
}

struct Engine {
    work: Arc<MadeUp>,
    lines: LineSender,
    records: mpsc::Receiver<Vec<Record>>,
    stop: watch::Sender<Stop>,
    sweep: JoinHandle<()>,
}

/// Batches of lines that the queue takes before it is full.
const BATCHES: usize = 16;

fn engine(concurrency: usize, record_queue: usize) -> Engine {
    shuffled_engine(concurrency, record_queue, None)
}

fn shuffled_engine(concurrency: usize, record_queue: usize, shuffle: Option<Shuffle>) -> Engine {
    let work = Arc::new(MadeUp::default());
    let (lines, line_queue) = queue(64 * BATCHES, shuffle);
    let (record_queue, records) = mpsc::channel(record_queue);
    let (stop, stopping) = watch::channel(Stop::No);
    let concurrency = NonZero::new(concurrency).unwrap();
    let settings = Settings { concurrency, grace: GRACE, status: Arc::new(Status::default()) };
    let sweep = sweep(Arc::clone(&work), settings, line_queue, record_queue, stopping);
    Engine { work, lines, records, stop, sweep: tokio::spawn(sweep) }
}

fn line(number: u64, text: &str) -> Line {
    Line { place: Place { line: number, number }, text: Ok(text.to_owned()) }
}

/// How each line ended, by its number.
async fn ends(mut records: mpsc::Receiver<Vec<Record>>) -> BTreeMap<u64, Vec<Option<Kind>>> {
    let mut ends = BTreeMap::<u64, Vec<_>>::new();
    while let Some(results) = records.recv().await {
        for record in results {
            ends.entry(record.line).or_default().push(record.error.map(|failure| failure.kind));
        }
    }
    ends
}

#[tokio::test]
async fn a_panic_is_a_record() {
    let mut engine = engine(2, 8);
    engine.read([(1, "a"), (2, "panic"), (3, "b")]);
    drop(engine.lines);
    let ends = ends(engine.records).await;
    assert_eq!(ends[&2], [Some(Kind::Internal)]);
    assert_eq!((&ends[&1], &ends[&3], ends.len()), (&vec![None], &vec![None], 3));
}

#[tokio::test]
async fn a_stop_ends_what_hangs_and_what_was_queued() {
    let mut engine = engine(3, 8);
    engine.read([(1, "a"), (2, "hang"), (3, "hang"), (4, "hang"), (5, "b"), (6, "c")]);
    engine.stop.send(Stop::Gently).unwrap();
    let ends = ends(engine.records).await;
    let interrupted: Vec<_> = ends.iter().filter(|(_, end)| **end != [None]).collect();
    assert_eq!(ends.len(), 6);
    assert!(interrupted.iter().all(|(_, end)| **end == [Some(Kind::Interrupted)]), "{ends:?}");
    assert!(interrupted.len() >= 3, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_does_not_wait_for_the_grace() {
    let mut engine = engine(1, 8);
    engine.read([(1, "hang")]);
    settle().await;
    let stopped = Instant::now();
    engine.stop.send(Stop::Gently).unwrap();
    settle().await;
    assert!(!engine.sweep.is_finished(), "the grace is not over");
    engine.stop.send(Stop::Now).unwrap();
    assert_eq!(ends(engine.records).await[&1], [Some(Kind::Interrupted)]);
    assert!(stopped.elapsed() < GRACE);
}

#[tokio::test]
async fn a_gone_sender_of_stop_is_no_stop() {
    let mut engine = engine(1, 8);
    engine.read([(1, "a")]);
    drop((engine.stop, engine.lines));
    assert_eq!(ends(engine.records).await[&1], [None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_so_nobody_dials() {
    let (concurrency, record_queue) = (10, 4);
    let Engine { work, mut lines, records, sweep: _sweep, stop: _stop } =
        engine(concurrency, record_queue);
    let (report, taken) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for number in 1.. {
            if !(lines.take(line(number, "a")) && lines.before_wait()) || report.send(()).is_err() {
                return number;
            }
        }
        0
    });
    // The engine has taken in all that it will when the queue stays full.
    let mut sent = 0;
    while taken.recv_timeout(Duration::from_millis(200)).is_ok() {
        sent += 1;
    }
    assert!(sent <= concurrency + record_queue + BATCHES + 1, "{sent}");
    assert_eq!(work.begun.load(Ordering::Relaxed), concurrency + record_queue);
    drop(taken);
    let ends = ends(records).await;
    assert_eq!(ends.len() as u64, reader.join().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_stop_reaches_every_line_that_was_read() {
    for shuffle in [None, Some(1000)] {
        for read in [100, 700, 1000] {
            let shuffle = shuffle.map(|window| Shuffle::new(window, 1));
            let mut engine = shuffled_engine(3, 8, shuffle);
            for number in 1..=read {
                assert!(engine.lines.take(line(number, "hang")));
            }
            assert!(engine.lines.before_wait());
            settle().await;
            engine.stop.send(Stop::Gently).unwrap();
            let ends = ends(engine.records).await;
            assert_eq!(ends.keys().copied().collect::<Vec<_>>(), (1..=read).collect::<Vec<_>>());
            assert!(ends.values().all(|end| *end == [Some(Kind::Interrupted)]), "{ends:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_output_keeps_no_stop_waiting_for_ever() {
    let mut engine = engine(3, 1);
    engine.read((1..=10).map(|number| (number, "hang")));
    engine.stop.send(Stop::Gently).unwrap();
    engine.ends_without_a_reader().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_that_waits_for_a_line() {
    let mut engine = engine(2, 4);
    engine.read([(1, "hang")]);
    engine.ends_without_a_reader().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_that_waits_for_a_permit() {
    let mut engine = engine(1, 4);
    engine.read([(1, "hang"), (2, "hang")]);
    engine.ends_without_a_reader().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_that_waits_for_its_last_lines() {
    let mut engine = engine(2, 4);
    engine.read([(1, "hang")]);
    engine.lines = queue(1, None).0;
    engine.ends_without_a_reader().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_in_its_grace() {
    let mut engine = engine(2, 4);
    engine.read([(1, "hang")]);
    settle().await;
    engine.stop.send(Stop::Gently).unwrap();
    engine.ends_without_a_reader().await;
}

impl Engine {
    /// Reads these lines, one at a time.
    fn read<'a>(&mut self, lines: impl IntoIterator<Item = (u64, &'a str)>) {
        for (number, text) in lines {
            assert!(self.lines.after_wait());
            assert!(self.lines.take(line(number, text)));
            assert!(self.lines.before_wait());
        }
    }

    async fn ends_without_a_reader(self) {
        settle().await;
        assert!(!self.sweep.is_finished());
        drop(self.records);
        timeout(GRACE / 4, self.sweep).await.expect("it ends").unwrap();
    }
}

/// Where time is made up it stands still until everybody waits, so that this is long enough for
/// whatever can happen.
async fn settle() {
    sleep(GRACE / 4).await;
}
