//! Sends a hello of our own and reads the part of the answer that is not encrypted.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::deadline::answered_within;
use crate::dial::tap::Tap;
use crate::failure::{Failure, Kind, Stage};
use crate::tls::hello::{Flight, Progress};

/// Bytes that are read at once.
const BUFFER: usize = 4096;

/// How long the rest of a flight may take after its ServerHello. Servers send both together. A peer
/// that stops in between has already shown what it speaks.
const REST_OF_FLIGHT: Duration = Duration::from_millis(500);

/// Sends `hello` and reads the peer's first flight into `flight`, which keeps what has come when
/// the wait is cut short.
///
/// # Errors
/// The peer broke the protocol or the connection, or stopped, before its flight was whole.
pub async fn ask(tap: &mut Tap, hello: &[u8], flight: &mut Flight) -> Result<(), Failure> {
    tap.write_all(hello).await.map_err(of_io)?;
    read_until(tap, flight, |flight| flight.answer().hello.is_some()).await?;
    let rest = answered_within(REST_OF_FLIGHT, read_until(tap, flight, |_flight| false)).await;
    rest.unwrap_or_else(|| {
        let detail = "the peer stopped in the middle of its flight";
        Err(Failure::new(Stage::Handshake, Kind::Timeout, detail))
    })
}

/// Reads to the end of the flight, or until `is_enough`.
async fn read_until(
    tap: &mut Tap,
    flight: &mut Flight,
    is_enough: impl Fn(&Flight) -> bool,
) -> Result<(), Failure> {
    let mut buffer = vec![0; BUFFER];
    while flight.receive(&[])? == Progress::Incomplete && !is_enough(flight) {
        let length = tap.read(&mut buffer).await.map_err(of_io)?;
        if length == 0 {
            let detail = "the peer closed in the middle of the handshake";
            return Err(Failure::new(Stage::Handshake, Kind::Eof, detail));
        }
        flight.receive(buffer.get(..length).unwrap_or_default())?;
    }
    Ok(())
}

fn of_io(error: io::Error) -> Failure {
    Failure::from_io(Stage::Handshake, &error)
}
