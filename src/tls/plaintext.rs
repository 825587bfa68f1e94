//! A hello of our own making, and what the peer says to it in plain text.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::dial::tap::Tap;
use crate::failure::{Failure, Kind, Stage};
use crate::tls::hello::{Flight, Progress};

/// Bytes that are read at once.
const BUFFER: usize = 4096;

/// close_notify, as a plaintext record (RFC 5246, section 7.2.1).
const GOODBYE: [u8; 7] = [21, 3, 1, 0, 2, 1, 0];

/// Sends `hello` and reads the peer's first flight into `flight`, which keeps what has come when
/// the wait is cut short.
///
/// # Errors
/// The peer broke the protocol or the connection before its flight was whole.
pub async fn ask(tap: &mut Tap, hello: &[u8], flight: &mut Flight) -> Result<(), Failure> {
    let of_io = |error: io::Error| Failure::from_io(Stage::Handshake, &error);
    tap.write_all(hello).await.map_err(of_io)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = tap.read(&mut buffer).await.map_err(of_io)?;
        if length == 0 {
            let detail = "the peer closed in the middle of the handshake";
            return Err(Failure::new(Stage::Handshake, Kind::Eof, detail));
        }
        let read = buffer.get(..length).unwrap_or_default();
        if flight.receive(read)? == Progress::Complete {
            // A peer that does not take it has its answer from the FIN.
            let _unsent = tap.write_all(&GOODBYE).await;
            return Ok(());
        }
    }
}
