//! Elimination, track by track.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Offer, Outcome, Support};
use crate::names::{self, AlertDescription, Exchange, Group, Suite};
use crate::tls::hello::{KeyExchange, NotOffered, Parameters, ServerHello, UNRELATED_ALERTS};
use crate::tls::legacy::{
    DEFLATE, GROUPS, MOST_SUITES, NULL_COMPRESSION, SUITES, TLS13_GROUPS, TLS13_SUITES,
};

/// Every version that is asked for, oldest first.
pub(super) const VERSIONS: &[names::Version] = &[
    names::Version::SSL_3_0,
    names::Version::TLS_1_0,
    names::Version::TLS_1_1,
    names::Version::TLS_1_2,
    names::Version::TLS_1_3,
];

/// Preference among the suites up to TLS 1.2.
static ALL_SUITES: LazyLock<Vec<Suite>> = LazyLock::new(|| {
    let known = |suite: &Suite| SUITES.contains(suite) || TLS13_SUITES.contains(suite);
    SUITES.iter().copied().chain(Suite::all().filter(|suite| !known(suite))).collect()
});

/// The first of the groups that are no curves.
const FFDHE2048: Group = Group(256);

impl Offer {
    pub(super) fn new(version: names::Version, suites: Vec<Suite>) -> Self {
        let groups = if version == names::Version::TLS_1_3 { TLS13_GROUPS } else { GROUPS };
        let has_compression =
            (names::Version::TLS_1_0..=names::Version::TLS_1_2).contains(&version);
        let compressions: &[u8] =
            if has_compression { &[DEFLATE, NULL_COMPRESSION] } else { &[NULL_COMPRESSION] };
        Self { version, suites, groups: groups.to_vec(), compressions }
    }

    /// Whether the server may choose this.
    fn contains(&self, hello: &ServerHello) -> bool {
        self.suites.contains(&hello.suite) && hello.version() <= self.version
    }
}

/// What an outcome means for its offer.
pub(super) enum Said<'a> {
    /// The server chose from the offer.
    Chose(&'a ServerHello, Option<KeyExchange>),
    /// The server chose this group, which the offer does not contain.
    ChoseGroup(Group),
    /// The server refused all of it, with this alert.
    Refused(Option<AlertDescription>),
    /// The outcome shows nothing.
    Nothing,
}

impl<'a> Said<'a> {
    pub(super) fn new(offer: &Offer, outcome: Outcome<'a>) -> Self {
        let answer = match outcome {
            Outcome::Answered(answer) => answer,
            Outcome::Closed => return Self::Refused(None),
            Outcome::Silent => return Self::Nothing,
        };
        if let Some(NotOffered::Group(group)) = answer.not_offered {
            return Self::ChoseGroup(group);
        }
        match (answer.hello.as_ref().or(answer.retry.as_ref()), answer.alert) {
            (Some(hello), _) if offer.contains(hello) => Self::Chose(hello, answer.key_exchange),
            (None, Some(alert)) if !UNRELATED_ALERTS.contains(&alert.description) => {
                Self::Refused(Some(alert.description))
            }
            _ => Self::Nothing,
        }
    }
}

/// What a server does with one protocol version.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Version {
    /// Its IANA name.
    pub version: names::Version,
    /// Whether the server speaks it.
    pub support: Support,
    /// The suites that it accepts, in the order in which they were chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<Accepted>,
    /// Whose preference the order shows, when that was found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// False when the asking broke off: what is not listed is then unknown.
    pub complete: bool,
}

/// A suite that the server chose, with the parameters of its key exchange where they are public.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Accepted {
    /// Its IANA name.
    pub suite: Suite,
    /// The group of an elliptic-curve key exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Bits of the prime of a Diffie-Hellman key exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dh_bits: Option<usize>,
    /// Bits of the modulus of an export-grade RSA key exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsa_bits: Option<usize>,
}

impl Accepted {
    fn new(suite: Suite, parameters: Option<Parameters>) -> Self {
        let suite = Self { suite, group: None, dh_bits: None, rsa_bits: None };
        match parameters {
            Some(Parameters::Ecdh { group }) => Self { group: Some(group), ..suite },
            Some(Parameters::Dh { prime_bits }) => Self { dh_bits: Some(prime_bits), ..suite },
            Some(Parameters::Rsa { modulus_bits }) => {
                Self { rsa_bits: Some(modulus_bits), ..suite }
            }
            Some(Parameters::Other) | None => suite,
        }
    }
}

/// Whose preference decides on the suite.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The client's: any order is as good as another.
    Client,
    /// The server's.
    Server,
}

