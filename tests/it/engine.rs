//! The engine by itself, with work that is made up.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use tlsweep::failure::{Failure, Kind};
use tlsweep::feed::input::{Line, Place};
use tlsweep::feed::queue::{LineSender, queue};
use tlsweep::feed::selection::Targets;
use tlsweep::feed::shuffle::Shuffle;
use tlsweep::pace::permit::{Permit, Permits};
use tlsweep::report::output::queue::{Encoding, RecordReceiver, Room, queue as record_queue};
use tlsweep::report::output::{Batch, Format};
use tlsweep::report::record::Record;
use tlsweep::report::status::Status;
use tlsweep::sweep::{Settings, Stop, Work, sweep};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
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

/// Takes note of how each line ended, and writes a byte for each.
#[derive(Default)]
struct Noted(Mutex<BTreeMap<u64, Vec<Option<Kind>>>>);

impl Format for Noted {
    fn append(&self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let end = record.error.as_ref().map(|failure| failure.kind);
        self.0.lock().unwrap().entry(record.line).or_default().push(end);
        out.push(b'.');
        Ok(())
    }
}

/// Several loops that share lines and permits, each with a shard of its own.
struct Engine {
    work: Arc<MadeUp>,
    lines: LineSender,
    records: RecordReceiver,
    noted: Arc<Noted>,
    stop: watch::Sender<Stop>,
    sweep: JoinHandle<()>,
}

/// Batches of lines that the queue takes before it is full.
const BATCHES: usize = 16;

/// How many loops there are: what is promised of one holds for several.
const LOOPS: [usize; 3] = [1, 2, 4];

fn engine(loops: usize, concurrency: usize, shard: usize) -> Engine {
    shuffled_engine(loops, concurrency, shard, None)
}

fn shuffled_engine(
    loops: usize,
    concurrency: usize,
    shard: usize,
    shuffle: Option<Shuffle>,
) -> Engine {
    let work = Arc::new(MadeUp::default());
    let (lines, line_queue) = queue(64 * BATCHES, shuffle);
    let noted = Arc::new(Noted::default());
    let status = Arc::new(Status::default());
    let encoding = Encoding {
        format: Arc::clone(&noted) as Arc<dyn Format>,
        leaves_interrupted: false,
        status: Arc::clone(&status),
    };
    let room = Room { bytes: NonZero::new(1 << 20).unwrap(), targets: some(shard) };
    let (senders, records) = record_queue(some(loops), room, encoding);
    let (stop, stopping) = watch::channel(Stop::No);
    let settings = Settings { permits: Permits::new(some(concurrency)), grace: GRACE, status };
    let mut sweeps = JoinSet::new();
    for sender in senders {
        let (work, settings) = (Arc::clone(&work), settings.clone());
        sweeps.spawn(sweep(work, settings, line_queue.clone(), sender, stopping.clone()));
    }
    let sweep = tokio::spawn(async move {
        while let Some(ended) = sweeps.join_next().await {
            ended.unwrap();
        }
    });
    Engine { work, lines, records, noted, stop, sweep }
}

fn some(number: usize) -> NonZero<usize> {
    NonZero::new(number).unwrap()
}

fn line(number: u64, text: &str) -> Line {
    Line { place: Place { line: number, number }, text: Ok(text.to_owned()) }
}

/// How each line ended, by its number.
async fn ends(mut records: RecordReceiver, noted: &Noted) -> BTreeMap<u64, Vec<Option<Kind>>> {
    let (mut batch, mut written) = (Batch::default(), 0);
    loop {
        let goes_on = records.ready().await;
        while records.take(&mut batch).unwrap() {
            written += batch.text().len();
            batch.clear();
        }
        if !goes_on {
            let ends = noted.0.lock().unwrap().clone();
            assert_eq!(ends.values().map(Vec::len).sum::<usize>(), written, "all is handed over");
            return ends;
        }
    }
}

