//! One connection of a target, from its permit to its first byte.

#![expect(clippy::manual_async_fn, reason = "async functions have room for their arguments twice")]

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Prober, Work};
use crate::dial::connect::connect;
use crate::failure::{Failure, Kind, Stage};
use crate::report::record::milliseconds;

impl Prober {
    /// Dials the target's addresses in order until one answers; once a handshake had begun, within
    /// what is left of its limit.
    ///
    /// # Errors
    /// What the first address said: later ones are second choices.
    pub(super) fn connect(
        &self,
        work: &mut Work<'_>,
    ) -> impl Future<Output = Result<TcpStream, Failure>> {
        async move {
            let mut first = None;
            let mut tried = 0;
            while let Some(&address) = work.addresses.get(tried) {
                if self.limiter.has_limits() {
                    Box::pin(self.wait_for_a_slot(address, work)).await;
                }
                let start = Instant::now();
                let source = self.config.source.as_ref();
                let connected = connect(address, source, &work.deadline, work.until).await;
                let took = milliseconds(start.elapsed());
                let record = &mut *work.record;
                record.attempts = Some(record.attempts.unwrap_or(0) + 1);
                if first.is_none() || connected.is_ok() {
                    // Looked up again: `address` would be kept over the wait.
                    record.addr = work.addresses.get(tried).map(SocketAddr::ip);
                    record.ms.connect = Some(took);
                }
                match connected {
                    Ok(stream) => {
                        // The peer is whoever answered: a second dial goes to the same.
                        work.addresses.swap(0, tried);
                        work.addresses.truncate(1);
                        return Ok(stream);
                    }
                    Err(failure) if failure.stage == Stage::Local => return Err(failure),
                    Err(failure) => _ = first.get_or_insert(failure),
                }
                tried += 1;
                let is_over = |until: Instant| Instant::now() >= until;
                if work.deadline.is_over() || work.until.is_some_and(is_over) {
                    break;
                }
            }
            Err(first.unwrap_or_else(|| {
                Failure::new(Stage::Connect, Kind::Unreachable, "there is no address to dial")
            }))
        }
    }

    /// Waits until `address` has room for one more, and until the rate allows the next dial.
    /// The target's clock stands still meanwhile.
    async fn wait_for_a_slot(&self, address: SocketAddr, work: &mut Work<'_>) {
        let start = Instant::now();
        let address = address.ip();
        let has_slot = work.slot.as_ref().is_some_and(|slot| slot.is_at(address));
        if !has_slot && let Some(permit) = work.permit.as_deref_mut() {
            work.slot = None;
            let free = self.limiter.try_host_slot(address);
            work.slot = Some(Box::new(match free {
                Some(slot) => slot,
                None => {
                    permit.release_dial();
                    let slot = self.limiter.host_slot(address).await;
                    permit.reacquire_dial().await;
                    slot
                }
            }));
        }
        self.limiter.tick().await;
        let waited = start.elapsed();
        work.deadline = work.deadline.later_by(waited);
        work.until = work.until.map(|until| until + waited);
    }
}
