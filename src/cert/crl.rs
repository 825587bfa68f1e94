//! Certificate revocation lists that the user gives.
//!
//! webpki reads the lists: it refuses delta lists, indirect ones, those of some reasons only, and
//! critical extensions that it does not know. Whether a list covers a certificate is decided as webpki
//! decides it (RFC 5280, section 6.3.3): the same issuer, a scope that includes the certificate, a
//! distribution point that both name. Its signature has to hold under the key that signed the
//! certificate, and now has to lie between its two dates. webpki cannot be asked itself, for it
//! would only look at certificates without other faults.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use webpki::{BorrowedCertRevocationList, CertRevocationList, Error};

use super::algorithms::Algorithms;
use super::canonical::canonical;
use super::der::{Reader, tag};
use super::link::Link;
use super::pem_file;
use super::problem::{Problem, Problems};
use super::reading::{self, Reading, id};
use super::roots::Root;
use super::text::{rfc3339, seconds, sha256};
use crate::limits::MAX_CRL_KEYS;
use crate::signature::Checked;

/// The bit of [`Reading::key_usage`] that lets a key sign revocation lists.
const CRL_SIGN: u16 = 1 << 6;

/// What the lists say of the certificates of a path.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CrlStatus {
    /// Each certificate below the root is covered by a current list, and none is revoked.
    Good,
    /// A certificate of the path is revoked.
    Revoked,
    /// None is known to be revoked, but not each is covered by a current list.
    NotCovered,
}

impl CrlStatus {
    /// The word for it in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::NotCovered => "not_covered",
        }
    }
}

/// Revocation lists, found by their issuer.
#[derive(Debug, Default)]
pub struct Crls {
    lists: Vec<Crl>,
    /// By the canonical form of the issuer's name.
    by_issuer: HashMap<Vec<u8>, Vec<usize>>,
}

/// One list.
struct Crl {
    /// The signed part, its algorithm and the signature.
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    /// Seconds since 1970.
    this_update: i64,
    /// Seconds since 1970. The list no longer holds from this moment on.
    next_update: i64,
    scope: Scope,
    serials: HashSet<Box<[u8]>>,
    /// Whether the signature holds, by the SHA-256 of the issuer's key.
    checked: Mutex<HashMap<[u8; 32], bool>>,
}

/// The certificates that a list is about.
#[derive(Debug, Default, Eq, PartialEq)]
struct Scope {
    /// The URIs of the list's distribution point; `None` when it has none and covers all.
    uris: Option<Vec<Vec<u8>>>,
    only_leaves: bool,
    only_issuers: bool,
}

/// Why a file of revocation lists cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrlError {
    /// There is no list in it.
    Empty,
    /// It is not PEM, from about this list on (counted from 1).
    Pem(usize, String),
    /// This list (counted from 1) cannot be used.
    List(usize, String),
}

impl Crls {
    /// Adds the lists of a file, which is DER or PEM. Other PEM blocks in it are passed over.
    ///
    /// # Errors
    /// When it holds no list, or one that cannot be read or is of a kind that is not supported.
    pub fn add(&mut self, file: &[u8]) -> Result<(), CrlError> {
        if !pem_file::is_pem(file) {
            return match file {
                [] => Err(CrlError::Empty),
                _ => self.add_list(file, 1),
            };
        }
        let before = self.lists.len();
        let blocks = pem_file::blocks(file);
        for (number, list) in (1..).zip(CertificateRevocationListDer::pem_slice_iter(&blocks)) {
            let list = list.map_err(|error| CrlError::Pem(number, pem_file::reason(&error)))?;
            self.add_list(&list, number)?;
        }
        if self.lists.len() == before { Err(CrlError::Empty) } else { Ok(()) }
    }

    /// Whether there are no lists.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Adds all lists of another collection.
    pub fn extend(&mut self, other: Self) {
        let before = self.lists.len();
        for (issuer, places) in other.by_issuer {
            let places = places.into_iter().map(|place| before + place);
            self.by_issuer.entry(issuer).or_default().extend(places);
        }
        self.lists.extend(other.lists);
    }

