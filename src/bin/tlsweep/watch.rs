//! What the operator sees of a sweep besides its results: status lines, metrics, the summary.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tlsweep::deadline::{Clock, within};
use tlsweep::escape::{escaped, shown};
use tlsweep::report::build::Setup;
use tlsweep::report::metrics::exposition;
use tlsweep::report::output::stream::{sync, write_most};
use tlsweep::report::output::{Format, Layout, Observed};
use tlsweep::report::status::{Moment, Process, Status};
use tlsweep::report::summary::Document;
use tlsweep::report::watched::Watched;
use tokio::signal::unix::Signal;
use tokio::sync::oneshot;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::cli::{Cli, REPORT};
use crate::drawing::Drawing;
use crate::exit::Exit;
use crate::preflight::{memory, open_descriptors};
use crate::replaced::Replaced;
use crate::stdio::is_reader_gone;
use crate::{term, threads, version};

/// How long the end of a run waits for a status line to be written, which may go to a pipe that nobody
/// reads.
const LAST_REPORT: Duration = Duration::from_secs(1);
/// Between two status lines in a file, unless told otherwise.
const FILE_INTERVAL: Duration = Duration::from_secs(10);
/// Between two updates of the metrics, unless told otherwise: that of Prometheus' own scrapes.
const METRICS_INTERVAL: Duration = Duration::from_secs(15);

/// What to report, and where.
#[derive(Debug)]
pub(crate) struct WantedReports {
    /// Between two status lines.
    pub(crate) status: Option<Duration>,
    /// Where they go; `None`: stderr.
    pub(crate) status_file: Option<PathBuf>,
    pub(crate) metrics: Option<PathBuf>,
    /// Whether each target has metrics.
    pub(crate) of_targets: bool,
    pub(crate) summary: Option<PathBuf>,
    pub(crate) report: Option<PathBuf>,
    /// How to print the report on stdout, if it is to be there.
    pub(crate) printed: Option<Layout>,
}

impl WantedReports {
    /// What the command line asks for.
    ///
    /// # Errors
    /// `--format` does not go with the other flags.
    pub(crate) fn of(cli: &mut Cli) -> Result<Self> {
        let is_printed = cli.output.format(cli.targets.is_one())? == REPORT;
        let printed = is_printed.then(|| cli.output.layout(false));
        let operator = &mut cli.operator;
        Ok(Self {
            status: operator.status_interval(),
            status_file: operator.status_file.take(),
            metrics: operator.metrics.take(),
            of_targets: operator.metrics_targets,
            summary: operator.summary.take(),
            report: operator.report.take(),
            printed,
        })
    }
}

/// Where to write what, and how often.
pub(crate) struct Reports {
    /// Where status lines go; `None`: stderr.
    lines: Option<Lines>,
    /// Whether status lines are written without a SIGUSR1.
    has_lines: bool,
    /// Between two reports.
    interval: Option<Duration>,
    metrics: Option<Replaced>,
    watched: Option<Arc<Mutex<Watched>>>,
    summary: Option<Replaced>,
    /// For the summary; `None` when nothing is dialled.
    setup: Option<Setup>,
    drawing: Drawing,
}

impl Reports {
    /// Takes in how the sweep is set up, if there is to be a summary that says so.
    pub(crate) fn describe(&mut self, setup: impl FnOnce() -> Setup) {
        self.setup = self.summary.is_some().then(setup);
    }

    /// `format`, and whatever else is to see the records.
    pub(crate) fn observed(&self, format: Box<dyn Format>) -> Box<dyn Format> {
        let format = self.drawing.observed(format);
        match self.watched.clone() {
            Some(watched) => Observed::by(watched, Watched::add, format),
            None => format,
        }
    }

    /// Opens the files that are named.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn open(wanted: WantedReports) -> Result<Self> {
        let WantedReports { status, status_file, metrics, of_targets, summary, report, printed } =
            wanted;
        Ok(Self {
            lines: status_file.as_deref().map(Lines::open).transpose()?,
            interval: match (status, &status_file, &metrics) {
                (Some(every), ..) => Some(every),
                (None, Some(_), _) => Some(FILE_INTERVAL),
                (None, None, Some(_)) => Some(METRICS_INTERVAL),
                (None, None, None) => None,
            },
            has_lines: status.is_some() || status_file.is_some(),
            metrics: metrics.map(Replaced::at).transpose()?,
            watched: of_targets.then(Arc::default),
            summary: summary.map(Replaced::at).transpose()?,
            setup: None,
            drawing: Drawing::new(report.map(Replaced::at).transpose()?, printed),
        })
    }
}

