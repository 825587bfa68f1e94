//! `--from`: records of earlier sweeps instead of dials.

use std::io;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use anyhow::Result;
use tlsweep::config;
use tlsweep::deadline::{Clock, within};
use tlsweep::feed::extent::Extent;
use tlsweep::feed::shard::Shard;
use tlsweep::report::baseline::Baseline;
use tlsweep::report::output::queue::{Encoding, Room, queue as record_queue};
use tlsweep::report::output::{Format, Sink, write_all};
use tlsweep::report::replay::{Next, Records};
use tlsweep::report::review::Review;
use tlsweep::report::status::Status;
use tokio::runtime::Handle;
use tokio::signal::unix::Signal;

use crate::cli::Cli;
use crate::destination::Destination;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::watch::{self, Reports, Watch};
use crate::{baseline, stdio, term, threads};

/// A replay that can begin.
pub(crate) struct Replay {
    rewriting: Rewriting,
    /// What people call the sink.
    output: String,
    baseline: Option<Arc<Baseline>>,
    progress: Progress,
    reports: Reports,
    quiet: bool,
}

/// What reads, judges and writes the records, on a thread of its own.
struct Rewriting {
    records: Records,
    review: Review,
    format: Box<dyn Format>,
    sink: Box<dyn Sink>,
    status: Arc<Status>,
    quiet: bool,
}

/// How the reading ended, unless what is written cannot be.
enum Ended {
    Whole,
    Stopped,
    Unreadable(anyhow::Error),
}

impl Replay {
    /// Opens what `cli` names.
    ///
    /// # Errors
    /// What cannot be read or written.
    pub(crate) fn plan(mut cli: Cli) -> Result<Self> {
        let quiet = cli.output.quiet;
        if cli.output.file().is_none() {
            stdio::check_stdout()?;
        }
        let (review, baseline) = baseline::review(&mut cli)?;
        let files = std::mem::take(&mut cli.targets.from);
        if files.iter().any(|path| path == Path::new("-")) {
            stdio::check_stdin()?;
        }
        let records = Records::open(files, || Box::new(stdio::Patient(io::stdin())))?;
        let reports = Reports::open(watch::WantedReports::of(&mut cli)?)?;
        let status = Arc::new(Status::new(Extent::default(), None));
        let progress = Progress::new(quiet || cli.output.is_piped(), Arc::clone(&status));
        let Destination { sink, format, name: output, .. } =
            Destination::open(&cli.output, false, (Shard::WHOLE, false), &progress)?;
        let format = reports.observed(format);
        let rewriting = Rewriting { records, review, format, sink, status, quiet };
        Ok(Self { rewriting, output, baseline, progress, reports, quiet })
    }

    /// Reads to the end, or until a signal.
    ///
    /// # Errors
    /// There is no thread to read on, or the metrics cannot be written.
    pub(crate) async fn run(self, mut signals: Signals, asked: Signal) -> Result<Exit> {
        let Self { rewriting, output, baseline, progress, reports, quiet } = self;
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place of a replay that reads the clock"
        )]
        let clock = Clock::start(SystemTime::now());
        let status = Arc::clone(&rewriting.status);
        let has_checks = rewriting.review.has_checks();
        let lookups = Box::new(|| 0);
        let mut watch = Watch::new(reports, asked, (Arc::clone(&status), lookups, clock))?;
        let runtime = Handle::current();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut ended = threads::run_apart("replay", move || rewriting.run(&runtime, &stopped))?;
        let (ended, signal) = tokio::select! {
            ended = &mut ended => (ended.ok(), None),
            signal = signals.next() => {
                stop.store(true, Ordering::Relaxed);
                // Reading may wait for ever, and so may writing.
                let ended = tokio::select! {
                    ended = within(config::GRACE, &mut ended) => ended.and_then(Result::ok),
                    _second = signals.next() => None,
                };
                (ended, Some(signal))
            }
            () = progress.show() => (None, None),
            () = watch.keep_up() => (None, None),
        };
        progress.clear();
        watch.last_line().await;
        if let (Some(baseline), Some(Ok(Ended::Whole))) = (baseline, &ended) {
            status.summary().set_missing(baseline.missing());
        }
        if !quiet && ended.is_some() {
            term::notice(status.last_line(clock.elapsed()));
        }
        let has_failed = status.summary().has_failed_checks();
        let exit = match (ended, signal) {
            (Some(Err(error)), signal) if stdio::is_reader_gone(&error) => {
                signal.unwrap_or(Exit::Complete)
            }
            (Some(Err(error)), _) => {
                let context = format!("cannot write to {output}");
                term::error(&anyhow::Error::new(error).context(context));
                Exit::Incomplete
            }
            (_, Some(signal)) => signal,
            (Some(Ok(Ended::Unreadable(error))), None) => {
                term::error(&error);
                Exit::Unusable
            }
            (Some(Ok(Ended::Whole)), None) if has_checks && has_failed => Exit::Met,
            (Some(Ok(Ended::Whole)), None) => Exit::Complete,
            // Its thread panicked, which was reported.
            (Some(Ok(Ended::Stopped)) | None, None) => Exit::Incomplete,
        };
        Ok(watch.end(exit))
    }
}

impl Rewriting {
    /// Reads on this thread, and writes on another.
    fn run(self, runtime: &Handle, stop: &AtomicBool) -> io::Result<Ended> {
        let Self { mut records, review, format, mut sink, status, quiet } = self;
        let encoding = Encoding {
            format: format.into(),
            leaves_interrupted: sink.leaves_interrupted(),
            status: Arc::clone(&status),
        };
        let (senders, lines) = record_queue(NonZero::<usize>::MIN, Room::OF_A_LOOP, encoding);
        let writing = move || write_all(lines, sink.as_mut(), &status);
        let written = threads::run_apart("output", writing).map_err(io::Error::other)?;
        let ended = loop {
            if stop.load(Ordering::Relaxed) {
                break Ended::Stopped;
            }
            match records.read_next() {
                Ok(Next::Target(mut of_target)) => {
                    of_target.iter_mut().for_each(|record| review.complete(record));
                    let sent = senders.iter().all(|s| runtime.block_on(s.send(&of_target)));
                    if !sent {
                        // The output says why it takes no more.
                        break Ended::Stopped;
                    }
                }
                Ok(Next::Torn(file)) if !quiet => term::notice(format_args!(
                    "the end of {file} is torn off: its last record is left out"
                )),
                Ok(Next::Torn(_)) => {}
                Ok(Next::End) => break Ended::Whole,
                Err(error) => break Ended::Unreadable(error.into()),
            }
        };
        drop(senders);
        // An error here means that the output's thread has panicked, which was reported.
        let written = runtime.block_on(written).map_err(io::Error::other)?;
        written.map(|()| ended)
    }
}
