//! `--ech`: whether a server reads an encrypted ClientHello (ECH, RFC 9849).
//!
//! The one hello of this provider is encrypted with the configuration of the server's HTTPS record. Where
//! there is none, it is encrypted with a made-up one, whose public name is the server's own. A server that
//! knows ECH cannot read that, and offers the configurations that it has. The handshake has a connection
//! of its own, so that the ordinary record is not changed by it.

use rustls_pki_types::DnsName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Facts, Follow, Https, Row, Start};
use crate::config::Flag;
use crate::dial::resolve;
use crate::escape::cut;
use crate::limits::NAME_LIMIT;
use crate::probe::{Attempt, Speech};
use crate::tls::ech::{Configuration, Offer};
use crate::tls::handshake::{Hello, Tailored, Versions};

pub(super) const ROW: Row = Row {
    topic: "encrypted ClientHello",
    flag: &Flag {
        name: "ech",
        help: "Look for the HTTPS records of each server name, and find out whether the server reads an \
               encrypted ClientHello (one lookup, one dial)",
        is_one_by_one: true,
    },
    make: |start| Box::new(Asking::new(start)),
    // What was not looked at is absent.
    without_tls: |_facts| {},
};

/// What a server does with an encrypted ClientHello.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ech {
    /// How it answered.
    pub status: EchStatus,
    /// Whose configuration the hello was encrypted with.
    pub config: EchConfigOf,
    /// The server name that stood in the clear.
    pub public_name: String,
    /// The first configurations that the server offers instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry_configs: Vec<EchRetryConfig>,
    /// How many it offers, when they are not all in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_configs_count: Option<usize>,
    /// How the connection ended, if not by one of these answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a server answers an encrypted ClientHello.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EchStatus {
    /// It read the encrypted hello and completed the handshake that this asks for.
    Accepted,
    /// It could not read it, completed a handshake with the hello in the clear, and offers
    /// configurations for the next one.
    RejectedWithRetry,
    /// It did not read a hello that was encrypted with the configuration of its HTTPS record, and offers no
    /// other.
    Rejected,
    /// It showed nothing of ECH, which is no proof that it does not know it.
    NotShown,
    /// The connection was lost, or its answer cannot be read.
    Unknown,
}

/// Where a configuration of ECH came from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EchConfigOf {
    /// An HTTPS record of the server.
    HttpsRecord,
    /// Nowhere: nobody has its key.
    MadeUp,
}

/// A configuration that a server offers.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EchRetryConfig {
    /// By which number the server knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_id: Option<u8>,
    /// The server name that would stand in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_name: Option<String>,
    /// The version, where it is not that of RFC 9849.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Ech {
    /// One line for people.
    #[doc(hidden)]
    pub fn line(&self) -> String {
        let whose = match self.config {
            EchConfigOf::HttpsRecord => "the configuration of the HTTPS record",
            EchConfigOf::MadeUp => "a made-up configuration",
        };
        match self.status {
            EchStatus::Accepted => format!("accepted, with {whose}"),
            EchStatus::Rejected => format!("rejected, with {whose}, and no other is offered"),
            EchStatus::NotShown => "not shown, which proves nothing".to_owned(),
            EchStatus::Unknown => self.error.clone().unwrap_or_default(),
            EchStatus::RejectedWithRetry => {
                let names = self.retry_configs.iter().filter_map(|it| it.public_name.as_deref());
                let mut names: Vec<_> = names.collect();
                names.dedup();
                format!("rejected {whose}, and offers others for {}", names.join(", "))
            }
        }
    }
}

impl From<Configuration> for EchRetryConfig {
    fn from(configuration: Configuration) -> Self {
        let Configuration { version, contents } = configuration;
        let is_known = contents.is_some();
        let (config_id, public_name) =
            contents.map(|contents| (contents.config_id, shown(&contents.public_name))).unzip();
        let version = (!is_known).then(|| format!("{version:#06x}"));
        Self { config_id, public_name, version }
    }
}

