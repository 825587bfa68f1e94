//! What a strict client with these roots would say to a chain, and everything it could say.

use rustls_pki_types::{CertificateDer, ServerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use webpki::{EndEntityCert, Error};

use super::contain::contain;
use super::mend::{Role, mend};
use super::path::Path;
use super::problem::{Problem, Trusted, Verdict};
use super::reading::{Reading, id};
use crate::signature::Proof;

/// The verdict on a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// `trusted`, or the gravest problem.
    pub verdict: Verdict,
    /// Everything that applies, gravest first.
    pub problems: Vec<Problem>,
    /// Whether the leaf is for the name that was asked for. Absent: no name, or unreadable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_ok: Option<bool>,
    /// The root that the path ends at, by RFC 4514.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
}

impl Trust {
    /// The same with one more problem.
    #[must_use]
    pub fn with(mut self, problem: Problem) -> Self {
        if let Err(place) = self.problems.binary_search(&problem) {
            self.problems.insert(place, problem);
        }
        self.verdict = self.problems.first().map_or(self.verdict, |&p| Verdict::Untrusted(p));
        self
    }

    /// Brings together what is known of the path, of the name, of the key, and otherwise.
    ///
    /// Without a proof there is always a problem, so nothing is trusted without one.
    pub(super) fn new(
        path: &Path,
        name_ok: Option<bool>,
        proof: &Proof,
        others: impl IntoIterator<Item = Problem>,
    ) -> Self {
        let mut problems = path.problems;
        problems.insert_if(name_ok == Some(false), Problem::NameMismatch);
        problems.insert_if(!proof.is_held(), Problem::Unproven);
        for problem in others {
            problems.insert(problem);
        }
        let problems = problems.to_vec();
        Self {
            verdict: problems
                .first()
                .map_or(Verdict::Trusted(Trusted::Trusted), |&gravest| Verdict::Untrusted(gravest)),
            problems,
            name_ok,
            anchor: path.anchor.clone(),
        }
    }
}

/// Whether the leaf is for this name. `None`: what it is for cannot be read.
pub(super) fn is_for_name(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> Option<bool> {
    contain(|| match EndEntityCert::try_from(leaf) {
        Ok(leaf) => has_name(&leaf, name),
        Err(_) => has_name(&EndEntityCert::try_from(&mended(leaf)?).ok()?, name),
    })
    .flatten()
}

fn has_name(leaf: &EndEntityCert<'_>, name: &ServerName<'_>) -> Option<bool> {
    match leaf.verify_is_valid_for_subject_name(name) {
        Ok(()) => Some(true),
        Err(Error::UnsupportedNameType) => None,
        Err(_) => Some(false),
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
    if !reading.extensions_complete {
        reading.extension(id::SUBJECT_ALT_NAME)?;
    }
    let mended = mend(&reading, Role::Leaf, unparseable.into_iter().collect());
    Some(mended.der.into())
}
