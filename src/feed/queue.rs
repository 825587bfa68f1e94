//! The queue of lines between the thread that reads the input and the engine.
//!
//! Reading blocks, so the reader has a thread of its own. The queue keeps three promises:
//!
//! * No line waits without need: before the reader blocks on its input, it hands on every line that
//!   it has.
//! * Everything that was read can be reached from the engine's side. The window of `--shuffle` is
//!   there, and [`LineReceiver::stop`] leaves no line with the reader.
//! * Waking the engine costs a system call, so a reader that is fast hands on batches of lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::feed::input::Line;
use crate::feed::selection::Targets;
use crate::feed::shuffle::Shuffle;

/// Lines that are handed on at once, at most.
const BATCH: usize = 64;

/// A queue of at least `length` lines, which leave it in the order of `shuffle` if there is one.
pub fn queue(length: usize, shuffle: Option<Shuffle>) -> (LineSender, LineReceiver) {
    let (sender, receiver) = mpsc::channel(length.div_ceil(BATCH).max(1));
    let gate = Arc::new(Gate::default());
    let sender = LineSender { batches: sender, batch: Vec::new(), gate: Arc::clone(&gate) };
    let next = Next { batch: Vec::new().into_iter(), shuffle, has_ended: false };
    let shared = Shared { next: Mutex::new(next), batches: receiver.into(), gate };
    (sender, LineReceiver(Arc::new(shared)))
}

/// The reader's end. Dropping it ends the queue.
#[derive(Debug)]
pub struct LineSender {
    batches: mpsc::Sender<Vec<Line>>,
    batch: Vec<Line>,
    gate: Arc<Gate>,
}

/// The engine's end. Its clones, one for each loop, take turns at the same lines.
#[derive(Clone, Debug)]
pub struct LineReceiver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    next: Mutex<Next>,
    /// Held by the one who waits for the next batch.
    batches: tokio::sync::Mutex<mpsc::Receiver<Vec<Line>>>,
    gate: Arc<Gate>,
}

/// What comes next.
#[derive(Debug)]
struct Next {
    batch: std::vec::IntoIter<Line>,
    /// The window, until the last line has left it.
    shuffle: Option<Shuffle>,
    /// Whether there is no batch any more.
    has_ended: bool,
}

/// What the two ends know of each other.
#[derive(Debug, Default)]
struct Gate {
    is_stopped: AtomicBool,
    /// Whether the reader waited for its input when the sweep was stopped, and therefore held no
    /// line.
    is_shut: AtomicBool,
    /// Whether the reader waits for its input, and therefore holds no line.
    reader_waits: Mutex<bool>,
}

impl Targets for LineSender {
    /// Queues a line; blocks while the queue is full. False: nobody receives lines any more.
    fn take(&mut self, line: Line) -> bool {
        self.batch.push(line);
        self.batch.len() < BATCH || self.hand_on()
    }

    fn goes_on(&self) -> bool {
        !self.gate.is_stopped.load(Ordering::Relaxed)
    }

    fn before_wait(&mut self) -> bool {
        if !self.hand_on() {
            return false;
        }
        let mut waits = self.gate.lock();
        *waits = self.goes_on();
        *waits
    }

    /// False: the sweep was stopped meanwhile, and what was read just now does not belong to it.
    fn after_wait(&mut self) -> bool {
        let mut waits = self.gate.lock();
        *waits = false;
        self.goes_on()
    }
}