/// A name as a configuration has it.
fn shown(name: &[u8]) -> String {
    cut(name.escape_ascii().to_string(), NAME_LIMIT)
}

struct Asking {
    hello: Hello,
    port: u16,
    /// None when it cannot be asked: there is no server name, or TLS 1.3 is not offered.
    name: Option<DnsName<'static>>,
    https: Option<Box<Https>>,
    /// Made once it is known whether there is an HTTPS record.
    offer: Option<(EchConfigOf, Offer)>,
    is_asked: bool,
    /// Whether the server was concluded to show nothing from a close.
    by_close: bool,
    found: Option<Ech>,
}

impl Asking {
    fn new(start: &Start<'_>) -> Self {
        let name = start.identity.sent.as_ref().filter(|_| start.versions != Versions::Tls12);
        Self {
            hello: start.hello,
            port: start.address.port(),
            name: name.cloned(),
            https: None,
            offer: None,
            is_asked: false,
            by_close: false,
            found: None,
        }
    }
}

impl Follow for Asking {
    fn wants_https(&self) -> bool {
        true
    }

    fn take_https(&mut self, https: Option<&resolve::Https>) {
        self.offer = self.name.as_ref().and_then(|name| {
            let mut lists = https.into_iter().flat_map(|https| https.ech(self.port));
            let of_record = lists.find_map(Offer::of_list);
            let of_record = of_record.map(|offer| (EchConfigOf::HttpsRecord, offer));
            // Making one fails only without random numbers, and then no handshake would have begun either.
            of_record.or_else(|| Some((EchConfigOf::MadeUp, Offer::made_up(name).ok()?)))
        });
        self.https = https.map(|https| Box::new(https.clone().into()));
    }

    fn next(&mut self) -> Option<Speech> {
        let (_, offer) = self.offer.as_ref()?;
        let is_first = !std::mem::replace(&mut self.is_asked, true);
        is_first.then(|| {
            Speech::Tailored(Box::new(Tailored {
                ech: Some(offer.config.clone()),
                ..Tailored::new(self.hello, Versions::Tls13)
            }))
        })
    }

    fn settle(&mut self, _number: usize, attempt: &Attempt) {
        let Some((config, offer)) = &self.offer else {
            return;
        };
        let offered = attempt.ech_rejection.as_deref();
        let is_accepted = attempt.agreed.as_ref().is_some_and(|agreed| agreed.is_ech_accepted);
        let status = match (offered, config) {
            (Some(offered), _) if offered.count > 0 => EchStatus::RejectedWithRetry,
            (Some(_), EchConfigOf::HttpsRecord) => EchStatus::Rejected,
            (Some(_), EchConfigOf::MadeUp) => EchStatus::NotShown,
            (None, _) if attempt.result.is_ok() && is_accepted => EchStatus::Accepted,
            (None, _) if attempt.is_refused() => EchStatus::NotShown,
            (None, _) => EchStatus::Unknown,
        };
        self.by_close = attempt.is_refusal;
        let failure = attempt.result.as_ref().err().filter(|_| offered.is_none());
        let error = failure.map(|failure| {
            format!("{}/{}: {}", failure.stage.word(), failure.kind.word(), failure.detail)
        });
        let offered = offered.cloned().unwrap_or_default();
        self.found = Some(Ech {
            status,
            config: *config,
            public_name: shown(&offer.contents.public_name),
            retry_configs_count: (offered.kept.len() < offered.count).then_some(offered.count),
            retry_configs: offered.kept.into_iter().map(EchRetryConfig::from).collect(),
            error,
        });
    }

    fn doubt_closes(&mut self) {
        if let Some(found) = self.found.as_mut().filter(|_| self.by_close) {
            found.status = EchStatus::Unknown;
        }
    }

    fn into_facts(self: Box<Self>, facts: &mut Facts) {
        facts.https = self.https;
        facts.ech = self.found.map(Box::new);
    }
}
