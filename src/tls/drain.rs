//! Closes a session: sends `close_notify`, then reads what the peer still sends.

use std::io;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

use crate::deadline::{Deadline, Wait};
use crate::dial::tap::ReadLimitReached;
use crate::failure::tls_error;
use crate::names::AlertDescription;
use crate::plural::count;
use crate::tls::handshake::Session;

/// What came after the handshake.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReadEnd {
    /// Bytes of application data.
    pub bytes: u64,
    /// How the reading ended.
    pub end: End,
    /// The alert that ended it, by its IANA name; its number when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertDescription>,
}

impl ReadEnd {
    /// What came, and how it ended, for people: `nothing came, then close_notify`.
    pub fn words(&self) -> String {
        let came = match self.bytes {
            0 => "nothing came".to_owned(),
            bytes => format!("{} came", count(bytes, "byte")),
        };
        let alert = self.alert.iter().map(|alert| format!(" {alert}")).collect::<String>();
        let end = match self.end {
            End::CloseNotify => "close_notify",
            End::Eof => "an end without close_notify",
            End::Reset => "a reset",
            End::Alert => "the alert",
            End::Timeout => "nothing until the time was over",
            End::Limit => "more than is read",
            End::Protocol => "what breaks the protocol",
        };
        format!("{came}, then {end}{alert}")
    }
}

/// How the reading after the handshake ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum End {
    /// The peer said goodbye as well.
    CloseNotify,
    /// The peer closed without a goodbye: what it sent may be cut off.
    Eof,
    /// The peer reset the connection.
    Reset,
    /// The peer sent a fatal alert.
    Alert,
    /// The read deadline expired.
    Timeout,
    /// The byte limit was reached.
    Limit,
    /// The peer broke the protocol.
    Protocol,
}

/// When to say `close_notify`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Goodbye {
    /// Right after the handshake. The peer then answers within one round trip.
    #[default]
    First,
    /// When the peer has closed or the deadline has expired. For servers whose banner is wanted.
    Last,
}

/// Reads to the end of the session, at most `limit` bytes off the wire.
///
/// Only `close_notify` is sent, no FIN: some servers answer a FIN by closing without a goodbye of
/// their own, which would look like a truncated stream.
pub async fn drain(
    session: &mut Session<'_>,
    goodbye: Goodbye,
    limit: u64,
    deadline: &Deadline<'_>,
) -> ReadEnd {
    session.stream.get_mut().0.limit_reading(limit);
    let until = deadline.of(Wait::Read);
    let mut bytes = 0;
    let reading = async {
        if goodbye == Goodbye::First {
            say_goodbye(session).await;
        }
        read_to_end(session, &mut bytes).await
    };
    let result = deadline.run_until(Wait::Read, until, reading).await;
    if goodbye == Goodbye::Last {
        // Tried once, even when the deadline has struck; a peer that takes nothing gets nothing.
        let _too_late = deadline.run_until(Wait::Read, until, say_goodbye(session)).await;
    }
    let (end, alert) = match result {
        Ok(Ok(())) => (End::CloseNotify, None),
        Ok(Err(error)) => end_of(&error),
        Err(_expired) => (End::Timeout, None),
    };
    ReadEnd { bytes, end, alert }
}

/// Sends `close_notify`. Errors are ignored, because the peer may still have sent something to
/// read.
async fn say_goodbye(session: &mut Session<'_>) {
    // Our Finished goes out in the same segment, if it was not sent yet.
    session.stream.get_mut().0.gather(false);
    session.stream.get_mut().1.send_close_notify();
    let _unsent = session.stream.flush().await;
}

async fn read_to_end(session: &mut Session<'_>, bytes: &mut u64) -> io::Result<()> {
    loop {
        let length = session.stream.fill_buf().await?.len();
        if length == 0 {
            return Ok(());
        }
        *bytes += length as u64;
        session.stream.consume(length);
    }
}

fn end_of(error: &io::Error) -> (End, Option<AlertDescription>) {
    if ReadLimitReached::is(error) {
        return (End::Limit, None);
    }
    match (tls_error(error), error.kind()) {
        (Some(rustls::Error::AlertReceived(alert)), _) => {
            (End::Alert, Some(AlertDescription((*alert).into())))
        }
        (Some(_), _) | (None, io::ErrorKind::InvalidData) => (End::Protocol, None),
        (None, io::ErrorKind::UnexpectedEof) => (End::Eof, None),
        (None, _) => (End::Reset, None),
    }
}