    /// When the lists ended that have ended by now, RFC 3339 in UTC.
    pub fn ended(&self, now: SystemTime) -> impl Iterator<Item = String> {
        let now = seconds(now);
        let ended = self.lists.iter().filter(move |list| list.next_update <= now);
        ended.filter_map(|list| rfc3339(list.next_update))
    }

    fn add_list(&mut self, der: &[u8], number: usize) -> Result<(), CrlError> {
        let fails = |reason: String| CrlError::List(number, reason);
        let borrowed = BorrowedCertRevocationList::from_der(der);
        let borrowed = borrowed.map_err(|error| fails(explained(&error)))?;
        let mut serials = HashSet::new();
        for revoked in &borrowed {
            let revoked = revoked.map_err(|error| fails(explained(&error)))?;
            serials.insert(Box::from(revoked.serial_number));
        }
        let list = CertRevocationList::from(borrowed);
        let scope =
            list.issuing_distribution_point().map_or_else(|| Some(Scope::default()), Scope::read);
        let crl = scope.and_then(|scope| Crl::read(der, scope, serials));
        let crl = crl.ok_or_else(|| fails("it is malformed".to_owned()))?;
        let issuer = canonical(list.issuer()).into_owned();
        self.by_issuer.entry(issuer).or_default().push(self.lists.len());
        self.lists.push(crl);
        Ok(())
    }

    /// What the lists say of a path with these faults, leaf first. `None`: there are no lists.
    pub(super) fn status(
        &self,
        links: &[&Link<'_>],
        root: Option<&Root>,
        faults: Problems,
        algorithms: &Algorithms,
        now: i64,
    ) -> Option<CrlStatus> {
        if self.is_empty() {
            return None;
        }
        // A list counts for the key that signed the certificate, so that has to be known.
        let is_unsigned = faults.contains(Problem::BadSignature)
            || faults.contains(Problem::UnsupportedSignature);
        let root = root.filter(|_| !is_unsigned);
        Some(root.map_or(CrlStatus::NotCovered, |root| self.of_path(links, root, algorithms, now)))
    }

    fn of_path(
        &self,
        links: &[&Link<'_>],
        root: &Root,
        algorithms: &Algorithms,
        now: i64,
    ) -> CrlStatus {
        let mut is_covered = true;
        let key = root.key();
        for (place, link) in links.iter().enumerate() {
            let issuer = links.get(place + 1).map(|issuer| &issuer.reading);
            if issuer.and_then(Reading::key_usage).is_some_and(|usage| usage & CRL_SIGN == 0) {
                is_covered = false;
                continue;
            }
            let key = issuer.map_or(Some(key.as_slice()), |issuer| issuer.spki);
            let (Some(key), Some(serial)) = (key, link.reading.serial) else {
                is_covered = false;
                continue;
            };
            let mut covers = false;
            for list in self.of(link) {
                let is_current = (list.this_update..list.next_update).contains(&now);
                if is_current
                    && list.scope.covers(&link.reading, place == 0)
                    && list.holds(key, algorithms)
                {
                    if list.serials.contains(serial) {
                        return CrlStatus::Revoked;
                    }
                    covers = true;
                }
            }
            is_covered &= covers;
        }
        if is_covered { CrlStatus::Good } else { CrlStatus::NotCovered }
    }

    /// The moments at which a list of these issuers begins or ends.
    pub(super) fn moments<'l, 'c: 'l>(
        &'l self,
        links: impl Iterator<Item = &'l Link<'c>>,
    ) -> impl Iterator<Item = i64> {
        links.flat_map(|link| self.of(link)).flat_map(|list| [list.this_update, list.next_update])
    }

    fn of<'l>(&'l self, link: &Link<'_>) -> impl Iterator<Item = &'l Crl> + use<'l> {
        let places = link.issuer.as_deref().and_then(|issuer| self.by_issuer.get(issuer));
        places.into_iter().flatten().filter_map(|&place| self.lists.get(place))
    }
}

