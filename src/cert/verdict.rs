//! The verdict of a strict client on a chain, with every problem that it could report.

use rustls_pki_types::{CertificateDer, ServerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use webpki::{EndEntityCert, Error};

use super::contain::contain;
use super::crl::CrlStatus;
use super::crlite::CrliteStatus;
use super::mend::{Role, mend};
use super::path::Path;
use super::problem::{Problem, Trusted, Verdict};
use super::reading::{Reading, id};
use super::text::{days_until, rfc3339};
use super::well_formed::is_well_formed_extension;
use crate::signature::Proof;

/// The verdict on a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Trust {
    /// `trusted`, or the gravest problem.
    pub verdict: Verdict,
    /// All problems, gravest first.
    pub problems: Vec<Problem>,
    /// Whether the leaf is for the name that was asked for. Absent: no name, or unreadable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_ok: Option<bool>,
    /// The root that the path ends at, by RFC 4514.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// When the path ends: the earliest end of the leaf, its issuers and, when it is not a built-in
    /// one, the root. Without a path, of the leaf and of what was sent that leads upward from it.
    /// RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// Whole days until then; negative when that has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// Critical extensions of the path that a full RFC 5280 client would have looked at and tlsweep
    /// did not: `certificate_policies`, `policy_mappings`, `policy_constraints`,
    /// `inhibit_any_policy`. Absent when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_evaluated: Vec<String>,
    /// What says that a certificate is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<RevokedBy>,
}

/// What says that a certificate is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevokedBy {
    /// The stapled OCSP response says so of the leaf.
    Staple,
    /// A list of `--crl` says so of a certificate of the path.
    Crl,
    /// A filter of `--crlite` says so of the leaf.
    Crlite,
}

impl RevokedBy {
    /// The word for it in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staple => "staple",
            Self::Crl => "crl",
            Self::Crlite => "crlite",
        }
    }
}

/// What the sources of revocations say that the user gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Revocation {
    /// What the lists of `--crl` say of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl: Option<CrlStatus>,
    /// What the filters of `--crlite` say of the leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crlite: Option<CrliteStatus>,
}

impl Revocation {
    /// What they say of a path; none when there are no sources.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let Path { crl, crlite, .. } = *path;
        (crl.is_some() || crlite.is_some()).then_some(Self { crl, crlite })
    }
}

impl Trust {
    /// The same with one more problem.
    #[must_use]
    pub(crate) fn with(mut self, problem: Problem) -> Self {
        if let Err(place) = self.problems.binary_search(&problem) {
            self.problems.insert(place, problem);
        }
        self.verdict = self.problems.first().map_or(self.verdict, |&p| Verdict::Untrusted(p));
        self
    }

    /// Combines the problems of the path, the name, the key and the rest.
    ///
    /// Without a proof there is always a problem, so nothing is trusted without one.
    pub(super) fn new(
        path: &Path,
        name_ok: Option<bool>,
        proof: &Proof,
        others: impl IntoIterator<Item = Problem>,
        now: i64,
    ) -> Self {
        let mut problems = path.problems;
        let is_in_list = problems.contains(Problem::Revoked);
        problems.insert_if(name_ok == Some(false), Problem::NameMismatch);
        problems.insert_if(!proof.is_held(), Problem::Unproven);
        let mut is_stapled = false;
        for problem in others {
            is_stapled |= problem == Problem::Revoked;
            problems.insert(problem);
        }
        let in_list = is_in_list.then_some(match path.crl {
            Some(CrlStatus::Revoked) => RevokedBy::Crl,
            _ => RevokedBy::Crlite,
        });
        let revoked_by = if is_stapled { Some(RevokedBy::Staple) } else { in_list };
        let problems = problems.to_vec();
        Self {
            verdict: problems
                .first()
                .map_or(Verdict::Trusted(Trusted::Trusted), |&gravest| Verdict::Untrusted(gravest)),
            problems,
            name_ok,
            anchor: path.anchor.clone(),
            not_after: path.ends.and_then(rfc3339),
            days_left: path.ends.map(|ends| days_until(ends, now)),
            not_evaluated: path.not_evaluated.iter().map(|&word| word.to_owned()).collect(),
            revoked_by,
        }
    }
}

/// Whether the leaf is for this name. `None`: what it is for cannot be read.
pub(super) fn is_for_name(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> Option<bool> {
    contain(|| match EndEntityCert::try_from(leaf) {
        Ok(leaf) => has_name(&leaf, name),
        Err(_beyond_webpki) => has_name(&EndEntityCert::try_from(&mended(leaf)?).ok()?, name),
    })
    .flatten()
}

fn has_name(leaf: &EndEntityCert<'_>, name: &ServerName<'_>) -> Option<bool> {
    match leaf.verify_is_valid_for_subject_name(name) {
        Ok(()) => Some(true),
        Err(Error::UnsupportedNameType) => None,
        // No name fits, or the list of names breaks off before one does.
        Err(_no_such_name) => Some(false),
    }
}

/// The leaf without all that could keep webpki from its names, where they can be read.
fn mended(leaf: &CertificateDer<'_>) -> Option<CertificateDer<'static>> {
    let unparseable = [
        Problem::BadEncoding,
        Problem::UnsupportedVersion,
        Problem::CriticalExtension,
        Problem::NameConstraint,
        Problem::BadPurpose,
        Problem::CaAsLeaf,
    ];
    let reading = Reading::new(leaf);
    match reading.extension(id::SUBJECT_ALT_NAME) {
        Some(names) => is_well_formed_extension(id::SUBJECT_ALT_NAME, names.value).then_some(())?,
        None => reading.extensions_complete.then_some(())?,
    }
    let mended = mend(&reading, Role::Leaf, unparseable.into_iter().collect(), 0);
    Some(mended.der.into())
}
