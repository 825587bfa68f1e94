//! From a line to its records: the probe, the record, then the conditions that it meets.

use crate::failure::Failure;
use crate::feed::input::Line;
use crate::pace::permit::Permit;
use crate::probe::{Probed, Prober};
use crate::report::record::Record;
use crate::report::review::Review;
use crate::sweep::Work;

/// The work of a sweep: every line is probed and comes out as records.
pub struct Scan {
    prober: Prober,
    review: Review,
}

impl Scan {
    /// Probes with `prober`, and adds to every record what `review` comes to.
    pub fn new(prober: Prober, review: impl Into<Review>) -> Self {
        Self { prober, review: review.into() }
    }

    /// What probes the lines.
    pub fn prober(&self) -> &Prober {
        &self.prober
    }

    fn record(&self, line: &Line, probed: Probed) -> Record {
        let mut record = Record::of_probe(line, probed);
        self.review.complete(&mut record);
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
