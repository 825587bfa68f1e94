//! The engine: lines in, records out, one task a target.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::{JoinSet, coop};

use crate::deadline::within;
use crate::failure::{Failure, Kind, Stage};
use crate::feed::input::Line;
use crate::feed::queue::LineReceiver;
use crate::pace::permit::{Permit, Permits};
use crate::report::output::queue::RecordSender;
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
/// in the window of a shuffle when the sweep is stopped. Memory depends on the number of permits
/// alone: a task holds its permit until its record is accepted.
///
/// This is one loop on one runtime. It does not know whether there are others beside it, which take
/// lines from the same queue and permits from the same number.
pub async fn sweep<W: Work>(
    work: Arc<W>,
    settings: Settings,
    lines: LineReceiver,
    records: RecordSender,
    mut stop: watch::Receiver<Stop>,
) {
    let shared = Arc::new(Shared { work, records, unfinished: Mutex::default() });
    let mut tasks = JoinSet::new();
    let end = spawn_all(&shared, &settings, &lines, &mut tasks, &mut stop).await;
    let records = &shared.records;
    match end {
        End::NobodyReads => return,
        End::Stopped => {}
        End::OfLines => tokio::select! {
            biased;
            () = records.closed() => return,
            () = asked(&mut stop, Stop::Gently) => {}
            () = finish(&mut tasks) => return,
        },
    }
    lines.stop();
    // The reader may wait for room in the queue, so the queue is emptied during the grace.
    let give_up_the_rest = async {
        while let Some(line) = lines.recv().await {
            settings.status.take_in();
            // If nobody takes the records, `records.closed()` below says so.
            if !shared.give_up(&line).await {
                return;
            }
        }
    };
    let in_flight = async {
        tokio::select! {
            biased;
            () = asked(&mut stop, Stop::Now) => {}
            _grace_over = within(settings.grace, finish(&mut tasks)) => {}
        }
    };
    tokio::select! {
        biased;
        () = records.closed() => return,
        ((), ()) = async { tokio::join!(in_flight, give_up_the_rest) } => {}
    }
    tasks.shutdown().await;
    let unfinished = std::mem::take(&mut *shared.unfinished());
    for line in unfinished {
        if !shared.give_up(&line).await {
            return;
        }
    }
}

/// Why no more lines are taken.
enum End {
    /// There are no more.
    OfLines,
    /// Somebody asked for a stop.
    Stopped,
    /// Nobody takes the records any more.
    NobodyReads,
}

/// Makes a task of each line, as soon as there is a permit for it.
async fn spawn_all<W: Work>(
    shared: &Arc<Shared<W>>,
    settings: &Settings,
    lines: &LineReceiver,
    tasks: &mut JoinSet<()>,
    stop: &mut watch::Receiver<Stop>,
) -> End {
    let (records, permits) = (&shared.records, &settings.permits);
    loop {
        coop::consume_budget().await;
        // What nobody waits for is taken without asking who else might have something to say.
        // When every stop sender is dropped, nobody can ask for a stop.
        let is_disturbed = records.is_closed() || stop.has_changed().unwrap_or_default();
        let permit = match permits.try_acquire().filter(|_| !is_disturbed) {
            Some(permit) => permit,
            None => tokio::select! {
                biased;
                () = asked(stop, Stop::Gently) => return End::Stopped,
                () = records.closed() => return End::NobodyReads,
                permit = permits.acquire() => permit,
            },
        };
        let line = match lines.try_recv() {
            Some(line) => Some(line),
            None => tokio::select! {
                biased;
                () = asked(stop, Stop::Gently) => return End::Stopped,
                () = records.closed() => return End::NobodyReads,
                line = lines.recv() => line,
            },
        };
        let Some(line) = line else { return End::OfLines };
        while tasks.try_join_next().is_some() {}
        settings.status.take_in();
        tasks.spawn(run(Pending { line, shared: Some(Arc::clone(shared)) }, permit));
    }
}

/// What the engine needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The permits of all loops together.
    pub permits: Permits,
    /// How long what is in flight may take to finish after a stop.
    pub grace: std::time::Duration,
    /// Where to count.
    pub status: Arc<Status>,
}

/// One task. A panic in it becomes a record like any other end.
#[expect(clippy::manual_async_fn, reason = "an async fn stores its arguments twice in the future")]
fn run<W: Work>(mut pending: Pending<W>, mut permit: Permit) -> impl Future<Output = ()> + Send {
    async move {
        let Some(shared) = &pending.shared else { return };
        let work = shared.work.work(&pending.line, &mut permit);
        let results = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
            let detail = format!("a defect of tlsweep: {}", panic_message(panic.as_ref()));
            let failure = Failure::new(Stage::Local, Kind::Internal, detail);
            vec![shared.work.give_up(&pending.line, failure)]
        });
        if shared.records.send(&results).await {
            pending.finish();
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

/// What the tasks of one loop have in common.
struct Shared<W> {
    work: Arc<W>,
    records: RecordSender,
    /// The lines whose tasks were dropped before they had delivered a record.
    unfinished: Mutex<Vec<Line>>,
}

/// A line in work. A task that is cancelled drops it, and so hands the line to the unfinished ones.
struct Pending<W> {
    line: Line,
    /// None once the line has its record.
    shared: Option<Arc<Shared<W>>>,
}

impl<W: Work> Shared<W> {
    /// Hands over the record of a line that the stop has left undone. False: nobody takes records.
    async fn give_up(&self, line: &Line) -> bool {
        let failure = Failure::new(Stage::Local, Kind::Interrupted, "the sweep was stopped");
        self.records.send(&[self.work.give_up(line, failure)]).await
    }
}

impl<W> Shared<W> {
    fn unfinished(&self) -> MutexGuard<'_, Vec<Line>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> Pending<W> {
    fn finish(&mut self) {
        self.shared = None;
    }
}

impl<W> Drop for Pending<W> {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.unfinished().push(self.line.clone());
        }
    }
}
