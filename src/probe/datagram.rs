//! Asks one question over UDP: the counterpart of `connection`. A handshake, which takes several datagrams,
//! would have a file beside this one, with its wire format in `tls`.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::Prober;
use super::connection::Context;
use crate::deadline::Wait;
use crate::dial::udp::ask;
use crate::failure::{Failure, Stage};

pub(super) type IsAnswer = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What to ask over UDP.
pub(super) struct Question {
    pub(super) datagram: Vec<u8>,
    /// Whether a datagram answers the question. Others are passed over.
    pub(super) is_answer: IsAnswer,
}

/// What came of a question over UDP.
#[derive(Debug)]
pub(super) struct Reply {
    /// Bytes from us.
    pub(super) sent: u64,
    /// Bytes from the peer, in answers and other datagrams.
    pub(super) received: u64,
    /// How long it took.
    pub(super) took: Duration,
    /// The datagram that answered. `None`: too many came that are no answer.
    pub(super) result: Result<Option<Vec<u8>>, Failure>,
}

impl Prober {
    /// Asks a question over UDP. The answer must come within the limit for connecting to one address.
    pub(super) async fn ask_over_udp(
        &self,
        context: &Context<'_>,
        address: SocketAddr,
        question: &Question,
    ) -> Reply {
        let start = Instant::now();
        let mut received = 0;
        let asked = ask(
            address,
            self.config.source.as_ref(),
            &question.datagram,
            &question.is_answer,
            |length| received += length as u64,
        );
        let asked = context.deadline.run(Wait::Connect, asked).await;
        let result = match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Failure::from_io(Stage::Connect, &error)),
            Err(expired) => Err(expired.into()),
        };
        Reply { sent: question.datagram.len() as u64, received, took: start.elapsed(), result }
    }
}
