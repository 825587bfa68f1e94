//! The queue between the loops of a sweep and the thread that writes their records.
//!
//! Each loop has a shard of its own: a task encodes its records into the shard of its loop, and the
//! output takes everything that a shard holds at once. Loops therefore share nothing but a signal,
//! and a record is freed by the thread that made it.
//!
//! A shard is bounded, in bytes and in targets. A task waits for room while it holds its permit, so
//! that nothing more is dialled while nobody reads.

use std::any::Any;
use std::io;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::format::Format;
use super::sink::Batch;
use crate::limits::{SHARD_BYTES, SHARD_TARGETS};
use crate::pace::nap::Nap;
use crate::report::record::Record;
use crate::report::status::Status;
use crate::report::summary::Tally;

/// How records become lines.
pub struct Encoding {
    /// The lines' format.
    pub format: Arc<dyn Format>,
    /// Whether a target that was interrupted has no lines, since a later run can do it again.
    pub leaves_interrupted: bool,
    /// Counts the targets whose records were handed over.
    pub status: Arc<Status>,
}

/// The bounds of a shard. It is full when it reaches one of them.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Bytes of lines.
    pub bytes: NonZero<usize>,
    /// Targets.
    pub targets: NonZero<usize>,
}

/// A queue with a shard of `room` for each of so many loops.
pub fn queue(
    loops: NonZero<usize>,
    room: Room,
    encoding: Encoding,
) -> (Vec<RecordSender>, RecordReceiver) {
    let (signal, signals) = mpsc::channel(1);
    let encoding = Arc::new(encoding);
    let nap = Arc::new(Nap::default());
    let senders = (0..loops.get()).map(|_| {
        RecordSender(Arc::new(Entrance {
            shard: Arc::default(),
            room,
            encoding: Arc::clone(&encoding),
            signal: signal.clone(),
            nap: Arc::clone(&nap),
            turn: tokio::sync::Mutex::default(),
        }))
    });
    let senders: Vec<_> = senders.collect();
    let shards = senders.iter().map(|sender| Arc::clone(&sender.0.shard)).collect();
    let format = Arc::clone(&encoding.format);
    (senders, RecordReceiver { shards, signals, nap, format, next: 0, has_begun: false })
}

/// A loop's end of the queue. The queue ends with the last of them.
#[derive(Clone)]
pub struct RecordSender(Arc<Entrance>);

/// The output's end of the queue. Dropping it tells the loops that nobody takes records any more.
pub struct RecordReceiver {
    shards: Vec<Arc<Shard>>,
    signals: mpsc::Receiver<()>,
    nap: Arc<Nap>,
    format: Arc<dyn Format>,
    /// The shard to look into next. They take turns, so that none has to wait for the others.
    next: usize,
    /// Whether there was a line already.
    has_begun: bool,
}

struct Entrance {
    shard: Arc<Shard>,
    room: Room,
    encoding: Arc<Encoding>,
    /// Says that a shard holds something. One signal waits at most: the output looks at all shards.
    signal: mpsc::Sender<()>,
    /// Where the output naps.
    nap: Arc<Nap>,
    /// Held by the one task that waits for room; others wait behind it, in order.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Shard {
    waiting: Mutex<Waiting>,
    /// Notified when the output has emptied the shard.
    has_room: Notify,
}

#[derive(Default)]
struct Waiting {
    batch: Batch,
    /// Why a record could not be encoded.
    error: Option<io::Error>,
}

impl RecordSender {
    /// Encodes the records of a target and hands them over, once there is room. False: nobody takes
    /// records any more.
    ///
    /// Cancel-safe: either all of the records are handed over or none, because nothing is awaited once the
    /// first one is.
    pub async fn send(&self, of_target: &[Record]) -> bool {
        if let Ok(_turn) = self.0.turn.try_lock()
            && self.0.try_append(of_target)
        {
            return true;
        }
        let _turn = self.0.turn.lock().await;
        loop {
            if self.is_closed() {
                return false;
            }
            if self.0.try_append(of_target) {
                return true;
            }
            tokio::select! {
                biased;
                () = self.closed() => return false,
                () = self.0.shard.has_room.notified() => {}
            }
        }
    }

    /// Waits until nobody takes records any more.
    pub async fn closed(&self) {
        self.0.signal.closed().await;
    }

    /// Whether nobody takes records any more.
    pub fn is_closed(&self) -> bool {
        self.0.signal.is_closed()
    }
}

