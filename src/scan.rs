//! From a line to its records: the probe, the record, then the conditions that it meets.

use crate::failure::Failure;
use crate::feed::input::Line;
use crate::pace::permit::Permit;
use crate::probe::{Probed, Prober};
use crate::report::check::Checks;
use crate::report::record::Record;
use crate::sweep::Work;

/// The work of a sweep: every line is probed and comes out as records.
pub struct Scan {
    prober: Prober,
    checks: Checks,
}

impl Scan {
    /// Probes with `prober`, and says which of `checks` a record meets.
    pub fn new(prober: Prober, checks: Checks) -> Self {
        Self { prober, checks }
    }

    /// What probes the lines.
    pub fn prober(&self) -> &Prober {
        &self.prober
    }

    fn record(&self, line: &Line, probed: Probed) -> Record {
        let mut record = Record::of_probe(line, probed);
        if !self.checks.is_empty() {
            record.failed_checks = Some(self.checks.met_by(&record));
        }
        record
    }
}

impl Work for Scan {
    async fn work(&self, line: &Line, permit: &mut Permit) -> Vec<Record> {
        let probed = self.prober.probe(line, permit).await;
        probed.into_iter().map(|probed| self.record(line, probed)).collect()
    }

    fn give_up(&self, line: &Line, failure: Failure) -> Record {
        self.record(line, self.prober.unfinished(line, failure))
    }
}
