//! One run: the plan, the sweep with its threads for input and output, signals, the exit code.

use std::future::Future;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tlsweep::config;
use tlsweep::deadline::{Clock, within};
use tlsweep::feed::input::Line;
use tlsweep::feed::queue::{LineSender, queue};
use tlsweep::feed::selection::{SelectionError, Targets};
use tlsweep::pace::permit::Permits;
use tlsweep::probe::Prober;
use tlsweep::report::output::queue::{Encoding, Room, queue as record_queue};
use tlsweep::report::output::write_all;
use tlsweep::report::schema::{schema, schema_of};
use tlsweep::report::status::{Status, StatusLine};
use tlsweep::report::summary::Document;
use tlsweep::scan::Scan;
use tlsweep::sweep::{Settings, Stop, sweep};
use tokio::runtime::Handle;
use tokio::signal::unix::Signal;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{oneshot, watch};

use crate::cli::{Cli, SchemaOf};
use crate::exit::Exit;
use crate::hints::Hints;
use crate::plan::{Mode, Sweep};
use crate::signals::{Signals, listen_for_status};
use crate::watch::Watch;
use crate::{generate, preflight, runtime, stdio, term, threads, version};

/// What is said when a signal comes before the sweep begins.
const STOPPED_EARLY: &str = "stopped before the first dial";

/// How long the output may make no progress once the grace is over.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Runs what the command line asks for.
///
/// # Errors
/// The sweep could not start.
pub(crate) fn run(cli: Cli) -> Result<Exit> {
    preflight::bound_arenas();
    term::start_logs(cli.output.quiet, cli.output.verbose);
    term::bound_panic_reports();
    preflight::check()?;
    preflight::check_clock(now())?;
    let runtime = runtime::start().context("cannot start the runtime")?;
    let exit = runtime.block_on(run_until_stopped(cli));
    // Does not wait for threads that are blocked in a read or a write.
    runtime.shutdown_background();
    exit
}

/// Listens for signals first, because everything after that may take long.
async fn run_until_stopped(cli: Cli) -> Result<Exit> {
    let mut signals = Signals::listen(cli.targets.max_time)?;
    let asked = listen_for_status()?;
    let runtime = Handle::current();
    let quiet = cli.output.quiet;
    let now = now();
    let planned = threads::run_apart("plan", move || Mode::plan(cli, now, &runtime))?;
    let mode = tokio::select! {
        planned = planned => planned.context("a defect of tlsweep in reading the command line")??,
        stopped = signals.next() => return Ok(stopped_early(stopped, quiet)),
    };
    match mode {
        Mode::Sweep(plan) => run_sweep(*plan, signals, asked).await,
        Mode::Replay(plan) => plan.run(signals, asked).await,
        Mode::DryRun(plan) => print(move || plan.run(), signals).await,
        Mode::Version { in_full: false } => print(|| Ok(version::line()), signals).await,
        Mode::Version { in_full: true } => print(|| Ok(version::in_full()), signals).await,
        Mode::Generate(artifact) => print(move || generate::text(artifact), signals).await,
        Mode::Schema(of) => {
            let schema = match of {
                SchemaOf::Record => schema(),
                SchemaOf::Status => schema_of::<StatusLine>(),
                SchemaOf::Summary => schema_of::<Document<'_>>(),
            };
            print(move || Ok(serde_json::to_string_pretty(&schema)?), signals).await
        }
    }
}

/// A signal came before the sweep began.
fn stopped_early(stopped: Exit, quiet: bool) -> Exit {
    if !quiet {
        term::notice(STOPPED_EARLY);
    }
    stopped
}

