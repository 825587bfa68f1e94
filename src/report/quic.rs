//! What a server shows of QUIC, as it stands in the record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::probe;
use crate::quic;

/// What a server shows of QUIC.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Quic {
    /// Whether it answered.
    pub status: Status,
    /// The versions in its answer, in its order: `v1`, `v2`, `draft-29`, or a number in hexadecimal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
}

/// Whether a server answered the question about QUIC.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It answered with its versions.
    Shown,
    /// It did not answer, which is no proof that it does not speak QUIC.
    NotShown,
    /// Its machine says that nobody listens at this UDP port.
    Refused,
}

impl Quic {
    /// One line for people.
    pub fn line(&self) -> String {
        match self.status {
            Status::Shown => self.versions.join(", "),
            Status::NotShown => "no answer, which proves nothing".to_owned(),
            Status::Refused => "no: nobody listens at this UDP port".to_owned(),
        }
    }
}

impl From<probe::Quic> for Quic {
    fn from(found: probe::Quic) -> Self {
        let (status, versions) = match found {
            probe::Quic::Versions(versions) => (Status::Shown, versions),
            probe::Quic::NotShown => (Status::NotShown, Vec::new()),
            probe::Quic::Refused => (Status::Refused, Vec::new()),
        };
        let versions = versions.into_iter().map(|number| quic::version(number).into_owned());
        Self { status, versions: versions.collect() }
    }
}
