//! Everything that a server speaks, a hello at a time.

use std::net::SocketAddr;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::{Prober, Work};
use crate::deadline::{Deadline, Wait};
use crate::dial::connect::connect;
use crate::dial::starttls::{Conversation, Protocol};
use crate::dial::tap::Tap;
use crate::dial::upgrade::upgrade;
use crate::failure::{Failure, Kind, Stage};
use crate::feed::target::ServerIdentity;
use crate::report::enumeration::Report;
use crate::tls::enumerate::{Enumeration, Outcome, Probe};
use crate::tls::hello::{Answer, Flight};
use crate::tls::plaintext::ask;

/// Where to send the hellos.
#[derive(Clone, Copy)]
struct Peer<'a> {
    address: SocketAddr,
    identity: &'a ServerIdentity,
    starttls: Option<&'static Protocol>,
    deadline: Deadline,
}

/// What one hello came to.
struct Asked {
    probe: Probe,
    answer: Answer,
    end: Result<(), Failure>,
    cost: Cost,
}

#[derive(Clone, Copy, Default)]
struct Cost {
    dials: u32,
    sent: u64,
    received: u64,
}

impl Prober {
    /// Asks the address that answered for all that it speaks, a few connections at once, within the
    /// target's time; what that does not suffice for stays unknown.
    pub(super) async fn enumerate(&self, work: &mut Work<'_>) {
        let was_reached = work.record.sent.is_some();
        let Some(&address) = work.addresses.first().filter(|_| was_reached) else {
            return;
        };
        let peer = Peer {
            address,
            identity: work.identity,
            starttls: work.starttls,
            deadline: work.deadline,
        };
        let mut enumeration = Enumeration::new();
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < self.config.per_host && !peer.deadline.is_over() {
                let Some(probe) = enumeration.next_probe() else {
                    break;
                };
                under_way.push(self.ask_apart(probe, peer));
            }
            let Some(asked) = under_way.next().await else {
                break;
            };
            enumeration.settle(&asked.probe, asked.outcome());
            let record = &mut *work.record;
            record.attempts = Some(record.attempts.unwrap_or(0) + asked.cost.dials);
            record.sent = Some(record.sent.unwrap_or(0) + asked.cost.sent);
            record.received = Some(record.received.unwrap_or(0) + asked.cost.received);
        }
        work.record.enumeration = Some(Report::from(enumeration.into_findings()));
    }

    /// One hello on a connection of its own.
    async fn ask_apart(&self, probe: Probe, peer: Peer<'_>) -> Asked {
        let mut cost = Cost::default();
        let mut flight = Flight::new();
        let end = self.ask_once(&probe, peer, &mut flight, &mut cost).await;
        Asked { probe, answer: flight.into_answer(), end, cost }
    }

    async fn ask_once(
        &self,
        probe: &Probe,
        peer: Peer<'_>,
        flight: &mut Flight,
        cost: &mut Cost,
    ) -> Result<(), Failure> {
        let Peer { identity, deadline, .. } = peer;
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).map_err(|_unspecified| {
            Failure::new(Stage::Local, Kind::Resource, "this machine has no random numbers")
        })?;
        let server_name = identity.sent.as_ref().map(|name| name.as_ref());
        let hello = probe.encode(server_name, &random);
        let addresses = [peer.address];
        let connecting = connect(&addresses, self.config.source, &deadline, &mut cost.dials);
        let mut tap = Tap::new(connecting.await.map_err(|none| none.failure)?.stream);
        let asking = async {
            if let Some(protocol) = peer.starttls {
                let mut conversation = Conversation::new(protocol, &identity.checked.to_str());
                deadline.run(Wait::Starttls, upgrade(&mut tap, &mut conversation)).await??;
            }
            deadline.run(Wait::Handshake, ask(&mut tap, &hello, flight)).await?
        };
        let end = asking.await;
        (cost.sent, cost.received) = (tap.sent(), tap.received());
        if end.as_ref().is_err_and(|failure| failure.kind == Kind::Timeout) {
            tap.abort();
        }
        end
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
