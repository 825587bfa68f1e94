//! Flags that say how certificates are judged, and which findings make a run fail.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use tlsweep::report::check::Checks;

#[derive(Args, Debug)]
#[command(next_help_heading = "Certificates")]
pub(crate) struct Certificates {
    /// File of roots (PEM or DER) instead of the built-in ones (Mozilla's); repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) roots: Vec<PathBuf>,

    /// Trust this machine's roots as well
    #[arg(long)]
    pub(crate) system_roots: bool,

    /// File of revocation lists (DER or PEM), in which every certificate of the path is looked up;
    /// repeatable
    #[arg(long = "crl", value_name = "FILE")]
    pub(crate) crls: Vec<PathBuf>,

    /// Folder of CRLite filters, in which every server certificate is looked up: that of `upki fetch`
    #[arg(long, value_name = "DIR")]
    pub(crate) crlite: Option<PathBuf>,

    /// Facts of every certificate of the chain, not only of the leaf (JSON)
    #[arg(long)]
    pub(super) chain: bool,

    /// The PEM of every certificate whose facts are written (JSON and CSV)
    #[arg(long)]
    pub(super) pem: bool,

    /// Conditions that make the exit code 1 when a target meets one: see the end of --help
    #[arg(long, value_name = "COND[,COND]", help_heading = "Checks")]
    pub(super) fail_on: Vec<String>,
}

impl Certificates {
    /// The conditions of `--fail-on`.
    ///
    /// # Errors
    /// A word that is not a condition.
    pub(crate) fn checks(&self) -> Result<Checks> {
        Checks::parse(self.fail_on.iter().map(String::as_str)).context("--fail-on")
    }
}
