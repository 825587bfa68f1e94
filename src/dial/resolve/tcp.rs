//! Questions over TCP (RFC 7766), for answers that do not fit into a datagram.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::question::{Match, Question, compare};

/// Asks over a connection of its own, and waits for the answer without a limit. Memory grows with
/// what has come, not with what was announced.
///
/// # Errors
/// What TCP said; `InvalidData` when what came is no answer to the question.
pub(super) async fn ask(server: SocketAddr, question: &Question) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let message = question.message(question.id());
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes()[..], &message].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = Vec::new();
    (&mut stream).take(length.into()).read_to_end(&mut answer).await?;
    // Nobody on the way can answer here without seeing the question: its case does not matter.
    let is_ours = answer.starts_with(&question.id().to_be_bytes())
        && matches!(compare(question.wire(), &answer), Match::Whole | Match::OtherCase);
    if answer.len() < usize::from(length) || !is_ours {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(answer)
}
