//! CRLite: what Mozilla knows of all revocations of public CAs, in filters of a few megabytes.
//!
//! A certificate carries timestamps (SCTs) from logs. A filter covers the certificate if one of them comes
//! from a log and a period that the filter was made from. If the filter has the certificate's issuer, it says
//! whether the certificate is revoked. Certificates of CAs carry no such timestamps, so filters are about
//! leaves.

use std::error::Error as _;
use std::fmt;

use clubcard_crlite::{CRLiteClubcard, CRLiteKey, CRLiteStatus, IssuerSpkiHash, LogId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::crl::Crls;
use super::der::{Reader, tag};
use super::link::Link;
use super::problem::{Problem, Problems};
use super::reading::{Reading, id};
use super::roots::Root;
use super::text::sha256;
use crate::limits::MAX_TIMESTAMPS;

/// What the filters say of a leaf.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CrliteStatus {
    /// No filter covers it: it is newer than the filters, or has no timestamps of their logs, or no path
    /// leads to a root.
    NotCovered,
    /// Filters cover its timestamps, but none of them has its issuer.
    NotEnrolled,
    /// A filter that covers it says that it is not revoked, and none says that it is.
    Good,
    /// A filter that covers it says that it is revoked.
    Revoked,
}

impl CrliteStatus {
    /// The word for it in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::NotCovered => "not_covered",
            Self::NotEnrolled => "not_enrolled",
        }
    }
}

impl From<CRLiteStatus> for CrliteStatus {
    fn from(status: CRLiteStatus) -> Self {
        match status {
            CRLiteStatus::Good => Self::Good,
            CRLiteStatus::Revoked => Self::Revoked,
            CRLiteStatus::NotCovered => Self::NotCovered,
            CRLiteStatus::NotEnrolled => Self::NotEnrolled,
        }
    }
}

/// Where revocations are looked up.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) crls: &'a Crls,
    pub(super) crlite: &'a Crlite,
}

/// Filters, each of which covers a time of its own.
#[derive(Default)]
pub struct Crlite {
    filters: Vec<CRLiteClubcard>,
    /// The last moment that a filter was made from, in milliseconds since 1970.
    newest: Option<u64>,
}

/// Why a file is no filter.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CrliteError(String);

impl Crlite {
    /// Adds the filter in a file.
    ///
    /// # Errors
    /// The file is not a filter, or one that is damaged.
    pub fn add(&mut self, file: &[u8]) -> Result<(), CrliteError> {
        let filter = CRLiteClubcard::from_bytes(file).map_err(|error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            CrliteError(format!("{error}{cause}"))
        })?;
        if !is_sound(&filter) {
            return Err(CrliteError("its parts do not fit together".to_owned()));
        }
        let newest = filter.universe().iter().map(|(_, interval)| interval.high.0).max();
        self.newest = self.newest.max(newest);
        self.filters.push(filter);
        Ok(())
    }

    /// Whether there are no filters.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// The last moment of which the filters know, in seconds since 1970.
    pub fn newest(&self) -> Option<u64> {
        self.newest.map(|newest| newest / 1000)
    }

    /// What the filters say of the leaf of a path with these faults. `None`: there are no filters.
    pub(super) fn status(
        &self,
        links: &[&Link<'_>],
        root: Option<&Root>,
        faults: Problems,
    ) -> Option<CrliteStatus> {
        if self.is_empty() {
            return None;
        }
        // A filter has the key that signed the certificate, so that has to be known.
        let is_unsigned = faults.contains(Problem::BadSignature)
            || faults.contains(Problem::UnsupportedSignature);
        let root = root.filter(|_| !is_unsigned);
        let status = root.and_then(|root| {
            let leaf = &links.first()?.reading;
            match links.get(1) {
                Some(issuer) => self.of_leaf(leaf, issuer.reading.spki?),
                None => self.of_leaf(leaf, &root.key()),
            }
        });
        Some(status.unwrap_or(CrliteStatus::NotCovered))
    }

    /// What they say of a leaf that this key (a SubjectPublicKeyInfo) has signed.
    fn of_leaf(&self, leaf: &Reading<'_>, key: &[u8]) -> Option<CrliteStatus> {
        let issuer = IssuerSpkiHash(sha256(key));
        let serial = leaf.serial?;
        let hash = Sha256::new().chain_update(issuer.0).chain_update(serial).finalize();
        let key = CRLiteKey::with_hash(&issuer, serial, hash.into());
        let timestamps = timestamps(leaf)?;
        let of_filter = |filter: &CRLiteClubcard| {
            CrliteStatus::from(filter.contains(&key, timestamps.iter().copied()))
        };
        self.filters.iter().map(of_filter).max()
    }
}

/// The timestamps in a leaf (RFC 6962, section 3.3).
fn timestamps(leaf: &Reading<'_>) -> Option<Vec<(LogId, Timestamp)>> {
    let extension = leaf.extension(id::CERTIFICATE_TIMESTAMPS)?;
    let list = Reader::new(extension.value).expect(tag::OCTET_STRING)?;
    let mut list = Reader::new(Reader::new(list.value).vector16()?);
    let each = std::iter::from_fn(|| list.vector16()).take(MAX_TIMESTAMPS);
    let read = |timestamp| {
        let mut fields = Reader::new(timestamp);
        let _version = fields.u8().filter(|version| *version == 0)?;
        let log = LogId(fields.array()?);
        Some((log, Timestamp(fields.array().map(u64::from_be_bytes)?)))
    };
    Some(each.filter_map(read).collect())
}

/// Whether what a filter has of each issuer lies inside of it.
fn is_sound(filter: &CRLiteClubcard) -> bool {
    const BITS: usize = u64::BITS as usize;
    let parts = filter.as_ref();
    let approximate = parts.approx_filter.iter().map(|row| BITS * row.len()).min().unwrap_or(0);
    let exact = BITS * parts.exact_filter.len();
    filter.index().values().all(|entry| {
        entry.approx_filter_rank <= parts.approx_filter.len()
            && (entry.approx_filter_rank == 0 || entry.approx_filter_offset <= approximate)
            && entry.exact_filter_offset <= exact
    })
}

impl fmt::Debug for Crlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crlite").field("filters", &self.filters.len()).finish_non_exhaustive()
    }
}

impl fmt::Display for CrliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CrliteError {}
