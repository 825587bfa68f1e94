//! What is said of a record once it is made: what has changed, and the conditions that it meets.

use std::sync::Arc;

use crate::report::baseline::Baseline;
use crate::report::check::Checks;
use crate::report::record::Record;

/// What every record is held against.
#[derive(Debug, Default)]
pub struct Review {
    checks: Checks,
    baseline: Option<Arc<Baseline>>,
}

impl Review {
    /// Says what has changed since `baseline`, and which of `checks` a record meets.
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