impl Entrance {
    /// Appends the lines of a target if there is room.
    fn try_append(&self, of_target: &[Record]) -> bool {
        let is_pressing = {
            let mut waiting = self.shard.lock();
            if waiting.batch.is_full(self.room) {
                return false;
            }
            let was_half_full = waiting.batch.is_full(self.room.half());
            waiting.append(of_target, &self.encoding);
            !was_half_full && waiting.batch.is_full(self.room.half())
        };
        // The signal is full when the output has not looked since the last one. That the output is gone is
        // seen by `closed`.
        let _waits = self.signal.try_send(());
        if is_pressing {
            self.nap.end();
        }
        true
    }
}

impl Waiting {
    fn append(&mut self, of_target: &[Record], encoding: &Encoding) {
        encoding.status.finish();
        if encoding.leaves_interrupted && of_target.iter().any(Record::is_interrupted) {
            encoding.status.leave();
            return;
        }
        let begin = self.batch.text.len();
        let text = &mut self.batch.text;
        let encoded = catch_unwind(AssertUnwindSafe(|| {
            of_target.iter().try_for_each(|record| encoding.format.append(record, text))
        }));
        match encoded.unwrap_or_else(|panic| Err(defect(panic.as_ref()))) {
            Ok(()) => {
                self.batch.ends.push(self.batch.text.len());
                self.batch.tallies.push(Tally::of(of_target));
            }
            Err(error) => {
                self.batch.text.truncate(begin);
                self.error.get_or_insert(error);
            }
        }
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordReceiver {
    /// Waits until a shard may hold something. Returns false when nothing more will come; then
    /// [`RecordReceiver::take`] may still find the last records.
    pub async fn ready(&mut self) -> bool {
        self.signals.recv().await.is_some()
    }

    /// Like [`RecordReceiver::ready`], for a thread that may block.
    pub fn blocking_ready(&mut self) -> bool {
        self.signals.blocking_recv().is_some()
    }

    /// Lets records gather for `length`, or until a shard is half full.
    pub(super) fn nap(&self, length: Duration) {
        self.nap.take(length);
    }

    /// Takes everything that one of the shards holds in exchange for an empty `batch`; false when no
    /// shard holds anything.
    ///
    /// # Errors
    /// A record could not be encoded.
    pub fn take(&mut self, batch: &mut Batch) -> io::Result<bool> {
        let (later, sooner) = self.shards.split_at(self.next);
        for shard in sooner.iter().chain(later) {
            self.next = (self.next + 1) % self.shards.len();
            let mut waiting = shard.lock();
            if let Some(error) = waiting.error.take() {
                return Err(error);
            }
            if waiting.batch.ends.is_empty() {
                continue;
            }
            std::mem::swap(&mut waiting.batch, batch);
            drop(waiting);
            shard.has_room.notify_one();
            if !self.has_begun && !batch.text.is_empty() {
                self.has_begun = true;
                batch.begin(self.format.as_ref());
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Appends to `batch`, which is empty, what closes the output.
    ///
    /// # Errors
    /// The output cannot be closed in its format.
    pub(super) fn end(&self, batch: &mut Batch) -> io::Result<()> {
        self.format.end(&mut batch.text)
    }
}

impl Room {
    /// What the shard of a loop has room for.
    pub const OF_A_LOOP: Self = Self { bytes: SHARD_BYTES, targets: SHARD_TARGETS };

    fn half(self) -> Self {
        let half = |of: NonZero<usize>| of.div_ceil(const { NonZero::new(2).unwrap() });
        Self { bytes: half(self.bytes), targets: half(self.targets) }
    }
}

impl Batch {
    fn is_full(&self, room: Room) -> bool {
        self.text.len() >= room.bytes.get() || self.ends.len() >= room.targets.get()
    }

    /// Turns these lines into the beginning of the output.
    fn begin(&mut self, format: &dyn Format) {
        let before = self.text.len();
        format.begin(&mut self.text);
        let shift = |end: &mut usize| *end = (*end + self.text.len()).saturating_sub(before);
        // Targets without lines that come before the first line stay empty.
        self.ends.iter_mut().filter(|end| **end > 0).for_each(shift);
    }
}

fn defect(panic: &(dyn Any + Send)) -> io::Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    io::Error::other(format!("a defect of tlsweep: {}", text.unwrap_or("a panic")))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::failure::{Failure, Kind, Stage};
    use crate::feed::input::{Line, Place};

    /// A header, then the number of each line; panics at line 13 and fails at line 14.
    struct Numbers;

    impl Format for Numbers {
        fn append(&self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
            out.extend(format!("{}\n", record.line).bytes());
            match record.line {
                13 => panic!("made up"),
                14 => Err(io::ErrorKind::InvalidData.into()),
                _ => Ok(()),
            }
        }

        fn begin(&self, lines: &mut Vec<u8>) {
            lines.splice(..0, *b"header\n");
        }
    }

    fn record(number: u64, kind: Kind) -> Record {
        let line = Line { place: Place { line: number, number }, text: Ok("a.test".to_owned()) };
        let failure = Failure::new(Stage::Local, kind, "made up");
        Record::of_line(&line, failure, SystemTime::UNIX_EPOCH)
    }

    fn of_one_loop(leaves_interrupted: bool) -> (RecordSender, RecordReceiver, Arc<Status>) {
        let (format, status) = (Arc::new(Numbers), Arc::new(Status::default()));
        let encoding = Encoding { format, leaves_interrupted, status: Arc::clone(&status) };
        let (mut senders, receiver) = queue(NonZero::<usize>::MIN, Room::OF_A_LOOP, encoding);
        (senders.remove(0), receiver, status)
    }

    fn taken(receiver: &mut RecordReceiver) -> Vec<Vec<u8>> {
        let mut batch = Batch::default();
        let is_some = receiver.take(&mut batch).expect("nothing went wrong");
        let targets: Vec<_> = batch.targets().map(<[u8]>::to_vec).collect();
        assert_eq!((targets.len(), is_some), (batch.tallies.len(), !targets.is_empty()));
        targets
    }

    #[tokio::test]
    async fn a_header_belongs_to_the_first_target_that_has_lines() {
        let (sender, mut receiver, _status) = of_one_loop(false);
        assert!(sender.send(&[]).await);
        assert!(sender.send(&[record(1, Kind::Internal), record(2, Kind::Internal)]).await);
        assert!(sender.send(&[record(3, Kind::Internal)]).await);
        assert_eq!(taken(&mut receiver), [&b""[..], b"header\n1\n2\n", b"3\n"]);
        assert!(sender.send(&[record(4, Kind::Internal)]).await);
        assert_eq!(taken(&mut receiver), [b"4\n"]);
        assert_eq!(taken(&mut receiver), [b""; 0]);
    }

    #[tokio::test]
    async fn what_is_left_to_a_later_run_has_no_lines() {
        for leaves_interrupted in [false, true] {
            let (sender, mut receiver, status) = of_one_loop(leaves_interrupted);
            assert!(sender.send(&[record(1, Kind::Interrupted)]).await);
            assert!(sender.send(&[record(2, Kind::Internal)]).await);
            let expected: &[&[u8]] =
                if leaves_interrupted { &[b"header\n2\n"] } else { &[b"header\n1\n", b"2\n"] };
            assert_eq!(taken(&mut receiver), expected);
            let is_said = status.last_line(Duration::ZERO).contains("1 interrupted, left");
            assert_eq!(is_said, leaves_interrupted);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_encoded_ends_the_output_and_has_no_part_of_a_line() {
        for number in [13, 14] {
            let (sender, mut receiver, _status) = of_one_loop(false);
            assert!(sender.send(&[record(1, Kind::Internal)]).await);
            assert!(
                sender.send(&[record(2, Kind::Internal), record(number, Kind::Internal)]).await
            );
            assert_eq!(sender.0.shard.lock().batch.text, b"1\n");
            assert!(receiver.take(&mut Batch::default()).is_err(), "{number}");
        }
    }

    #[tokio::test]
    async fn no_shard_waits_for_another() {
        let (format, status) = (Arc::new(Numbers), Arc::new(Status::default()));
        let encoding = Encoding { format, leaves_interrupted: false, status };
        let loops = NonZero::new(3).unwrap();
        let (senders, mut receiver) = queue(loops, Room::OF_A_LOOP, encoding);
        for (number, sender) in (1..).zip(&senders) {
            assert!(sender.send(&[record(number, Kind::Internal)]).await);
        }
        assert_eq!(taken(&mut receiver), [b"header\n1\n"]);
        // The first shard always has something to take.
        for expected in [b"2\n", b"3\n", b"4\n"] {
            assert!(senders[0].send(&[record(4, Kind::Internal)]).await);
            assert_eq!(taken(&mut receiver).first().unwrap(), expected);
        }
    }
}
