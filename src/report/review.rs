//! Compares a finished record with the baseline and with the conditions of `--fail-on`.

use std::sync::Arc;

use crate::report::baseline::Baseline;
use crate::report::check::Checks;
use crate::report::record::Record;

/// The baseline and the conditions that every record is compared with.
#[derive(Debug, Default)]
pub struct Review {
    checks: Checks,
    baseline: Option<Arc<Baseline>>,
}

impl Review {
    /// Says what has changed since `baseline`, and which of `checks` a record meets.
    #[doc(hidden)]
    pub fn new(checks: Checks, baseline: Option<Arc<Baseline>>) -> Self {
        Self { checks, baseline }
    }

    /// Whether `--fail-on` has any conditions.
    pub fn has_checks(&self) -> bool {
        !self.checks.is_empty()
    }

    /// Adds to `record` what the review comes to. Without a baseline, or without conditions, it keeps
    /// what an earlier review said.
    pub fn complete(&self, record: &mut Record) {
        if let Some(baseline) = &self.baseline {
            record.changed = baseline.compare(record).map(Box::new);
        }
        if self.has_checks() {
            record.failed_checks = Some(self.checks.met_by(record));
        }
    }
}

impl From<Checks> for Review {
    fn from(checks: Checks) -> Self {
        Self::new(checks, None)
    }
}
