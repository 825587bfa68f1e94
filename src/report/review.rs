//! What is said of a record once it is made: the conditions that it meets.

use crate::report::check::Checks;
use crate::report::record::Record;

/// What every record is held against.
#[derive(Debug, Default)]
pub struct Review {
    checks: Checks,
}

impl Review {
    /// Says which of `checks` a record meets.
    pub fn new(checks: Checks) -> Self {
        Self { checks }
    }

    /// Whether `--fail-on` has any conditions.
    pub fn has_checks(&self) -> bool {
        !self.checks.is_empty()
    }

    /// Adds to `record` what the review comes to. Without conditions it keeps those that it has met
    /// in an earlier sweep.
    pub fn complete(&self, record: &mut Record) {
        if self.has_checks() {
            record.failed_checks = Some(self.checks.met_by(record));
        }
    }
}

impl From<Checks> for Review {
    fn from(checks: Checks) -> Self {
        Self::new(checks)
    }
}
