//! The engine by itself, with work that is made up.

use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tlsweep::failure::{Failure, Kind};
use tlsweep::feed::input::{Line, Place};
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
    lines: mpsc::Sender<Line>,
    records: mpsc::Receiver<Vec<Record>>,
    stop: watch::Sender<Stop>,
    sweep: JoinHandle<()>,
}

fn engine(concurrency: usize, queue: usize) -> Engine {
    let work = Arc::new(MadeUp::default());
    let (lines, line_queue) = mpsc::channel(queue);
    let (record_queue, records) = mpsc::channel(queue);
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
    let engine = engine(2, 8);
    for (number, text) in [(1, "a"), (2, "panic"), (3, "b")] {
        engine.lines.send(line(number, text)).await.unwrap();
    }
    drop(engine.lines);
    let ends = ends(engine.records).await;
    assert_eq!(ends[&2], [Some(Kind::Internal)]);
    assert_eq!((&ends[&1], &ends[&3], ends.len()), (&vec![None], &vec![None], 3));
}

#[tokio::test]
async fn a_stop_ends_what_hangs_and_what_was_queued() {
    let engine = engine(3, 8);
    for (number, text) in [(1, "a"), (2, "hang"), (3, "hang"), (4, "hang"), (5, "b"), (6, "c")] {
        engine.lines.send(line(number, text)).await.unwrap();
    }
    engine.stop.send(Stop::Gently).unwrap();
    let ends = ends(engine.records).await;
    let interrupted: Vec<_> = ends.iter().filter(|(_, end)| **end != [None]).collect();
    assert_eq!(ends.len(), 6);
    assert!(interrupted.iter().all(|(_, end)| **end == [Some(Kind::Interrupted)]), "{ends:?}");
    assert!(interrupted.len() >= 3, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_does_not_wait_for_the_grace() {
    let engine = engine(1, 8);
    engine.lines.send(line(1, "hang")).await.unwrap();
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
    let engine = engine(1, 8);
    drop(engine.stop);
    engine.lines.send(line(1, "a")).await.unwrap();
    drop(engine.lines);
    assert_eq!(ends(engine.records).await[&1], [None]);
}

#[tokio::test]
async fn nobody_reads_so_nobody_dials() {
    let (concurrency, queue) = (10, 4);
    let engine = engine(concurrency, queue);
    let mut sent = 0;
    // The engine has taken in all it will when the queue stays full.
    while let Ok(place) = timeout(Duration::from_millis(200), engine.lines.reserve()).await {
        sent += 1;
        place.unwrap().send(line(sent, "a"));
    }
    assert!(sent as usize <= concurrency + 2 * queue + 1, "{sent}");
    assert_eq!(engine.work.begun.load(Ordering::Relaxed), concurrency + queue);
    drop(engine.lines);
    assert_eq!(ends(engine.records).await.len(), sent as usize);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_that_waits_for_a_line() {
    let engine = engine(2, 4);
    engine.lines.send(line(1, "hang")).await.unwrap();
    engine.ends_without_a_reader().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_that_waits_for_a_turn() {
    let engine = engine(1, 4);
    for number in 1..=2 {
        engine.lines.send(line(number, "hang")).await.unwrap();
    }
    engine.ends_without_a_reader().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_that_waits_for_its_last_lines() {
    let mut engine = engine(2, 4);
    engine.lines.send(line(1, "hang")).await.unwrap();
    engine.lines = mpsc::channel(1).0;
    engine.ends_without_a_reader().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_in_its_grace() {
    let engine = engine(2, 4);
    engine.lines.send(line(1, "hang")).await.unwrap();
    settle().await;
    engine.stop.send(Stop::Gently).unwrap();
    engine.ends_without_a_reader().await;
}

impl Engine {
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
