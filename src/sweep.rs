//! The engine: lines in, records out, one task a target.

use std::future::Future;
use std::num::NonZero;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::deadline::within;
use crate::failure::{Failure, Kind, Stage};
use crate::feed::input::Line;
use crate::feed::queue::LineReceiver;
use crate::pace::permit::{Permit, Permits};
use crate::report::record::Record;
use crate::report::status::Status;

/// Whether a sweep goes on.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stop {
    /// It goes on.
    #[default]
    No,
    /// It reads nothing more and lets what is in flight finish, for as long as the grace lasts.
    Gently,
    /// It ends with what it has.
    Now,
}

/// What turns a line into a record.
pub trait Work: Send + Sync + 'static {
    /// Works on `line`. All of its records are written together.
    fn work(&self, line: &Line, permit: &mut Permit) -> impl Future<Output = Vec<Record>> + Send;

    /// The record of a line whose work did not come to an end.
    fn give_up(&self, line: &Line, failure: Failure) -> Record;
}

/// Sweeps the lines as they come, until there are no more, somebody says stop or nobody takes the
/// records any more.
///
/// Every line that was read becomes records exactly once: also the lines that wait in the queue or
/// in the window of a shuffle when the sweep is stopped. Memory depends on `concurrency` alone: a
/// task holds its permit until its record is accepted.
///
/// This is one loop on one runtime. It does not know whether there are others beside it.
pub async fn sweep<W: Work>(
    work: Arc<W>,
    settings: Settings,
    mut lines: LineReceiver,
    records: mpsc::Sender<Vec<Record>>,
    mut stop: watch::Receiver<Stop>,
) {
    let permits = Permits::new(settings.concurrency);
    let unfinished = Unfinished::default();
    let mut tasks = JoinSet::new();
    let mut was_stopped = loop {
        let permit = tokio::select! {
            biased;
            () = asked(&mut stop, Stop::Gently) => break true,
            () = records.closed() => return,
            permit = permits.acquire() => permit,
        };
        let line = tokio::select! {
            biased;
            () = asked(&mut stop, Stop::Gently) => break true,
            () = records.closed() => return,
            line = lines.recv() => line,
        };
        let Some(line) = line else { break false };
        while tasks.try_join_next().is_some() {}
        settings.status.take_in();
        let pending = unfinished.watch(line);
        tasks.spawn(run(Arc::clone(&work), pending, permit, records.clone()));
    };
    if !was_stopped {
        tokio::select! {
            biased;
            () = records.closed() => return,
            () = asked(&mut stop, Stop::Gently) => was_stopped = true,
            () = finish(&mut tasks) => {}
        }
    }
    if !was_stopped {
        return;
    }
    lines.stop();
    let interrupted = |line: &Line| {
        let failure = Failure::new(Stage::Local, Kind::Interrupted, "the sweep was stopped");
        vec![work.give_up(line, failure)]
    };
    // The reader may wait for room in the queue, so the queue is emptied during the grace.
    let give_up_the_rest = async {
        while let Some(line) = lines.recv().await {
            settings.status.take_in();
            // If nobody takes the records, `records.closed()` below says so.
            if records.send(interrupted(&line)).await.is_err() {
                return;
            }
        }
    };
    let grace = async {
        tokio::select! {
            biased;
            () = asked(&mut stop, Stop::Now) => {}
            _grace_over = within(settings.grace, finish(&mut tasks)) => {}
        }
    };
    tokio::select! {
        biased;
        () = records.closed() => return,
        ((), ()) = async { tokio::join!(grace, give_up_the_rest) } => {}
    }
    tasks.shutdown().await;
    for line in unfinished.into_lines() {
        if records.send(interrupted(&line)).await.is_err() {
            return;
        }
    }
}

/// What the engine needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Targets that are dialled at once.
    pub concurrency: NonZero<usize>,
    /// How long what is in flight may take to finish after a stop.
    pub grace: std::time::Duration,
    /// Where to count.
    pub status: Arc<Status>,
}

/// One task. A panic in it becomes a record like any other end.
#[expect(clippy::manual_async_fn, reason = "an async fn stores its arguments twice in the future")]
fn run<W: Work>(
    work: Arc<W>,
    mut pending: Pending,
    mut permit: Permit,
    records: mpsc::Sender<Vec<Record>>,
) -> impl Future<Output = ()> + Send {
    async move {
        let results = AssertUnwindSafe(work.work(&pending.line, &mut permit)).catch_unwind().await;
        let results = results.unwrap_or_else(|panic| {
            let detail = format!("a defect of tlsweep: {}", panic_message(panic.as_ref()));
            vec![work.give_up(&pending.line, Failure::new(Stage::Local, Kind::Internal, detail))]
        });
        if let Ok(place) = records.reserve().await {
            pending.finish();
            place.send(results);
        }
    }
}

/// Waits until somebody asks for a stop of that urgency.
async fn asked(stop: &mut watch::Receiver<Stop>, urgency: Stop) {
    if stop.wait_for(|stop| *stop >= urgency).await.is_err() {
        // All stop senders were dropped, so nobody can ask any more.
        std::future::pending().await
    }
}

async fn finish(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}

/// Collects the lines whose tasks were dropped before they had delivered a record.
#[derive(Clone, Debug, Default)]
struct Unfinished(Arc<Mutex<Vec<Line>>>);

/// A line in work. A task that is cancelled drops it, and so hands the line to [`Unfinished`].
struct Pending {
    line: Line,
    /// Where the line goes if this is dropped; none once it has its record.
    unfinished: Option<Unfinished>,
}

impl Unfinished {
    fn watch(&self, line: Line) -> Pending {
        Pending { line, unfinished: Some(self.clone()) }
    }

    fn into_lines(self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pending {
    fn finish(&mut self) {
        self.unfinished = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(Unfinished(lines)) = &self.unfinished {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(self.line.clone());
        }
    }
}
