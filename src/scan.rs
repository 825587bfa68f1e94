//! From a line to its records: the probe, the record, then the conditions that it meets.

use std::future::Future;

use futures_util::FutureExt as _;

use crate::failure::Failure;
use crate::feed::input::Line;
use crate::pace::permit::Permit;
use crate::probe::{Probed, Prober};
use crate::report::record::Record;
use crate::report::review::Review;
use crate::sweep::Work;

/// Turns lines into records. All tasks of a sweep share one.
///
/// The [example of the crate](crate) shows a sweep.
pub struct Scan {
    prober: Prober,
    review: Review,
}

impl Scan {
    /// Probes with `prober`, and adds to every record what `review` says of it.
    pub fn new(prober: Prober, review: impl Into<Review>) -> Self {
        Self { prober, review: review.into() }
    }

    /// The records of `line`: one, or one for each address with
    /// [`all_addresses`](crate::config::Config::all_addresses). Bad lines and failures are records too.
    ///
    /// `permit` is given up while the target waits for something else than its peer, and taken
    /// again. Keep it until the records are written: it bounds the records that are in memory.
    /// Dropping the future ends the work without a record.
    pub fn records(
        &self,
        line: &Line,
        permit: &mut Permit,
    ) -> impl Future<Output = Vec<Record>> + Send {
        // An async function would store its arguments twice, in every task of a sweep.
        let probed = self.prober.probe(line, permit);
        probed.map(|probed| probed.into_iter().map(|probed| self.record(line, probed)).collect())
    }

    /// What probes the lines.
    #[doc(hidden)]
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
    fn work(&self, line: &Line, permit: &mut Permit) -> impl Future<Output = Vec<Record>> + Send {
        self.records(line, permit)
    }

    fn give_up(&self, line: &Line, failure: Failure) -> Record {
        self.record(line, self.prober.unfinished(line, failure))
    }
}
