//! `--ech`: the HTTPS records of a server name, as they stand in the record.

use std::net::{Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dial::resolve::{self, End, ServiceRecord};
use crate::escape::cut;
use crate::limits::{HTTPS_VALUES_LIMIT, NAME_LIMIT, TEXT_LIMIT};
use crate::tls::ech::Configurations;

/// What the DNS says of a server in HTTPS records (RFC 9460).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Https {
    /// Whether there are such records.
    pub status: HttpsStatus,
    /// The name that was asked for.
    pub name: String,
    /// The first of them: aliases in the order in which they lead on, then services, the most preferred
    /// first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<HttpsRecord>,
    /// How many there are, when they are not all in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_count: Option<usize>,
    /// Why it is not known whether there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether a name has HTTPS records.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HttpsStatus {
    /// It has.
    Found,
    /// The name server says that it has none.
    None,
    /// The records are not as RFC 9460 has it, so that a client has to ignore all of them.
    Malformed,
    /// There was no answer.
    Unknown,
}

/// One HTTPS record.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpsRecord {
    /// The name that has it, when it is not the one that was asked for: an alias leads there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The lower, the more preferred. 0 is an alias: the records of the target count instead.
    pub priority: u16,
    /// The name at which the service is; `.` is the name that has the record.
    pub target: String,
    /// The parameters without which it is of no use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mandatory: Vec<String>,
    /// Protocols that the service speaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// True: the service speaks HTTP/1.1 only if `alpn` lists it. Absent: it speaks HTTP/1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_default_alpn: Option<bool>,
    /// The port, if the record has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Addresses of the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ipv4hint: Vec<Ipv4Addr>,
    /// Addresses of the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ipv6hint: Vec<Ipv6Addr>,
    /// The names that a client sends in the clear with the ECH configurations of the record. Absent: the
    /// record has none. Empty: none of them can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ech_public_names: Option<Vec<String>>,
    /// Why a client ignores the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<String>,
}

impl Https {
    /// One line for people.
    #[doc(hidden)]
    pub fn line(&self) -> String {
        match (self.status, &self.error) {
            (HttpsStatus::Found, _) => {
                let records: Vec<_> = self.records.iter().map(HttpsRecord::line).collect();
                records.join("; ")
            }
            (HttpsStatus::None, _) => format!("{} has none", self.name),
            (HttpsStatus::Malformed, _) => "malformed: clients ignore them".to_owned(),
            (HttpsStatus::Unknown, error) => error.clone().unwrap_or_default(),
        }
    }
}

impl HttpsRecord {
    fn line(&self) -> String {
        let mut words = vec![self.priority.to_string(), self.target.clone()];
        if !self.alpn.is_empty() {
            words.push(format!("alpn={}", self.alpn.join(",")));
        }
        words.extend(self.port.map(|port| format!("port={port}")));
        words
            .extend(self.ech_public_names.as_ref().map(|names| format!("ech={}", names.join(","))));
        words.extend(self.ignored.as_ref().map(|why| format!("(ignored: {why})")));
        words.join(" ")
    }

    fn of(record: ServiceRecord, asked: &str) -> Self {
        let ServiceRecord { owner, priority, target, port, ipv4_hints, ipv6_hints, .. } = record;
        let short =
            |texts: Vec<String>| texts.into_iter().map(|text| cut(text, TEXT_LIMIT)).collect();
        Self {
            owner: (owner != asked).then(|| cut(owner, NAME_LIMIT)),
            priority,
            target: cut(target, NAME_LIMIT),
            mandatory: short(record.mandatory),
            alpn: short(record.alpn),
            no_default_alpn: record.no_default_alpn.then_some(true),
            port,
            ipv4hint: ipv4_hints,
            ipv6hint: ipv6_hints,
            ech_public_names: record.ech.as_deref().map(public_names),
            ignored: record.ignored,
        }
    }
}

/// The public names in a list of ECH configurations.
fn public_names(list: &[u8]) -> Vec<String> {
    let configurations = Configurations::of_list(list).unwrap_or_default();
    let contents = configurations.kept.into_iter().filter_map(|known| known.contents);
    let names = contents.map(|contents| contents.public_name.escape_ascii().to_string());
    names.take(HTTPS_VALUES_LIMIT).map(|name| cut(name, NAME_LIMIT)).collect()
}

impl From<resolve::Https> for Https {
    fn from(found: resolve::Https) -> Self {
        let resolve::Https { name, records, count, end } = found;
        let (status, error) = match end {
            End::Found => (HttpsStatus::Found, None),
            End::None => (HttpsStatus::None, None),
            End::Malformed => (HttpsStatus::Malformed, None),
            End::Unknown(failure) => (HttpsStatus::Unknown, Some(failure.detail.clone())),
        };
        Self {
            status,
            records_count: (records.len() < count).then_some(count),
            records: records.into_iter().map(|record| HttpsRecord::of(record, &name)).collect(),
            name: cut(name, NAME_LIMIT),
            error,
        }
    }
}
