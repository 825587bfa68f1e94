//! What a result depends on besides the targets: the program, and how it was set up.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cert::Roots;

/// What the program was built from. Absent is what its build could not tell.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct Build {
    /// The commit of its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<&'static str>,
    /// The platform that it was built for, as rustc names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<&'static str>,
    /// The version of rustls, which speaks TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rustls: Option<&'static str>,
    /// The version of aws-lc-rs, which calls AWS-LC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_lc_rs: Option<&'static str>,
    /// The version of aws-lc-sys, which is AWS-LC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_lc_sys: Option<&'static str>,
    /// The version of webpki-roots, which holds the built-in roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webpki_roots: Option<&'static str>,
    /// The day on which the built-in roots were published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roots_published: Option<&'static str>,
}

/// How a sweep was set up, as far as its command line does not say: chance and this machine had a part
/// in it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Setup {
    /// What `--seed` takes to give the same order; absent without `--shuffle`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How many targets were worked on at once, at most. The machine's limits may have lowered it.
    pub concurrency: usize,
    /// What the verdicts rest on.
    pub roots: RootsInUse,
}

/// The roots of a sweep, in short.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct RootsInUse {
    /// How many there are.
    pub count: usize,
    /// The same for the same roots, in whatever order they were read.
    pub sha256: String,
}

impl RootsInUse {
    /// Those of `roots`.
    pub fn of(roots: &Roots) -> Self {
        Self { count: roots.len(), sha256: roots.sha256() }
    }
}