/// Reports on a sweep for as long as it goes on.
pub(crate) struct Watch {
    asked: Signal,
    ticks: Option<Interval>,
    has_lines: bool,
    summary: Option<Replaced>,
    setup: Option<Setup>,
    drawing: Drawing,
    sources: Arc<Sources>,
    /// To the thread that writes.
    reports: SyncSender<Due>,
    /// Resolves when what was last given to that thread is written.
    writing: Option<oneshot::Receiver<()>>,
}

/// What is to be written now.
struct Due {
    line: bool,
    metrics: bool,
    written: oneshot::Sender<()>,
}

/// What a report is made of, and where it goes. A thread of its own writes it, so that a status file that
/// is a pipe without a reader does not hold up the sweep.
struct Sources {
    status: Arc<Status>,
    /// How many lookups of names wait or are in flight.
    lookups: Box<dyn Fn() -> usize + Send + Sync>,
    clock: Clock,
    /// `None`: stderr.
    lines: Option<Mutex<Lines>>,
    metrics: Option<Replaced>,
    watched: Option<Arc<Mutex<Watched>>>,
    /// Whether somebody has heard that there are lines, or metrics, that could not be written.
    has_said: [AtomicBool; 2],
}

/// A file that status lines are appended to.
struct Lines {
    file: File,
    name: String,
    /// Whether it ends with a part of a line.
    is_torn: bool,
    /// Whether a line is missing.
    has_gap: bool,
}

