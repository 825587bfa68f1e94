//! What is written around the records.

use std::io::Write;
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::file::OutputFile;
use super::queue::{Encoding, Room, queue};
use super::stream::Stream;
use super::*;
use crate::failure::{Failure, Kind, Stage};
use crate::feed::input::{Line, Place};
use crate::report::record::Record;
use crate::report::status::Status;

/// A page: a head, the number of each line, a foot.
struct Page;

impl Format for Page {
    fn append(&self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend(format!("{}\n", record.line).bytes());
        Ok(())
    }

    fn begin(&self, lines: &mut Vec<u8>) {
        lines.splice(..0, *b"head\n");
    }

    fn end(&self, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend(b"foot\n");
        Ok(())
    }
}

/// What a sink can write to while somebody else keeps it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn record(number: u64) -> Record {
    let line = Line { place: Place { line: number, number }, text: Ok("a.test".to_owned()) };
    let failure = Failure::new(Stage::Local, Kind::Internal, "made up");
    Record::of_line(&line, failure, SystemTime::UNIX_EPOCH)
}

/// Writes so many records to `sink`, and returns how many targets it has written.
async fn written(records: u64, format: Box<dyn Format>, mut sink: Box<dyn Sink>) -> u64 {
    let status = Arc::new(Status::default());
    let encoding =
        Encoding { format: format.into(), leaves_interrupted: false, status: Arc::clone(&status) };
    let (senders, receiver) = queue(NonZero::<usize>::MIN, Room::OF_A_LOOP, encoding);
    let writing = tokio::task::spawn_blocking(move || {
        write_all(receiver, sink.as_mut(), &status).map(|()| sink.written())
    });
    for number in 1..=records {
        assert!(senders[0].send(&[record(number)]).await);
    }
    drop(senders);
    writing.await.unwrap().unwrap()
}

#[tokio::test]
async fn the_end_of_a_format_stands_behind_the_last_record() {
    for (records, text) in [(0, "foot\n"), (2, "head\n1\n2\nfoot\n")] {
        let plain = Kept::default();
        let sink = Box::new(Stream::new(plain.clone()));
        assert_eq!(written(records, Box::new(Page), sink).await, records);
        assert_eq!(String::from_utf8(plain.bytes()).unwrap(), text);

        let compressed = Kept::default();
        let sink = Box::new(OutputFile::stream(compressed.clone(), true).unwrap());
        assert_eq!(written(records, Box::new(Page), sink).await, records);
        let read = zstd::decode_all(compressed.bytes().as_slice()).unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), text);
    }
}

#[tokio::test]
async fn what_stands_around_a_format_ends_it_too() {
    let watcher = Arc::new(Mutex::new(0_u64));
    let observed = Observed::by(Arc::clone(&watcher), |seen, _| *seen += 1, Box::new(Page));
    let kept = Kept::default();
    let format = Box::new(OnlyFailing(observed));
    assert_eq!(written(1, format, Box::new(Stream::new(kept.clone()))).await, 1);
    assert_eq!(kept.bytes(), b"foot\n");
}
