//! What the operator sees of a sweep besides its results.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::Span;

#[derive(Args, Debug)]
#[command(next_help_heading = "Operation")]
pub(crate) struct Operator {
    /// Write a status line (JSON) to stderr at this interval; SIGUSR1 writes one at once
    #[arg(long, value_name = "TIME")]
    status: Option<Span>,

    /// File that the status lines are appended to, instead of stderr; every 10s unless --status says so
    #[arg(long, value_name = "FILE")]
    pub(crate) status_file: Option<PathBuf>,

    /// File for a JSON summary of the whole sweep, written at its end
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,

    /// File for metrics for Prometheus, replaced every 15s or as --status says, and at the end
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics: Option<PathBuf>,

    /// Metrics of each target as well, for at most 10000: whether it is up, when its path ends, its
    /// verdict
    #[arg(long, requires = "metrics")]
    pub(crate) metrics_targets: bool,

    /// File for an HTML page about the whole sweep, written at its end; it has no script and
    /// loads nothing
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

impl Operator {
    /// Whether verdicts are counted, even if no record shows them.
    pub(super) fn counts_verdicts(&self) -> bool {
        self.summary.is_some() || self.metrics.is_some()
    }

    /// The time between two status lines.
    pub(crate) fn status_interval(&self) -> Option<Duration> {
        self.status.as_ref().map(|span| span.0)
    }
}