impl Watch {
    /// Reports on what `status` counts, and whenever it is `asked` to.
    ///
    /// # Errors
    /// The metrics cannot be written, or there is no thread to write on.
    pub(crate) fn new(
        reports: Reports,
        asked: Signal,
        (status, lookups, clock): (Arc<Status>, Box<dyn Fn() -> usize + Send + Sync>, Clock),
    ) -> Result<Self> {
        let lines = reports.lines.map(Mutex::new);
        let (metrics, watched, has_said) = (reports.metrics, reports.watched, Default::default());
        let sources =
            Arc::new(Sources { status, lookups, clock, lines, metrics, watched, has_said });
        sources.write_metrics(None)?;
        let ticks = reports.interval.map(|interval| {
            let mut ticks = interval_at(Instant::now() + interval, interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let (due, all_due) = sync_channel::<Due>(1);
        let writer = Arc::clone(&sources);
        threads::spawn("reports", move || {
            for Due { line, metrics, written } in all_due {
                let [of_lines, of_metrics] = &writer.has_said;
                if line {
                    say_once(writer.write_line(), of_lines);
                }
                if metrics {
                    say_once(writer.write_metrics(None), of_metrics);
                }
                // The sweep may have ended without waiting for this.
                let _awaited = written.send(());
            }
        })?;
        Ok(Self {
            asked,
            ticks,
            has_lines: reports.has_lines,
            summary: reports.summary,
            setup: reports.setup,
            drawing: reports.drawing,
            sources,
            reports: due,
            writing: None,
        })
    }

    /// Writes what is due and what is asked for until it is dropped.
    pub(crate) async fn keep_up(&mut self) {
        loop {
            let ticks = async {
                match &mut self.ticks {
                    Some(ticks) => ticks.tick().await,
                    None => std::future::pending().await,
                }
            };
            let asked = tokio::select! {
                _ = ticks => false,
                _ = self.asked.recv() => true,
            };
            self.write(asked || self.has_lines, !asked).await;
        }
    }

    /// Writes the last status line, if there were to be any.
    pub(crate) async fn last_line(&mut self) {
        let is_free = match self.writing.take() {
            Some(writing) => within(LAST_REPORT, writing).await.is_some(),
            None => true,
        };
        if is_free && self.has_lines {
            // If nobody reads the line by then, the run ends without it.
            let _taken = within(LAST_REPORT, self.write(true, false)).await;
        }
    }

    /// Writes the summary, the page and the last metrics, and returns the exit code: one of them that
    /// cannot be written makes the sweep incomplete.
    pub(crate) fn end(self, exit: Exit) -> Exit {
        let summarized = self.summary.map_or(Ok(()), |file| {
            let arguments = std::env::args_os();
            let moment = self.sources.moment();
            let document = Document {
                version: version::VERSION,
                build: version::build(),
                setup: self.setup,
                arguments: arguments.map(|text| escaped(&text.to_string_lossy())).collect(),
                start: (moment.time - moment.elapsed).into(),
                end: moment.time.into(),
                elapsed: moment.elapsed.as_secs_f64(),
                exit_code: exit.code(),
                summary: &self.sources.status.summary(),
                peak_rss: memory("VmHWM:"),
            };
            let mut text = serde_json::to_vec_pretty(&document)?;
            text.push(b'\n');
            file.replace(&text)
        });
        let metered = self.sources.write_metrics(Some(exit.code()));
        let [printed, page] = self.drawing.draw(exit);
        let reports = [summarized, printed, page, metered, self.sources.end_lines()];
        let exit = reports.into_iter().fold(exit, |exit, report| match report {
            Ok(()) => exit,
            Err(error) => {
                term::error(&error);
                exit.without_report()
            }
        });
        if self.sources.has_gap() { exit.without_report() } else { exit }
    }

    async fn write(&mut self, line: bool, metrics: bool) {
        let (written, writing) = oneshot::channel();
        // The queue has room, because every report is awaited before the next one is sent.
        if self.reports.try_send(Due { line, metrics, written }).is_ok() {
            // Its sender is dropped unused only if the thread panicked, which was reported.
            let _written = self.writing.insert(writing).await;
        }
        self.writing = None;
    }
}

impl Sources {
    fn write_line(&self) -> Result<()> {
        let mut line = serde_json::to_vec(&self.status.line(&self.moment()))?;
        line.push(b'\n');
        match &self.lines {
            None => term::say(&line),
            Some(file) => {
                file.lock().unwrap_or_else(PoisonError::into_inner).add(&line)?;
            }
        }
        Ok(())
    }

    /// Whether a status line is missing in the file. One that is still being written is none that was
    /// refused.
    fn has_gap(&self) -> bool {
        let lines = self.lines.as_ref().and_then(|lines| lines.try_lock().ok());
        lines.is_some_and(|lines| lines.has_gap)
    }

    /// Makes sure of the status lines, unless the last one is still being written: nobody may be there to
    /// take it.
    fn end_lines(&self) -> Result<()> {
        let lines = self.lines.as_ref().and_then(|lines| lines.try_lock().ok());
        lines.map_or(Ok(()), |lines| lines.named(sync(&lines.file)))
    }

    fn write_metrics(&self, ended: Option<u8>) -> Result<()> {
        let Some(file) = &self.metrics else { return Ok(()) };
        let text = {
            let watched = self.watched.as_ref();
            let watched = watched.map(|all| all.lock().unwrap_or_else(PoisonError::into_inner));
            exposition(&self.status, &self.moment(), ended, watched.as_deref())
        };
        file.replace(text.as_bytes())
    }

    fn moment(&self) -> Moment {
        Moment {
            time: self.clock.now(),
            elapsed: self.clock.elapsed(),
            process: Process {
                resolver_queue: (self.lookups)(),
                rss: memory("VmRSS:"),
                descriptors: open_descriptors(),
            },
        }
    }
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let name = shown(path);
        let file = File::options().append(true).create(true).open(path);
        let file = file.with_context(|| format!("cannot write {name}"))?;
        Ok(Self { file, name, is_torn: false, has_gap: false })
    }

    /// Appends a line, after the end of one that was torn off by a full disk.
    fn add(&mut self, line: &[u8]) -> Result<()> {
        let mut rest = if self.is_torn { [b"\n", line].concat() } else { line.to_owned() };
        let (written, result) = write_most(&mut self.file, &rest);
        rest.truncate(written);
        self.is_torn = rest.last().map_or(self.is_torn, |last| *last != b'\n');
        // Who does not read on misses nothing.
        self.has_gap |= result.as_ref().is_err_and(|error| !is_reader_gone(error));
        self.named(result)
    }

    fn named(&self, written: io::Result<()>) -> Result<()> {
        written.with_context(|| format!("cannot write to {}", self.name))
    }
}

/// A disk that is full now may stay so for the whole sweep.
fn say_once(written: Result<()>, has_said: &AtomicBool) {
    if let Err(error) = written
        && !has_said.swap(true, Ordering::Relaxed)
    {
        term::error(&error);
    }
}
