//! One run: input thread, sweep, output thread, signals, exit code.

use std::fs::File;
use std::future::pending;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tlsweep::cert::Roots;
use tlsweep::config::{self, Config};
use tlsweep::deadline::{Clock, within};
use tlsweep::feed::input::{Input, Line};
use tlsweep::feed::resume::Done;
use tlsweep::feed::selection::{Selection, SelectionError};
use tlsweep::probe::Prober;
use tlsweep::report::check::Checks;
use tlsweep::report::output::{Format, Sink, write_all};
use tlsweep::report::record::Record;
use tlsweep::report::schema::schema;
use tlsweep::report::status::Status;
use tlsweep::sweep::{Settings, Stop, sweep};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::cli::Cli;
use crate::destination::Destination;
use crate::progress::Progress;
use crate::watch::Watch;
use crate::{demo, dry_run, preflight, roots, runtime, term};

/// How much longer than the grace the output may take to write what it was given.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Between two looks at a full queue of lines; fewer than it holds are taken out meanwhile.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// Every target has its line.
    Complete,
    /// Every target has its line, and some met a condition of `--fail-on`.
    Met,
    /// A flag, an input or an output file cannot be used.
    Unusable,
    /// The output could not be written, or our own machine failed some target.
    Incomplete,
    /// SIGINT, or `--max-time`.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// Runs what the command line asks for.
///
/// # Errors
/// Whatever made a sweep impossible before its first dial.
pub(crate) fn run(mut cli: Cli) -> Result<Exit> {
    preflight::bound_arenas();
    term::start_logs(cli.output.quiet, cli.output.verbose);
    term::bound_panic_reports();
    if cli.output.print_schema {
        return print(serde_json::to_string_pretty(&schema())?);
    }
    let runtime = runtime::start(cli.targets.is_one()).context("cannot start the runtime")?;
    let asked = runtime.block_on(async { Watch::listen() })?;
    let mut config = cli.config()?;
    let checks = cli.certificates.checks()?;
    let roots =
        roots::load(&cli.certificates.roots, cli.certificates.system_roots, cli.output.quiet)?;
    let limits = preflight::fit(&mut config);
    if cli.targets.dry_run {
        return print(dry_run::run(&mut cli, &config, limits)?);
    }
    if !cli.output.quiet {
        limits.iter().for_each(term::notice);
    }
    let exit = runtime.block_on(run_sweep(&mut cli, config, roots, checks, asked));
    // Nobody waits for a thread that is stuck in a read or a write.
    runtime.shutdown_background();
    exit
}

async fn run_sweep(
    cli: &mut Cli,
    config: Config,
    mut roots: Roots,
    checks: Checks,
    asked: Signal,
) -> Result<Exit> {
    let reports = cli.operator.reports()?;
    let (targets, files) = match demo::start(cli, &mut roots).await? {
        Some(targets) => (targets, Vec::new()),
        None => cli.targets.inputs()?,
    };
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    let clock = Clock::start(SystemTime::now());
    let open = || Input::open(targets.clone(), &files, || Box::new(io::stdin()));
    let input = open()?;
    let status = Arc::new(Status::new(input.position(), input.size()));
    let progress = Progress::new(cli.output.quiet, Arc::clone(&status));
    let settings = Settings {
        concurrency: config.concurrency,
        grace: config.grace,
        status: Arc::clone(&status),
    };
    let mut signals = Signals::new()?;
    let several = config.all_addresses;
    let prober = Prober::new(config, roots, checks, clock);
    let prober = Arc::new(prober.context("the TLS settings make no hello")?);
    let stdout = io::stdout().as_fd().try_clone_to_owned().context("cannot use stdout")?;
    let stdout = progress.around(File::from(stdout));
    let Destination { sink, format, mut done } = Destination::open(&cli.output, several, stdout)?;
    let selection = cli.targets.selection(cli.output.quiet);
    if done.count() > 0 {
        // What can be read twice is compared with the output before the first dial.
        if input.size().is_some() {
            selection.compare(open()?, &mut done)?;
        }
        if !cli.output.quiet {
            term::notice(format_args!("going on: {} targets are done already", done.count()));
        }
    }
    let watched = (Arc::clone(&status), Arc::clone(&prober), clock);
    let mut watch = Watch::new(reports, asked, watched, &progress)?;

    let (lines, line_queue) = mpsc::channel(config::LINE_QUEUE);
    let (records, record_queue) = mpsc::channel(config::RECORD_QUEUE);
    let (stop, stopping) = watch::channel(Stop::No);
    let input_ended = read_input(input, selection, done, lines, (stop.clone(), status.clone()));
    let written = write_output(record_queue, format, sink, Arc::clone(&status));

    // A task of its own runs where its tasks do; this one would be woken on another thread.
    let sweep = tokio::spawn(sweep(prober, settings, line_queue, records, stopping));
    let engine = async {
        // Should it panic, the output says how far it came, and the exit code that it is not whole.
        let ended = sweep.await.map_err(io::Error::other);
        written.await.map(|written| written.and(ended))
    };
    let (written, signal) = tokio::select! {
        ended = until_the_end(engine, &mut signals, &stop, cli) => ended,
        () = progress.show() => (None, None),
        () = watch.keep_up() => (None, None),
    };
    progress.clear();
    watch.last_line().await;
    let last_words = (!cli.output.quiet).then(|| status.summary().line(clock.elapsed()));
    let exit = conclude(written, signal, input_ended, &status, last_words);
    Ok(watch.end(exit))
}

