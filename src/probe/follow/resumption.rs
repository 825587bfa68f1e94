//! `--enumerate`: whether sessions can be resumed, and whether tickets allow early data.
//!
//! Each way is tried in pairs of handshakes: the first one gets a session, the second one offers it.

use std::sync::Arc;

use rustls::client::Tls12Resumption;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::enumeration::ENUMERATE;
use super::questions::Questions;
use super::{Facts, Follow, Row};
use crate::names::Version;
use crate::probe::{Attempt, Speech};
use crate::tls::drain::End;
use crate::tls::enumerate::Support;
use crate::tls::handshake::{Hello, Tailored, Versions};
use crate::tls::sessions::Sessions;

pub(super) const ROW: Row = Row {
    topic: "resumption",
    flag: &ENUMERATE,
    make: |start| {
        let way = |means| Way {
            means,
            hello: start.hello,
            sessions: None,
            questions: Questions::default(),
            refusals: 0,
            support: None,
            early_data: None,
        };
        Box::new(Resuming {
            ways: [way(Means::Id), way(Means::Ticket), way(Means::Psk)],
            asked: Vec::new(),
        })
    },
    without_tls: |_facts| {},
};

/// What a server does with sessions that are offered again.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Resumption {
    /// TLS 1.2, by the id of the session.
    pub tls12_id: Support,
    /// TLS 1.2, by a session ticket (RFC 5077).
    pub tls12_ticket: Support,
    /// TLS 1.3, by a pre-shared key out of a ticket.
    pub tls13_psk: Support,
    /// Whether the tickets of TLS 1.3 allow early data (0-RTT).
    pub early_data: Support,
    /// How many bytes of early data they allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_data_size: Option<u32>,
}

/// Pairs of handshakes without a resumption that make a no: of the machines behind one address, the
/// second handshake may have met another.
const REFUSALS: u8 = 2;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Means {
    Id,
    Ticket,
    Psk,
}

/// One way to resume, and how the asking goes.
struct Way {
    means: Means,
    hello: Hello,
    /// What the first handshake of a pair brought, once it is over.
    sessions: Option<Arc<Sessions>>,
    questions: Questions,
    refusals: u8,
    /// The answer, once there is one.
    support: Option<Support>,
    /// Bytes that the tickets allowed.
    early_data: Option<u32>,
}

struct Resuming {
    ways: [Way; 3],
    /// The place of the way, and what was or would be resumed, by the number of the speech.
    asked: Vec<(usize, Arc<Sessions>)>,
}

impl Follow for Resuming {
    fn next(&mut self) -> Option<Speech> {
        let open = |way: &&mut Way| way.support.is_none() && way.questions.may_begin();
        let mut ways = self.ways.iter_mut().enumerate();
        let (place, way) = ways.find(|(_, way)| open(way))?;
        way.questions.begin();
        let sessions = way.sessions.clone().unwrap_or_default();
        self.asked.push((place, Arc::clone(&sessions)));
        Some(Speech::Tailored(Box::new(way.ask(sessions))))
    }

    fn settle(&mut self, number: usize, attempt: &Attempt) {
        let Some((place, sessions)) = self.asked.get(number).cloned() else {
            return;
        };
        if let Some(way) = self.ways.get_mut(place) {
            way.questions.end();
            way.settle(sessions, attempt);
        }
    }

    fn doubt_closes(&mut self) {
        // Every answer comes out of handshakes that were finished.
    }

    fn into_facts(mut self: Box<Self>, facts: &mut Facts) {
        for way in &mut self.ways {
            let version = match way.means {
                Means::Psk => Version::TLS_1_3,
                Means::Id | Means::Ticket => Version::TLS_1_2,
            };
            let support = facts.support_of(version);
            // A version that the server does not speak resumes nothing.
            if way.support.is_none() && support == Support::NotSupported {
                way.support = Some(support);
            }
        }
        let [id, ticket, psk] = &self.ways;
        let early_data_size = psk.early_data.filter(|size| *size > 0);
        facts.resumption = Some(Box::new(Resumption {
            tls12_id: id.support.unwrap_or_default(),
            tls12_ticket: ticket.support.unwrap_or_default(),
            tls13_psk: psk.support.unwrap_or_default(),
            early_data: match psk.early_data {
                Some(0) => Support::NotSupported,
                Some(_) => Support::Supported,
                // Early data comes only with a session that is resumed.
                None if psk.support == Some(Support::NotSupported) => Support::NotSupported,
                None => Support::Unknown,
            },
            early_data_size,
        }));
    }
}