impl LineSender {
    fn hand_on(&mut self) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        match self.batches.try_send(std::mem::take(&mut self.batch)) {
            Ok(()) => true,
            Err(TrySendError::Full(batch)) => self.batches.blocking_send(batch).is_ok(),
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

impl Drop for LineSender {
    fn drop(&mut self) {
        // An error means that the receiver is gone, and then nobody wants the lines.
        let _received = self.hand_on();
    }
}

impl LineReceiver {
    /// The next line; `None` at the end of the input, or once everything that was read before
    /// [`LineReceiver::stop`] has been received. Cancelling this loses no line.
    pub async fn recv(&self) -> Option<Line> {
        loop {
            if let Some(line) = self.try_recv() {
                return Some(line);
            }
            let mut batches = self.0.batches.lock().await;
            if self.0.gate.is_shut.load(Ordering::Relaxed) {
                batches.close();
            }
            // Somebody else may have received a batch meanwhile; from here on nobody else does.
            let line = self.try_recv();
            if line.is_some() || self.0.next().has_ended {
                return line;
            }
            let batch = batches.recv().await;
            self.0.next().follow_up(batch);
        }
    }

    /// The next line if it is there already.
    pub fn try_recv(&self) -> Option<Line> {
        self.0.next().line()
    }

    /// Ends the reading. What was read by now can still be received, and after that the queue has
    /// ended: a reader that waits for its input is not waited for.
    ///
    /// A clone that waits in [`LineReceiver::recv`] at this moment does not hear of it; whoever
    /// stops a sweep stops all of its loops.
    pub fn stop(&self) {
        let waits = self.0.gate.lock();
        self.0.gate.is_stopped.store(true, Ordering::Relaxed);
        if *waits {
            self.0.gate.is_shut.store(true, Ordering::Relaxed);
        }
    }
}

impl Shared {
    fn next(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Next {
    /// The next line, if it takes no other batch.
    fn line(&mut self) -> Option<Line> {
        let Some(shuffle) = &mut self.shuffle else { return self.batch.next() };
        loop {
            if let Some(line) = shuffle.pop_excess() {
                return Some(line);
            }
            let Some(line) = self.batch.next() else { break };
            shuffle.push(line);
        }
        if self.has_ended { shuffle.pop() } else { None }
    }

    /// Goes on with the next batch, or notes that there is none.
    fn follow_up(&mut self, batch: Option<Vec<Line>>) {
        self.has_ended = batch.is_none();
        self.batch = batch.unwrap_or_default().into_iter();
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.reader_waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::feed::input::Place;

    fn line(number: u64) -> Line {
        Line { place: Place { line: number, number }, text: Ok(String::new()) }
    }

    /// Everything that can be received without waiting for the reader to read.
    fn received(lines: &LineReceiver) -> Vec<u64> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut numbers = Vec::new();
            while let Some(line) = lines.recv().await {
                numbers.push(line.place.number);
            }
            numbers
        })
    }

    fn try_batch(lines: &LineReceiver) -> Option<Vec<Line>> {
        lines.0.batches.try_lock().unwrap().try_recv().ok()
    }

    #[test]
    fn a_reader_that_waits_has_handed_on_every_line() {
        let (mut sender, lines) = queue(1024, None);
        for number in 1..=3 {
            assert!(sender.take(line(number)));
            assert!(sender.before_wait());
            assert_eq!(try_batch(&lines).unwrap(), [line(number)]);
            assert!(sender.after_wait());
        }
        lines.stop();
        assert!(!sender.before_wait());
    }

    #[test]
    fn a_reader_that_does_not_wait_hands_on_batches() {
        let (mut sender, lines) = queue(1024, None);
        for number in 0..BATCH as u64 * 3 + 1 {
            assert!(sender.take(line(number)));
        }
        let batches = std::iter::from_fn(|| try_batch(&lines));
        assert_eq!(batches.map(|batch| batch.len()).collect::<Vec<_>>(), [BATCH; 3]);
        drop(sender);
        assert_eq!(received(&lines), [BATCH as u64 * 3]);
    }

    #[test]
    fn a_stop_reaches_the_window_and_the_queue_of_a_reader_that_waits() {
        for read in [1, 100, 700, 3000] {
            let (mut sender, lines) = queue(4096, Some(Shuffle::new(1000, 1)));
            (1..=read).for_each(|number| assert!(sender.take(line(number))));
            assert!(sender.before_wait());
            lines.stop();
            let mut numbers = received(&lines);
            numbers.sort_unstable();
            assert_eq!(numbers, (1..=read).collect::<Vec<_>>());
            assert!(!sender.after_wait(), "what is read from now on is not of this sweep");
        }
    }

    #[test]
    fn a_stop_reaches_what_a_blocked_reader_still_holds() {
        let (mut sender, lines) = queue(BATCH, Some(Shuffle::new(10, 1)));
        let read = BATCH as u64 * 5 + 7;
        let reader = thread::spawn(move || {
            // As from one buffer: it does not wait for its input in between.
            (1..=read).for_each(|number| assert!(sender.take(line(number))));
            sender.before_wait()
        });
        lines.stop();
        let mut numbers = received(&lines);
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=read).collect::<Vec<_>>());
        assert!(!reader.join().unwrap(), "it reads no more");
    }

    #[test]
    fn a_reader_without_a_receiver_is_told() {
        let (mut sender, lines) = queue(BATCH, None);
        drop(lines);
        assert!(sender.take(line(1)), "it goes into the batch");
        assert!(!sender.before_wait());
    }
}
