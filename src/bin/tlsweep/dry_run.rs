//! `--dry-run`: everything but the dials.

use std::io;

use anyhow::Result;
use serde::Serialize;
use tlsweep::config::Config;
use tlsweep::failure::Kind;
use tlsweep::feed::input::Input;
use tlsweep::feed::resume::Done;
use tlsweep::feed::target::Host;
use tlsweep::probe::parse;

use crate::cli::Cli;

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

/// Reads all of the input; what a sweep would do with it, as text or JSON.
///
/// # Errors
/// An input that cannot be read.
pub(crate) fn run(cli: &mut Cli, config: &Config, limits: Vec<String>) -> Result<String> {
    let (targets, files) = cli.targets.inputs()?;
    let input = Input::open(targets, &files, || Box::new(io::stdin()))?;
    let (concurrency, lookups) = (config.concurrency.get(), config.lookups.get());
    let mut plan = Plan { concurrency, lookups, limits, ..Plan::default() };
    cli.targets.selection(cli.output.quiet).send_all(input, &mut Done::default(), |line| {
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
    if cli.output.format() == "json" {
        return Ok(serde_json::to_string(&plan)?);
    }
    let Plan { targets, names, addresses, invalid, excluded, limits, .. } = plan;
    let counts = format!(
        "{targets} targets: {names} names, {addresses} addresses, {invalid} invalid, {excluded} excluded\n\
         at most {concurrency} dials and {lookups} lookups at once"
    );
    Ok(limits.iter().fold(counts, |text, limit| text + "\n" + limit))
}