/// Waits for the sweep, or for the people who want it to stop: the first signal asks, as does the
/// end of `--max-time`; the second ends what is in flight, and not even the last lines keep it
/// longer than a moment then. (`timeout` sends every signal twice, so a second one must not cost a
/// line.)
async fn until_the_end(
    engine: impl Future<Output = Result<io::Result<()>, oneshot::error::RecvError>>,
    signals: &mut Signals,
    stop: &watch::Sender<Stop>,
    cli: &Cli,
) -> (Option<io::Result<()>>, Option<Exit>) {
    tokio::pin!(engine);
    let time_is_up = async {
        match cli.targets.max_time {
            Some(limit) => _ = within(limit, pending::<()>()).await,
            None => pending().await,
        }
    };
    let signal = tokio::select! {
        written = &mut engine => return (written.ok(), None),
        signal = signals.next() => signal,
        () = time_is_up => Exit::Interrupted,
    };
    if !cli.output.quiet {
        let grace = humantime::format_duration(config::GRACE);
        term::notice(format_args!("stopping: {grace} for what is in flight; again: at once"));
    }
    stop.send_replace(Stop::Gently);
    let gently = tokio::select! {
        written = within(config::GRACE + LAST_LINES, &mut engine) => Some(written),
        _second = signals.next() => None,
    };
    let written = match gently {
        Some(written) => written,
        None => {
            stop.send_replace(Stop::Now);
            tokio::select! {
                written = within(LAST_LINES, &mut engine) => written,
                _third = signals.next() => None,
            }
        }
    };
    (written.and_then(Result::ok), Some(signal))
}

/// The exit code, and the last words on stderr.
fn conclude(
    written: Option<io::Result<()>>,
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
        if error.kind() == io::ErrorKind::BrokenPipe {
            return signal.unwrap_or(Exit::Complete);
        }
        let error = anyhow::Error::new(error);
        term::error(&error.context("cannot write the output, the sweep is not complete"));
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
        // Its thread panicked.
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

fn read_input(
    input: Input,
    selection: Selection,
    mut done: Done,
    lines: mpsc::Sender<Line>,
    (stop, status): (watch::Sender<Stop>, Arc<Status>),
) -> oneshot::Receiver<Result<(), SelectionError>> {
    let (ended, receiver) = oneshot::channel();
    thread::spawn(move || {
        let result = selection.send_all(input, &mut done, |line| {
            status.read(&line);
            send(&lines, line)
        });
        let is_other_list = matches!(result, Err(SelectionError::OtherList(_)));
        // Before the queue's end is seen, so that whoever sees it finds the result.
        let _nobody_asks = ended.send(result);
        if is_other_list {
            stop.send_replace(Stop::Gently);
        }
        drop(lines);
    });
    receiver
}

/// Sends a line; false when nobody receives any more. While the queue is full it looks again now
/// and then: being woken for every line that is taken out costs both sides a system call.
#[expect(clippy::disallowed_methods, reason = "no peer is waited for")]
fn send(lines: &mpsc::Sender<Line>, mut line: Line) -> bool {
    loop {
        line = match lines.try_send(line) {
            Ok(()) => return true,
            Err(TrySendError::Closed(_)) => return false,
            Err(TrySendError::Full(line)) => line,
        };
        thread::sleep(FULL_QUEUE_PAUSE);
    }
}

fn write_output(
    records: mpsc::Receiver<Vec<Record>>,
    mut format: Box<dyn Format>,
    mut sink: Box<dyn Sink>,
    status: Arc<Status>,
) -> oneshot::Receiver<io::Result<()>> {
    let (ended, receiver) = oneshot::channel();
    thread::spawn(move || {
        let result =
            write_all(records, format.as_mut(), sink.as_mut(), |target| status.count(target));
        let _nobody_asks = ended.send(result);
    });
    receiver
}

fn print(mut text: String) -> Result<Exit> {
    text.push('\n');
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        _ => Ok(Exit::Complete),
    }
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        // Heard once, it no longer kills: the write fails instead, as on a full disk.
        let _unread = listen(SignalKind::from_raw(libc::SIGXFSZ))?;
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}

impl Exit {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Met => 1,
            Self::Unusable => 2,
            Self::Incomplete => 3,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The same, unless a report on a sweep that is complete could not be written.
    pub(crate) fn unless_failed(self, report: Result<()>) -> Self {
        let Err(error) = report else { return self };
        term::error(&error);
        match self {
            Self::Complete | Self::Met => Self::Incomplete,
            other => other,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