/// The suites of one version.
#[derive(Debug)]
pub(super) struct SuiteTrack {
    version: names::Version,
    support: Option<Support>,
    phase: Phase,
    /// What is offered: everything, or as much as every server can take, that has not been chosen.
    open: Vec<Suite>,
    /// What is offered when all of that is refused.
    later: Vec<Suite>,
    in_parts: Option<Whole>,
    chosen: Vec<Accepted>,
    /// How many of the chosen stand in order, because one hello offered them all.
    in_order: usize,
    order: Option<Order>,
    /// Whether the server refused by closing.
    by_close: bool,
}

/// What came of everything at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Whole {
    Refused,
    Unanswered,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Finding the suites.
    Find,
    /// Finding their order, after several hellos were needed.
    Sort,
    /// Finding out whose order it is.
    Reverse,
    Done,
}

impl SuiteTrack {
    pub(super) fn new(version: names::Version) -> Self {
        let open = if version == names::Version::TLS_1_3 { TLS13_SUITES } else { &ALL_SUITES };
        Self {
            version,
            support: None,
            phase: Phase::Find,
            open: open.to_vec(),
            later: Vec::new(),
            in_parts: None,
            chosen: Vec::new(),
            in_order: 0,
            order: None,
            by_close: false,
        }
    }

    pub(super) fn version(&self) -> names::Version {
        self.version
    }

    /// Whether the server speaks this version, once known; the suites may take longer.
    pub(super) fn support(&self) -> Option<Support> {
        self.support
    }

    /// The suites, as far as they are known.
    pub(super) fn known(&self) -> Vec<Suite> {
        let chosen = self.chosen.iter().map(|accepted| accepted.suite);
        let unsorted = self.open.iter().filter(|_| self.phase == Phase::Sort);
        chosen.chain(unsorted.copied()).collect()
    }

    /// Whether offering everything at once has failed, and no part of it was chosen yet.
    pub(super) fn is_in_parts(&self) -> bool {
        self.in_parts.is_some() && self.support.is_none()
    }

    /// Offers everything at once again, because the number of suites was not the reason for the
    /// failure.
    pub(super) fn rejoin(&mut self) {
        match self.in_parts.take() {
            None => {}
            Some(Whole::Refused) => self.end(),
            Some(Whole::Unanswered) => *self = Self::new(self.version),
        }
    }

    pub(super) fn offer(&self) -> Option<Offer> {
        let suites = match self.phase {
            Phase::Find | Phase::Sort => self.open.clone(),
            Phase::Reverse => self.known().into_iter().rev().collect(),
            Phase::Done => return None,
        };
        Some(Offer::new(self.version, suites))
    }

    pub(super) fn settle(&mut self, said: &Said<'_>) {
        self.by_close |= matches!(said, Said::Refused(None));
        match said {
            Said::Chose(hello, _) if hello.version() != self.version => self.end(),
            Said::Chose(hello, key_exchange) => self.chose(hello, *key_exchange),
            Said::Refused(Some(AlertDescription::PROTOCOL_VERSION)) if self.chosen.is_empty() => {
                self.end()
            }
            // The number of suites may have been the reason.
            _ if self.chosen.is_empty() && self.open.len() > MOST_SUITES => {
                let is_silence = matches!(said, Said::ChoseGroup(_) | Said::Nothing);
                self.in_parts = Some(if is_silence { Whole::Unanswered } else { Whole::Refused });
                self.later = std::mem::take(&mut self.open);
                self.open_more();
            }
            Said::Refused(_) => self.refused(),
            Said::ChoseGroup(_) | Said::Nothing => {}
        }
    }

    /// Takes back what was concluded from closes.
    pub(super) fn doubt_closes(&mut self) {
        if self.by_close {
            self.give_up_sorting();
            self.support = self.support.filter(|support| *support == Support::Supported);
            self.order = None;
            self.phase = Phase::Find;
        }
    }

    pub(super) fn into_version(mut self) -> Version {
        self.give_up_sorting();
        Version {
            version: self.version,
            support: self.support.unwrap_or_default(),
            suites: self.chosen,
            order: self.order,
            complete: self.phase != Phase::Find,
        }
    }

    fn chose(&mut self, hello: &ServerHello, key_exchange: Option<KeyExchange>) {
        self.support = Some(Support::Supported);
        if self.phase == Phase::Reverse {
            let first = self.chosen.first().map(|accepted| accepted.suite);
            self.order =
                Some(if first == Some(hello.suite) { Order::Server } else { Order::Client });
            self.end();
            return;
        }
        self.open.retain(|suite| *suite != hello.suite);
        let parameters = key_exchange.map(|key_exchange| key_exchange.parameters);
        self.chosen.push(Accepted::new(hello.suite, parameters));
        if self.open.is_empty() {
            self.exhausted();
        }
    }

    fn refused(&mut self) {
        match self.phase {
            Phase::Find => self.exhausted(),
            // The server contradicts itself, so it has no order.
            Phase::Sort | Phase::Reverse | Phase::Done => self.end(),
        }
    }

