//! From a connection that greets in plain text to one that is ready for TLS.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::dial::starttls::{Conversation, Step};
use crate::dial::tap::Tap;
use crate::failure::{Failure, Kind, Stage};

/// Bytes that are read at once.
const BUFFER: usize = 2048;

/// Holds `conversation` over `tap` until the peer agrees to TLS.
///
/// # Errors
/// The peer refused, broke the protocol or the connection.
pub async fn upgrade(tap: &mut Tap, conversation: &mut Conversation) -> Result<(), Failure> {
    let of_io = |error| Failure::from_io(Stage::Starttls, &error);
    // The hello may follow the last command at once.
    tap.hurry();
    let mut buffer = vec![0; BUFFER];
    let mut step = conversation.open();
    loop {
        match step {
            Step::Send(bytes) => tap.write_all(&bytes).await.map_err(of_io)?,
            Step::Upgrade(bytes) => {
                tap.write_all(&bytes).await.map_err(of_io)?;
                // A segment of its own: a hello that comes with it may be taken for an injection.
                tap.flush().await.map_err(of_io)?;
                return tap.begin_tls(conversation.framing()).map_err(of_io);
            }
            Step::Wait => {}
        }
        let length = tap.read(&mut buffer).await.map_err(of_io)?;
        if length == 0 {
            let detail = "the peer closed in the middle of the dialogue";
            return Err(Failure::new(Stage::Starttls, Kind::Eof, detail));
        }
        step = conversation.receive(buffer.get(..length).unwrap_or_default())?;
    }
}
