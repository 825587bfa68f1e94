//! Everything that a server speaks, a hello at a time.

use std::net::SocketAddr;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::dial::Speech;
use super::{Prober, Work, random};
use crate::failure::{Failure, Kind, Stage};
use crate::pace::limiter::HostSlot;
use crate::report::enumeration::Report;
use crate::report::record::Record;
use crate::tls::enumerate::{Enumeration, Outcome, Probe};
use crate::tls::hello::{Answer, Flight};

/// What one hello came to.
struct Asked {
    probe: Probe,
    answer: Answer,
    end: Result<(), Failure>,
    costs: Record,
    /// From when to when the target's clock stood still for it.
    waited: (Instant, Instant),
}

impl Prober {
    /// Asks the address that answered for all that it speaks, a few connections at once, within the
    /// target's time; what that does not suffice for stays unknown.
    pub(super) async fn enumerate(&self, work: &mut Work<'_>) {
        let was_reached = work.record.sent.is_some();
        let Some(&address) = work.addresses.first().filter(|_| was_reached) else {
            return;
        };
        let mut enumeration = Enumeration::new();
        let mut under_way = FuturesUnordered::new();
        let mut stood_until = Instant::now();
        loop {
            while under_way.len() < self.config.per_host.get() && !work.deadline.is_over() {
                // One goes in the target's own slot; for more there must be room.
                let slot = match under_way.is_empty() {
                    true => None,
                    false => self.limiter.try_host_slot(address.ip()),
                };
                if slot.is_none() && !under_way.is_empty() {
                    break;
                }
                let Some(probe) = enumeration.next_probe() else {
                    break;
                };
                under_way.push(self.ask_apart(probe, address, slot, work));
            }
            let Some(asked) = under_way.next().await else {
                break;
            };
            enumeration.settle(&asked.probe, asked.outcome());
            work.record.add_costs(&asked.costs);
            let (from, to) = asked.waited;
            work.deadline = work.deadline.later_by(to.duration_since(from.max(stood_until)));
            stood_until = stood_until.max(to);
        }
        work.record.enumeration = Some(Box::new(Report::from(enumeration.into_findings())));
    }

    /// One hello on a connection of its own.
    fn ask_apart<'a>(
        &'a self,
        probe: Probe,
        address: SocketAddr,
        slot: Option<HostSlot>,
        work: &Work<'a>,
    ) -> impl Future<Output = Asked> + use<'a> {
        let Work { identity, starttls, deadline, .. } = *work;
        async move {
            let mut costs = Record::default();
            let mut flight = Flight::new();
            let mut apart = Work {
                addresses: vec![address],
                identity,
                starttls,
                deadline,
                until: None,
                permit: None,
                slot: slot.map(Box::new),
                saw_hello: false,
                record: &mut costs,
            };
            let server_name = identity.sent.as_ref().map(|name| name.as_ref());
            let begun = Instant::now();
            let end = match random() {
                Ok(random) => {
                    let hello = probe.encode(server_name, &random);
                    let asked = self.dial_once(Speech::Plain(&hello, &mut flight), &mut apart);
                    asked.await.map_err(|unanswered| unanswered.failure)
                }
                Err(failure) => Err(failure),
            };
            let waited = (begun, begun + apart.deadline.later_than(&deadline));
            Asked { probe, answer: flight.into_answer(), end, costs, waited }
        }
    }
}

impl Asked {
    fn outcome(&self) -> Outcome<'_> {
        let has_spoken = self.answer.hello.is_some()
            || self.answer.retry.is_some()
            || self.answer.alert.is_some();
        match &self.end {
            _ if has_spoken => Outcome::Answered(&self.answer),
            Err(failure)
                if failure.stage == Stage::Handshake
                    && matches!(failure.kind, Kind::Eof | Kind::Reset) =>
            {
                Outcome::Closed
            }
            _ => Outcome::Silent,
        }
    }
}
