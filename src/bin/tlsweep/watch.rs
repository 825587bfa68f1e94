//! What the operator sees of a sweep besides its results: status lines, metrics, the summary.

use std::fs::{self, File};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tlsweep::deadline::{Clock, within};
use tlsweep::probe::Prober;
use tlsweep::report::metrics::exposition;
use tlsweep::report::status::{Moment, Process, Status};
use tlsweep::report::summary::Document;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::preflight::open_descriptors;
use crate::progress::Progress;
use crate::replaced::Replaced;
use crate::run::Exit;
use crate::term;

/// How long the end waits for a report that nobody takes.
const LAST_REPORT: Duration = Duration::from_secs(1);

/// Where to write what, and how often.
pub(crate) struct Reports {
    /// Where status lines go; nothing: stderr.
    pub(crate) lines: Option<File>,
    /// Whether there are any that nobody asks for by a signal.
    pub(crate) has_lines: bool,
    /// Between two reports.
    pub(crate) interval: Option<Duration>,
    pub(crate) metrics: Option<Replaced>,
    pub(crate) summary: Option<Replaced>,
}

/// Reports on a sweep for as long as it goes on.
pub(crate) struct Watch {
    asked: Signal,
    ticks: Option<Interval>,
    has_lines: bool,
    summary: Option<Replaced>,
    desk: Arc<Desk>,
    /// What could not be awaited.
    writing: Option<JoinHandle<()>>,
}

/// What is shared with the threads that write: nobody else waits for a reader that does not read.
struct Desk {
    status: Arc<Status>,
    prober: Arc<Prober>,
    clock: Clock,
    lines: Mutex<Box<dyn Write + Send>>,
    metrics: Option<Replaced>,
    has_failed: AtomicBool,
}

impl Watch {
    /// Listens for SIGUSR1, which from now on does not end the process.
    ///
    /// # Errors
    /// The system does not let us.
    pub(crate) fn listen() -> Result<Signal> {
        signal(SignalKind::user_defined1()).context("cannot listen for SIGUSR1")
    }

    /// Reports on what `status` counts.
    ///
    /// # Errors
    /// The metrics cannot be written.
    pub(crate) fn new(
        reports: Reports,
        asked: Signal,
        (status, prober, clock): (Arc<Status>, Arc<Prober>, Clock),
        progress: &Progress,
    ) -> Result<Self> {
        let lines: Box<dyn Write + Send> = match reports.lines {
            Some(file) => Box::new(file),
            None => Box::new(progress.around(io::stderr())),
        };
        let (lines, metrics, has_failed) = (Mutex::new(lines), reports.metrics, false.into());
        let desk = Desk { status, prober, clock, lines, metrics, has_failed };
        desk.write_metrics(None)?;
        let ticks = reports.interval.map(|interval| {
            let mut ticks = interval_at(Instant::now() + interval, interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Ok(Self {
            asked,
            ticks,
            has_lines: reports.has_lines,
            summary: reports.summary,
            desk: Arc::new(desk),
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
            // A line that nobody takes is no reason to stay.
            let _taken = within(LAST_REPORT, self.write(true, false)).await;
        }
    }

    /// Writes what is to be said once the sweep is over; what it then ends with.
    pub(crate) fn end(self, exit: Exit) -> Exit {
        let summarized = self.summary.map_or(Ok(()), |file| {
            let arguments = std::env::args_os();
            let moment = self.desk.moment();
            let document = Document {
                version: env!("CARGO_PKG_VERSION"),
                arguments: arguments.map(|text| text.to_string_lossy().into_owned()).collect(),
                start: (moment.time - moment.elapsed).into(),
                end: moment.time.into(),
                elapsed: moment.elapsed.as_secs_f64(),
                exit_code: exit.code(),
                summary: &self.desk.status.summary(),
                peak_rss: memory("VmHWM:"),
            };
            let mut text = serde_json::to_vec_pretty(&document)?;
            text.push(b'\n');
            file.replace(&text)
        });
        let exit = exit.unless_failed(summarized);
        exit.unless_failed(self.desk.write_metrics(Some(exit.code())))
    }

    async fn write(&mut self, line: bool, metrics: bool) {
        let desk = Arc::clone(&self.desk);
        let writing = self.writing.insert(spawn_blocking(move || {
            if line {
                desk.say_once(desk.write_line());
            }
            if metrics {
                desk.say_once(desk.write_metrics(None));
            }
        }));
        let _ended = writing.await;
        self.writing = None;
    }
}

impl Desk {
    fn write_line(&self) -> Result<()> {
        let mut line = serde_json::to_vec(&self.status.line(&self.moment()))?;
        line.push(b'\n');
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.write_all(&line).context("cannot write a status line")
    }

    fn write_metrics(&self, ended: Option<u8>) -> Result<()> {
        let Some(file) = &self.metrics else { return Ok(()) };
        file.replace(exposition(&self.status, &self.moment(), ended).as_bytes())
    }

    fn moment(&self) -> Moment {
        Moment {
            time: self.clock.now(),
            elapsed: self.clock.elapsed(),
            process: Process {
                resolver_queue: self.prober.lookups(),
                rss: memory("VmRSS:"),
                descriptors: open_descriptors(),
            },
        }
    }

    /// A disk that is full now may stay so for the whole sweep.
    fn say_once(&self, written: Result<()>) {
        if let Err(error) = written
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            term::error(&error);
        }
    }
}

/// Bytes that the kernel counts under this name, where it does.
fn memory(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