impl Crl {
    /// Reads what webpki does not give away.
    fn read(der: &[u8], scope: Scope, serials: HashSet<Box<[u8]>>) -> Option<Self> {
        let mut list = Reader::new(Reader::new(der).expect(tag::SEQUENCE)?.value);
        let tbs = list.expect(tag::SEQUENCE)?;
        let algorithm = list.expect(tag::SEQUENCE)?.whole.to_vec();
        let (_unused_bits, signature) = list.expect(tag::BIT_STRING)?.value.split_first()?;
        let mut fields = Reader::new(tbs.value);
        fields.expect(tag::INTEGER)?;
        fields.expect(tag::SEQUENCE)?;
        fields.expect(tag::SEQUENCE)?;
        let mut moment = || reading::moment(fields.element()?).map(|moment| moment.seconds);
        Some(Self {
            this_update: moment()?,
            next_update: moment()?,
            tbs: tbs.whole.to_vec(),
            algorithm,
            signature: signature.to_vec(),
            scope,
            serials,
            checked: Mutex::default(),
        })
    }

    /// Whether this key signed the list.
    fn holds(&self, key: &[u8], algorithms: &Algorithms) -> bool {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = sha256(key);
        if let Some(&holds) = checked.get(&hash) {
            return holds;
        }
        if checked.len() >= MAX_CRL_KEYS {
            return false;
        }
        let found = algorithms.check(key, &self.algorithm, &self.tbs, &self.signature);
        let holds = found == Checked::Valid;
        checked.insert(hash, holds);
        holds
    }
}

impl Scope {
    /// Reads the extension issuingDistributionPoint, which webpki has accepted.
    fn read(extension: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(Reader::new(extension).expect(tag::SEQUENCE)?.value);
        let mut scope = Self { uris: Some(Vec::new()), ..Self::default() };
        while let Some(field) = fields.element() {
            match field.tag {
                0xa0 => scope.uris = Some(uris(field.value)),
                0x81 => scope.only_leaves = field.value != [0],
                0x82 => scope.only_issuers = field.value != [0],
                _ => {}
            }
        }
        fields.is_empty().then_some(scope)
    }

    fn covers(&self, certificate: &Reading<'_>, is_leaf: bool) -> bool {
        if self.only_issuers && is_leaf || self.only_leaves && !is_leaf {
            return false;
        }
        let Some(uris) = &self.uris else {
            return true;
        };
        match certificate.extension(id::CRL_DISTRIBUTION_POINTS) {
            None => true,
            Some(points) => distribution_points(points.value).any(|uri| uris.contains(&uri)),
        }
    }
}

/// The URIs of the points of an extension cRLDistributionPoints that stand for lists of all reasons
/// by the certificate's own issuer.
fn distribution_points(extension: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let list = Reader::new(extension).expect(tag::SEQUENCE);
    let mut points = Reader::new(list.map_or(&[], |list| list.value));
    std::iter::from_fn(move || points.expect(tag::SEQUENCE)).flat_map(|point| {
        let mut fields = Reader::new(point.value);
        match fields.expect(tag::context(0)) {
            Some(name) if fields.is_empty() => uris(name.value),
            _ => Vec::new(),
        }
    })
}

/// The URIs of a DistributionPointName, without its header.
fn uris(name: &[u8]) -> Vec<Vec<u8>> {
    const URI: u8 = 0x86;
    let full_name = Reader::new(name).expect(tag::context(0));
    let mut names = Reader::new(full_name.map_or(&[], |names| names.value));
    let all = std::iter::from_fn(|| names.element());
    all.filter(|name| name.tag == URI).map(|uri| uri.value.to_vec()).collect()
}

/// What webpki has against a list, and what to do about it.
fn explained(error: &Error) -> String {
    let remedy = match error {
        Error::UnsupportedDeltaCrl => "it is a delta list; give the complete list",
        Error::UnsupportedIndirectCrl => "it is an indirect list, of other issuers' certificates",
        Error::UnsupportedRevocationReasonsPartitioning => {
            "it is of some reasons only; give the list of all reasons"
        }
        Error::UnsupportedCrlVersion => "it is not of version 2",
        _ => return format!("{error:?}"),
    };
    remedy.to_owned()
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crl").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl fmt::Display for CrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "no revocation list in it"),
            Self::Pem(number, reason) => write!(f, "list {number} is not PEM: {reason}"),
            Self::List(number, reason) => write!(f, "list {number} cannot be used: {reason}"),
        }
    }
}

impl std::error::Error for CrlError {}