#[tokio::test]
async fn a_panic_is_a_record() {
    for loops in LOOPS {
        let mut engine = engine(loops, 2, 8);
        engine.read([(1, "a"), (2, "panic"), (3, "b")]);
        drop(engine.lines);
        let ends = ends(engine.records, &engine.noted).await;
        assert_eq!(ends[&2], [Some(Kind::Internal)]);
        assert_eq!((&ends[&1], &ends[&3], ends.len()), (&vec![None], &vec![None], 3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_line_has_one_end_however_many_loops_there_are() {
    const LINES: u64 = 20_000;
    for loops in LOOPS {
        let Engine { mut lines, records, noted, stop: _stop, .. } = engine(loops, 50, 8);
        let reader = std::thread::spawn(move || {
            for number in 1..=LINES {
                let text = if number % 1000 == 0 { "panic" } else { "a" };
                assert!(lines.take(line(number, text)));
            }
        });
        let ends = ends(records, &noted).await;
        reader.join().unwrap();
        assert_eq!(ends.len() as u64, LINES);
        for (number, end) in ends {
            let expected = (number % 1000 == 0).then_some(Kind::Internal);
            assert_eq!(end, [expected], "line {number}, {loops} loops");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stop_at_any_moment_costs_no_line_and_doubles_none() {
    for loops in LOOPS {
        for so_many in [1, 100, 5000] {
            let Engine { work, mut lines, records, noted, stop, .. } = engine(loops, 20, 4);
            let reader = std::thread::spawn(move || {
                let mut taken = 0;
                // The queue does not end before the reader does, so it refuses nothing.
                while lines.goes_on() {
                    let text = if taken < 10 { "hang" } else { "a" };
                    assert!(lines.take(line(taken + 1, text)));
                    taken += 1;
                }
                taken
            });
            let stopping = tokio::spawn(async move {
                while work.begun.load(Ordering::Relaxed) < so_many {
                    tokio::task::yield_now().await;
                }
                stop.send(Stop::Gently).unwrap();
                stop
            });
            let ends = ends(records, &noted).await;
            let _stop = stopping.await.unwrap();
            let taken = reader.join().unwrap();
            assert_eq!(ends.keys().copied().collect::<Vec<_>>(), (1..=taken).collect::<Vec<_>>());
            assert!(ends.values().all(|end| end.len() == 1), "{loops} loops, {so_many}");
        }
    }
}

#[tokio::test]
async fn a_stop_ends_what_hangs_and_what_was_queued() {
    for loops in LOOPS {
        let mut engine = engine(loops, 3, 8);
        engine.read([(1, "a"), (2, "hang"), (3, "hang"), (4, "hang"), (5, "b"), (6, "c")]);
        engine.stop.send(Stop::Gently).unwrap();
        let ends = ends(engine.records, &engine.noted).await;
        let interrupted: Vec<_> = ends.iter().filter(|(_, end)| **end != [None]).collect();
        assert_eq!(ends.len(), 6);
        assert!(interrupted.iter().all(|(_, end)| **end == [Some(Kind::Interrupted)]), "{ends:?}");
        assert!(interrupted.len() >= 3, "{ends:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_does_not_wait_for_the_grace() {
    for loops in LOOPS {
        let mut engine = engine(loops, 1, 8);
        engine.read([(1, "hang")]);
        settle().await;
        let stopped = Instant::now();
        engine.stop.send(Stop::Gently).unwrap();
        settle().await;
        assert!(!engine.sweep.is_finished(), "the grace is not over");
        engine.stop.send(Stop::Now).unwrap();
        let ends = ends(engine.records, &engine.noted).await;
        assert_eq!(ends[&1], [Some(Kind::Interrupted)]);
        assert!(stopped.elapsed() < GRACE);
    }
}

#[tokio::test]
async fn a_gone_sender_of_stop_is_no_stop() {
    for loops in LOOPS {
        let mut engine = engine(loops, 1, 8);
        engine.read([(1, "a")]);
        drop((engine.stop, engine.lines));
        assert_eq!(ends(engine.records, &engine.noted).await[&1], [None]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_reads_so_nobody_dials() {
    let (concurrency, shard) = (10, 4);
    for loops in LOOPS {
        let Engine { work, mut lines, records, noted, sweep: _sweep, stop: _stop } =
            engine(loops, concurrency, shard);
        let (report, taken) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            for number in 1.. {
                let is_taken = lines.take(line(number, "a")) && lines.before_wait();
                if !is_taken || report.send(()).is_err() {
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
        let most = concurrency + loops * shard;
        assert!(sent <= most + BATCHES + 1, "{sent}, {loops} loops");
        // Where all permits wait at one full shard, the others have room left.
        let begun = work.begun.load(Ordering::Relaxed);
        assert!((concurrency + shard..=most).contains(&begun), "{begun}, {loops} loops");
        drop(taken);
        let ends = ends(records, &noted).await;
        assert_eq!(ends.len() as u64, reader.join().unwrap());
    }
}

#[tokio::test]
async fn a_shard_is_full_by_bytes_as_well() {
    let bytes = |length: usize| Room { bytes: some(length), targets: some(100) };
    for (room, fitting) in [(bytes(1), 1), (bytes(5), 5), (bytes(100), 100), (bytes(101), 100)] {
        let encoding = Encoding {
            format: Arc::new(Noted::default()),
            leaves_interrupted: false,
            status: Arc::default(),
        };
        let (mut senders, mut records) = record_queue(some(1), room, encoding);
        let sender = senders.remove(0);
        let record = record(&line(1, "a"));
        let mut sent = 0;
        while sender.send(std::slice::from_ref(&record)).now_or_never() == Some(true) {
            sent += 1;
        }
        assert_eq!(sent, fitting, "{room:?}");
        // As soon as they are taken there is room again.
        let mut batch = Batch::default();
        assert!(records.ready().await && records.take(&mut batch).unwrap());
        assert_eq!(batch.text().len(), fitting);
        assert_eq!(sender.send(std::slice::from_ref(&record)).now_or_never(), Some(true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_reaches_every_line_that_was_read() {
    for (loops, shuffle) in LOOPS.into_iter().flat_map(|n| [(n, None), (n, Some(1000))]) {
        for read in [100, 700, 1000] {
            let shuffle = shuffle.map(|window| Shuffle::new(window, 1));
            let mut engine = shuffled_engine(loops, 3, 8, shuffle);
            for number in 1..=read {
                assert!(engine.lines.take(line(number, "hang")));
            }
            assert!(engine.lines.before_wait());
            settle().await;
            engine.stop.send(Stop::Gently).unwrap();
            let ends = ends(engine.records, &engine.noted).await;
            assert_eq!(ends.keys().copied().collect::<Vec<_>>(), (1..=read).collect::<Vec<_>>());
            assert!(ends.values().all(|end| *end == [Some(Kind::Interrupted)]), "{ends:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_output_keeps_no_stop_waiting_for_ever() {
    for loops in LOOPS {
        let mut engine = engine(loops, 3, 1);
        engine.read((1..=10).map(|number| (number, "hang")));
        engine.stop.send(Stop::Gently).unwrap();
        engine.ends_without_a_reader().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_that_waits_for_a_line() {
    for loops in LOOPS {
        let mut engine = engine(loops, 2, 4);
        engine.read([(1, "hang")]);
        engine.ends_without_a_reader().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_that_waits_for_a_permit() {
    for loops in LOOPS {
        let mut engine = engine(loops, 1, 4);
        engine.read([(1, "hang"), (2, "hang")]);
        engine.ends_without_a_reader().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_that_waits_for_its_last_lines() {
    for loops in LOOPS {
        let mut engine = engine(loops, 2, 4);
        engine.read([(1, "hang")]);
        engine.lines = queue(1, None).0;
        engine.ends_without_a_reader().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_that_waits_for_room() {
    for loops in LOOPS {
        let mut engine = engine(loops, 5, 1);
        engine.read((1..=12).map(|number| (number, "a")));
        engine.ends_without_a_reader().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_a_sweep_in_its_grace() {
    for loops in LOOPS {
        let mut engine = engine(loops, 2, 4);
        engine.read([(1, "hang")]);
        settle().await;
        engine.stop.send(Stop::Gently).unwrap();
        engine.ends_without_a_reader().await;
    }
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
