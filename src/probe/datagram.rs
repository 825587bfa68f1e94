//! One question over UDP: the counterpart of `connection`.

use tokio::time::Instant;

use super::Prober;
use super::attempt::{Attempt, Dial};
use super::connection::Context;
use crate::deadline::Wait;
use crate::dial::udp::ask;
use crate::failure::{Failure, Stage};
use crate::quic::VersionProbe;

impl Prober {
    /// Asks a server for its versions of QUIC. The answer must come within the limit for
    /// connecting to one address.
    pub(super) async fn ask_for_versions(
        &self,
        context: &Context<'_>,
        dial: &Dial,
        probe: &VersionProbe,
    ) -> Attempt {
        let start = Instant::now();
        let question = probe.datagram();
        let mut received = 0;
        let asked = ask(
            dial.address,
            self.config.source.as_ref(),
            &question,
            |datagram| probe.versions(datagram).is_some(),
            |length| received += length as u64,
        );
        let asked = context.deadline.run(Wait::Connect, asked).await;
        let (answer, result) = match asked {
            Ok(Ok(answer)) => (answer.unwrap_or_default(), Ok(())),
            Ok(Err(error)) => (Vec::new(), Err(Failure::from_io(Stage::Connect, &error))),
            Err(expired) => (Vec::new(), Err(expired.into())),
        };
        let mut attempt = Attempt::new(dial, result);
        attempt.times.handshake = Some(start.elapsed());
        attempt.sent = question.len() as u64;
        attempt.received = received;
        attempt.first_read = answer;
        attempt
    }
}
