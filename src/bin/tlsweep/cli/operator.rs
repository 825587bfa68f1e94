//! What the operator sees of a sweep besides its results.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use super::values::{Span, period};
use crate::replaced::Replaced;
use crate::watch::Reports;

/// Between two status lines in a file, unless told otherwise.
const FILE_INTERVAL: Duration = Duration::from_secs(10);
/// Between two updates of the metrics, unless told otherwise: that of Prometheus' own scrapes.
const METRICS_INTERVAL: Duration = Duration::from_secs(15);

#[derive(Args, Debug)]
#[command(next_help_heading = "Operation")]
pub(crate) struct Operator {
    /// Write a line of JSON on how the sweep goes every so often, on stderr (SIGUSR1: at once)
    #[arg(long, value_name = "SECS", value_parser = period)]
    status: Option<Span>,

    /// File that the status lines are appended to, instead of stderr; every 10s unless --status says so
    #[arg(long, value_name = "FILE")]
    status_file: Option<PathBuf>,

    /// File for a JSON document on the whole sweep, at its end
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,

    /// File for metrics as Prometheus reads them, replaced every 15s or as --status says, and at the end
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
}

impl Operator {
    /// Whether verdicts are counted, even if no record shows them.
    pub(super) fn counts_verdicts(&self) -> bool {
        self.summary.is_some() || self.metrics.is_some()
    }

    /// Where to write what, and how often.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn reports(&self) -> Result<Reports> {
        let append = |path: &PathBuf| {
            let file = File::options().append(true).create(true).open(path);
            file.with_context(|| format!("cannot write {}", path.display()))
        };
        let every = self.status.as_ref().map(|span| span.0);
        Ok(Reports {
            lines: self.status_file.as_ref().map(append).transpose()?,
            interval: match (every, &self.status_file, &self.metrics) {
                (Some(every), ..) => Some(every),
                (None, Some(_), _) => Some(FILE_INTERVAL),
                (None, None, Some(_)) => Some(METRICS_INTERVAL),
                (None, None, None) => None,
            },
            has_lines: self.status.is_some() || self.status_file.is_some(),
            metrics: self.metrics.clone().map(Replaced::at).transpose()?,
            summary: self.summary.clone().map(Replaced::at).transpose()?,
        })
    }
}