impl Way {
    fn ask(&self, sessions: Arc<Sessions>) -> Tailored {
        let (versions, kind) = match self.means {
            Means::Id => (Versions::Tls12, Tls12Resumption::SessionIdOnly),
            Means::Ticket => (Versions::Tls12, Tls12Resumption::SessionIdOrTickets),
            Means::Psk => (Versions::Tls13, Tls12Resumption::Disabled),
        };
        Tailored { sessions: Some((sessions, kind)), ..Tailored::new(self.hello, versions) }
    }

    fn settle(&mut self, sessions: Arc<Sessions>, attempt: &Attempt) {
        let is_second = self.sessions.take().is_some();
        let Some(agreed) = attempt.agreed.as_ref().filter(|_| attempt.result.is_ok()) else {
            // Silences are not forgotten: a first handshake may succeed before each second one that fails.
            self.questions.unanswered();
            return;
        };
        self.early_data = self.early_data.max(sessions.early_data());
        if is_second {
            match agreed.is_resumed {
                true => self.support = Some(Support::Supported),
                false => self.refuse(),
            }
            return;
        }
        // Some servers keep their tickets until they write something else. `close_notify` is that; a
        // close without one is not.
        let is_ended = attempt.read.as_ref().is_some_and(|read| read.end == End::CloseNotify);
        match self.means {
            Means::Id => self.sessions = Some(sessions),
            Means::Ticket if agreed.has_ticket => self.sessions = Some(sessions),
            Means::Ticket => self.refuse(),
            Means::Psk if sessions.has_tls13_ticket() => self.sessions = Some(sessions),
            Means::Psk if is_ended => self.refuse(),
            // Its ticket may still have been on its way.
            Means::Psk => self.questions.unanswered(),
        }
    }

    fn refuse(&mut self) {
        self.refusals += 1;
        if self.refusals == REFUSALS {
            self.support = Some(Support::NotSupported);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, Kind, Stage};
    use crate::probe::{Dial, Patience};
    use crate::tls::agreed::Agreed;
    use crate::tls::drain::ReadEnd;
    use crate::tls::handshake::{AlpnOffer, Groups, Schemes};

    const HELLO: Hello =
        Hello { groups: Groups::All, alpn: AlpnOffer::NONE, schemes: Schemes::Configured };

    /// The handshakes that one way to resume takes, given what the first ones and those that offer a session
    /// come to.
    fn handshakes(means: Means, is_second_ok: bool, end: End) -> usize {
        let mut way = Way {
            means,
            hello: HELLO,
            sessions: None,
            questions: Questions::default(),
            refusals: 0,
            support: None,
            early_data: None,
        };
        let address = (std::net::Ipv4Addr::LOCALHOST, 443).into();
        let mut made = 0;
        while way.support.is_none() && way.questions.may_begin() && made < 100 {
            let is_ok = way.sessions.is_none() || is_second_ok;
            let dial =
                Dial { address, speech: Speech::Handshake(HELLO), patience: Patience::Whole };
            let lost = Failure::new(Stage::Handshake, Kind::Reset, "");
            let mut attempt = Attempt::new(&dial, if is_ok { Ok(()) } else { Err(lost) });
            attempt.agreed = is_ok.then(|| Agreed { has_ticket: true, ..Agreed::default() });
            attempt.read = is_ok.then_some(ReadEnd { bytes: 0, end, alert: None });
            way.questions.begin();
            let sessions = way.sessions.clone().unwrap_or_default();
            way.questions.end();
            way.settle(sessions, &attempt);
            made += 1;
        }
        made
    }

    #[test]
    fn no_server_is_asked_for_ever() {
        for end in [End::Eof, End::CloseNotify, End::Timeout] {
            for means in [Means::Id, Means::Ticket, Means::Psk] {
                for is_second_ok in [true, false] {
                    let made = handshakes(means, is_second_ok, end);
                    assert!((1..=4).contains(&made), "{made} {means:?} {is_second_ok} {end:?}");
                }
            }
        }
    }
}