    /// The server would choose none of what is left.
    fn exhausted(&mut self) {
        if self.phase == Phase::Find {
            if self.in_order == 0 {
                self.in_order = self.chosen.len();
            }
            if self.open_more() {
                return;
            }
            if self.in_order < self.chosen.len() && self.chosen.len() <= MOST_SUITES {
                self.open = self.known();
                self.chosen.clear();
                self.phase = Phase::Sort;
                return;
            }
        }
        if self.chosen.len() > 1 {
            self.phase = Phase::Reverse;
        } else {
            self.end();
        }
    }

    fn open_more(&mut self) -> bool {
        let count = self.later.len().min(MOST_SUITES);
        self.open = self.later.drain(..count).collect();
        count > 0
    }

    pub(super) fn end(&mut self) {
        self.support.get_or_insert(Support::NotSupported);
        self.give_up_sorting();
        self.phase = Phase::Done;
    }

    fn give_up_sorting(&mut self) {
        if self.phase == Phase::Sort {
            let unsorted = self.open.drain(..).map(|suite| Accepted::new(suite, None));
            self.chosen.extend(unsorted);
        }
    }
}

/// The groups that a server uses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Groups {
    /// In the order in which they were chosen.
    pub list: Vec<Group>,
    /// False when the asking broke off: what is not listed is then unknown.
    pub complete: bool,
}

/// The groups of TLS 1.3, or the curves before it.
#[derive(Debug)]
pub(super) struct GroupTrack {
    version: names::Version,
    suites: Vec<Suite>,
    open: Vec<Group>,
    chosen: Vec<Group>,
    /// True when the chosen are offered again, behind the open ones: a server whose certificate
    /// is on a curve refuses every hello without it.
    backed: bool,
    /// True when the server has answered without such a certificate.
    free: bool,
    end: Option<End>,
    /// Whether the server refused by closing.
    by_close: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Broken,
    Complete,
}

impl GroupTrack {
    pub(super) fn tls13() -> Self {
        Self::new(names::Version::TLS_1_3, TLS13_SUITES.to_vec(), TLS13_GROUPS.to_vec())
    }

    pub(super) fn curves() -> Self {
        let on_curves = |suite: &Suite| suite.exchange() == Some(Exchange::Ecdhe);
        let suites = Suite::all().filter(on_curves).collect();
        let curves = GROUPS.iter().copied().filter(|group| *group < FFDHE2048);
        Self::new(names::Version::TLS_1_2, suites, curves.collect())
    }

    fn new(version: names::Version, suites: Vec<Suite>, open: Vec<Group>) -> Self {
        Self {
            version,
            suites,
            open,
            chosen: Vec::new(),
            backed: false,
            free: false,
            end: None,
            by_close: false,
        }
    }

    pub(super) fn is_tls13(&self) -> bool {
        self.version == names::Version::TLS_1_3
    }

    pub(super) fn offer(&self) -> Option<Offer> {
        if self.end.is_some() {
            return None;
        }
        let mut groups = self.open.clone();
        if self.backed {
            groups.extend(&self.chosen);
        }
        Some(Offer { groups, ..Offer::new(self.version, self.suites.clone()) })
    }

    pub(super) fn settle(&mut self, said: &Said<'_>) {
        self.by_close |= matches!(said, Said::Refused(None));
        match said {
            Said::Chose(hello, key_exchange) => {
                self.free |= !hello.suite.is_ecdsa();
                match hello.key_share_group.or_else(|| curve(*key_exchange)) {
                    Some(group) => self.chose(group),
                    None => self.end = Some(End::Broken),
                }
            }
            Said::Refused(_) if self.backed || self.free || self.chosen.is_empty() => {
                self.end = Some(End::Complete);
            }
            Said::Refused(_) => self.backed = true,
            // Some old servers have one group and use it whatever is offered.
            Said::ChoseGroup(group) if self.chosen.contains(group) => {
                self.end = Some(End::Complete);
            }
            Said::ChoseGroup(_) | Said::Nothing => {}
        }
    }

    /// Takes back what was concluded from closes.
    pub(super) fn doubt_closes(&mut self) {
        if self.by_close {
            self.end = Some(End::Broken);
        }
    }

    pub(super) fn into_groups(self) -> Groups {
        Groups { list: self.chosen, complete: self.end == Some(End::Complete) }
    }

    fn chose(&mut self, group: Group) {
        let offered = self.open.contains(&group);
        self.open.retain(|open| *open != group);
        if !self.chosen.contains(&group) {
            self.chosen.push(group);
        }
        // A server that chose a known group again, or one that was not offered, has no others.
        if !offered || self.open.is_empty() {
            self.end = Some(End::Complete);
        }
    }
}

fn curve(key_exchange: Option<KeyExchange>) -> Option<Group> {
    match key_exchange?.parameters {
        Parameters::Ecdh { group } => Some(group),
        _ => None,
    }
}
