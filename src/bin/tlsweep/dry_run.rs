//! `--dry-run`: everything but the dials.

use anyhow::Result;
use serde::Serialize;
use tlsweep::config::Config;
use tlsweep::failure::Kind;
use tlsweep::feed::input::{Input, Line};
use tlsweep::feed::resume::Done;
use tlsweep::feed::selection::Selection;
use tlsweep::feed::target::Host;
use tlsweep::plural::count;
use tlsweep::probe::parse;

use crate::hints::Hints;

/// A sweep that is only counted.
pub(crate) struct DryRun {
    pub(crate) config: Config,
    pub(crate) input: Input,
    pub(crate) selection: Selection,
    /// What limits the sweep on this machine.
    pub(crate) limits: Vec<String>,
    /// Whether to answer in JSON.
    pub(crate) as_json: bool,
    /// What to say about a list that does not look like one of targets.
    pub(crate) hints: Hints,
}

/// What a sweep would do.
#[derive(Default, Serialize)]
struct Plan {
    targets: u64,
    names: u64,
    addresses: u64,
    invalid: u64,
    excluded: u64,
    concurrency: usize,
    lookups: usize,
    limits: Vec<String>,
}

impl DryRun {
    /// Reads all of the input; what a sweep would do with it, as text or JSON.
    ///
    /// # Errors
    /// An input that cannot be read.
    pub(crate) fn run(self) -> Result<String> {
        let Self { config, input, selection, limits, as_json, mut hints } = self;
        let (concurrency, lookups) = (config.concurrency.get(), config.lookups.get());
        let mut plan = Plan { concurrency, lookups, limits, ..Plan::default() };
        selection.send_all(input, &mut Done::default(), |line: Line| {
            hints.look_at(&line);
            let host = parse(&line).map(|target| target.host);
            let admitted = host.and_then(|host| config.exclude.admit(&host).map(|()| host));
            plan.targets += 1;
            *match admitted {
                Ok(Host::Name(_)) => &mut plan.names,
                Ok(Host::Address(_)) => &mut plan.addresses,
                Err(failure) if failure.kind == Kind::Excluded => &mut plan.excluded,
                Err(_) => &mut plan.invalid,
            } += 1;
            true
        })?;
        if as_json {
            return Ok(serde_json::to_string(&plan)?);
        }
        let Plan { targets, names, addresses, invalid, excluded, limits, .. } = plan;
        let counts = format!(
            "{}: {names} names, {addresses} addresses, {invalid} invalid, {excluded} excluded\n\
         at most {concurrency} dials and {lookups} lookups at once",
            count(targets, "target"),
        );
        Ok(limits.iter().fold(counts, |text, limit| text + "\n" + limit))
    }
}