/// Prints the result of `text`, followed by a newline.
async fn print(
    text: impl FnOnce() -> Result<String> + Send + 'static,
    mut signals: Signals,
) -> Result<Exit> {
    let printed = threads::run_apart("print", move || {
        let mut text = text()?;
        text.push('\n');
        Ok(match stdio::print(&text) {
            Ok(()) => Exit::Complete,
            Err(error) => {
                term::error(&anyhow::Error::new(error).context("cannot write to stdout"));
                Exit::Incomplete
            }
        })
    })?;
    tokio::select! {
        printed = printed => printed.context("a defect of tlsweep in what was to be printed")?,
        stopped = signals.next() => Ok(stopped),
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

async fn run_sweep(plan: Sweep, mut signals: Signals, asked: Signal) -> Result<Exit> {
    let Sweep { config, roots, review, expected, status, progress, reports, quiet, .. } = plan;
    let Sweep { input, selection, shuffle, mut done, format, mut sink, output, is_one, .. } = plan;
    let clock = Clock::start(now());
    let settings = Settings {
        permits: Permits::new(config.concurrency),
        grace: config.grace,
        status: Arc::clone(&status),
    };
    let loops = if is_one { NonZero::<usize>::MIN } else { runtime::loops(config.concurrency) };
    // It reads /etc/hosts and /etc/resolv.conf, which may take long or for ever.
    let prepared = threads::run_apart("resolver", move || Prober::new(config, roots, clock))?;
    let prober = tokio::select! {
        prepared = prepared => prepared.context("a defect of tlsweep in preparing the sweep")?,
        stopped = signals.next() => return Ok(stopped_early(stopped, quiet)),
    };
    let prober = prober.context("the TLS settings make no hello")?;
    let scan = Arc::new(Scan::new(prober, review));
    let scanning = Arc::clone(&scan);
    let lookups = Box::new(move || scanning.prober().lookups());
    let watched = (Arc::clone(&status), lookups as Box<_>, clock);
    let mut watch = Watch::new(reports, asked, watched)?;

    let (lines, line_queue) = queue(config::LINE_QUEUE, shuffle);
    let leaves_interrupted = sink.leaves_interrupted();
    let encoding = Encoding { format, leaves_interrupted, status: Arc::clone(&status) };
    let (senders, records) = record_queue(loops, Room::OF_A_LOOP, encoding);
    let (stop, stopping) = watch::channel(Stop::No);
    let lines = Counted { lines, status: Arc::clone(&status), hints: Hints::new(quiet) };
    let send_all = move |lines: &mut Counted| selection.send_all(input, &mut done, lines);
    let input_ended = lines.spawn(send_all, stop.clone())?;
    let counted = Arc::clone(&status);
    let written =
        threads::run_apart("output", move || write_all(records, sink.as_mut(), &counted))?;

    let sweeps = senders.into_iter().map(|records| {
        let (scan, settings) = (Arc::clone(&scan), settings.clone());
        sweep(scan, settings, line_queue.clone(), records, stopping.clone())
    });
    let swept = runtime::run_loops(sweeps.collect())?;
    drop((scan, line_queue, stopping));
    let engine = async {
        // The output is waited for even if a loop panicked, because it reports how far it came.
        // The exit code then says that the sweep is incomplete.
        let ended = swept.await;
        written.await.map(|written| written.and(ended))
    };
    let (written, signal) = tokio::select! {
        ended = until_the_end(engine, &mut signals, &stop, (&status, quiet)) => ended,
        () = progress.show() => (None, None),
        () = watch.keep_up() => (None, None),
    };
    progress.clear();
    watch.last_line().await;
    if let Some(baseline) = expected.filter(|_| signal.is_none()) {
        status.summary().set_missing(baseline.missing());
    }
    let last_words = (!quiet).then(|| status.last_line(clock.elapsed()));
    let exit = conclude((&output, written), signal, input_ended, &status, last_words);
    Ok(watch.end(exit))
}

/// Waits for the sweep to end or to be stopped. The first signal, or the end of `--max-time`,
/// stops the input. The second ends what is in flight. The third ends the process at once.
///
/// `timeout` sends every signal twice, so the second signal must not lose a line.
async fn until_the_end(
    engine: impl Future<Output = Result<io::Result<()>, oneshot::error::RecvError>>,
    signals: &mut Signals,
    stop: &watch::Sender<Stop>,
    (status, quiet): (&Status, bool),
) -> (Option<io::Result<()>>, Option<Exit>) {
    tokio::pin!(engine);
    let signal = tokio::select! {
        // An error means that the output thread panicked. The panic was already reported.
        written = &mut engine => return (written.ok(), None),
        signal = signals.next() => signal,
    };
    stop.send_replace(Stop::Gently);
    if !quiet {
        let grace = humantime::format_duration(config::GRACE);
        term::notice(format_args!("stopping: {grace} for what is in flight; again: at once"));
    }
    let gently = tokio::select! {
        written = while_lines_are_written(config::GRACE + LAST_LINES, &mut engine, status) => {
            Some(written)
        }
        _second = signals.next() => None,
    };
    let written = match gently {
        Some(written) => written,
        None => {
            stop.send_replace(Stop::Now);
            tokio::select! {
                written = while_lines_are_written(LAST_LINES, &mut engine, status) => written,
                _third = signals.next() => None,
            }
        }
    };
    (written.and_then(Result::ok), Some(signal))
}

/// Waits for the engine for `limit`, and after that for as long as the output makes progress: the
/// window of a shuffle may still hold a million lines. `None` means that progress stopped.
async fn while_lines_are_written<T>(
    mut limit: Duration,
    mut engine: impl Future<Output = T> + Unpin,
    status: &Status,
) -> Option<T> {
    loop {
        let before = (status.counts(), status.bytes_written());
        if let Some(ended) = within(limit, &mut engine).await {
            return Some(ended);
        }
        if (status.counts(), status.bytes_written()) == before {
            return None;
        }
        limit = LAST_LINES;
    }
}

/// Prints the last line on stderr and returns the exit code.
fn conclude(
    (output, written): (&str, Option<io::Result<()>>),
    signal: Option<Exit>,
    mut input_ended: oneshot::Receiver<Result<(), SelectionError>>,
    status: &Status,
    last_words: Option<String>,
) -> Exit {
    let Some(result) = written else {
        return signal.unwrap_or(Exit::Incomplete);
    };
    if let Some(line) = last_words {
        term::notice(line);
    }
    if let Err(error) = result {
        if stdio::is_reader_gone(&error) {
            return signal.unwrap_or(Exit::Complete);
        }
        let context = format!("cannot write to {output}, so the sweep is not complete");
        term::error(&anyhow::Error::new(error).context(context));
        return Exit::Incomplete;
    }
    if let Some(signal) = signal {
        return signal;
    }
    match input_ended.try_recv() {
        Ok(Err(error)) => {
            term::error(&error.into());
            return Exit::Unusable;
        }
        // The input thread panicked.
        Err(TryRecvError::Closed) => return Exit::Incomplete,
        Ok(Ok(())) | Err(TryRecvError::Empty) => {}
    }
    let summary = status.summary();
    if summary.is_incomplete() {
        return Exit::Incomplete;
    }
    match summary.has_failed_checks() {
        true => Exit::Met,
        false => Exit::Complete,
    }
}

/// Counts the lines that are read.
struct Counted {
    lines: LineSender,
    status: Arc<Status>,
    hints: Hints,
}

impl Counted {
    /// Takes what `send_all` reads, on a thread of its own. The result is how that came out.
    fn spawn(
        self,
        send_all: impl FnOnce(&mut Self) -> Result<(), SelectionError> + Send + 'static,
        stop: watch::Sender<Stop>,
    ) -> Result<oneshot::Receiver<Result<(), SelectionError>>> {
        let (ended, input_ended) = oneshot::channel();
        threads::spawn("input", move || self.take_all(send_all, ended, &stop))?;
        Ok(input_ended)
    }

    /// Takes what `send_all` reads. Says in `ended` how that came out, and stops a sweep that goes on
    /// with the output of another list.
    fn take_all(
        mut self,
        send_all: impl FnOnce(&mut Self) -> Result<(), SelectionError>,
        ended: oneshot::Sender<Result<(), SelectionError>>,
        stop: &watch::Sender<Stop>,
    ) {
        let result = send_all(&mut self);
        let is_other_list = matches!(result, Err(SelectionError::OtherList(_)));
        // Must precede the drop of the queue's end: when the queue ends, the result must be there. Sending
        // fails if the sweep was stopped and the receiver is gone, which does no harm.
        let _asked = ended.send(result);
        if is_other_list {
            stop.send_replace(Stop::Gently);
        }
    }
}

impl Targets for &mut Counted {
    fn take(&mut self, line: Line) -> bool {
        self.status.read(&line);
        self.hints.look_at(&line);
        self.lines.take(line)
    }

    fn goes_on(&self) -> bool {
        self.lines.goes_on()
    }

    fn before_wait(&mut self) -> bool {
        self.lines.before_wait()
    }

    fn after_wait(&mut self) -> bool {
        self.lines.after_wait()
    }
}
