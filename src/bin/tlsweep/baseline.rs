//! `--baseline`: what an earlier sweep found.

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tlsweep::report::baseline::Baseline;
use tlsweep::report::check::Checks;
use tlsweep::report::replay::Records;
use tlsweep::report::review::Review;

use crate::cli::Cli;
use crate::term;

/// What every record is held against: the conditions of `--fail-on`, and the baseline.
///
/// # Errors
/// A condition that there is not, a baseline that cannot be read, or conditions on changes of a sweep
/// without a baseline.
pub(crate) fn review(cli: &mut Cli) -> Result<(Review, Option<Arc<Baseline>>)> {
    let checks = cli.certificates.checks()?;
    let baseline = load(cli, &checks)?.map(Arc::new);
    Ok((Review::new(checks, baseline.clone()), baseline))
}

fn load(cli: &mut Cli, checks: &Checks) -> Result<Option<Baseline>> {
    let files = std::mem::take(&mut cli.targets.baseline);
    if files.is_empty() {
        // Records of an earlier sweep may say what had changed then.
        if let Some(condition) = checks.on_changes().filter(|_| cli.targets.from.is_empty()) {
            bail!(
                "--fail-on {condition} needs something to compare with: name it by --baseline FILE"
            );
        }
        return Ok(None);
    }
    if files.iter().any(|path| path == Path::new("-")) {
        bail!("--baseline needs a file, not stdin");
    }
    let quiet = cli.output.quiet;
    let torn = |file: &str| {
        if !quiet {
            term::notice(format_args!(
                "the end of {file} is torn off: its last record is left out"
            ));
        }
    };
    let no_stdin = || Box::new(io::empty()) as _;
    let read = Records::open(files, no_stdin);
    let read = read.and_then(|mut records| Baseline::read(&mut records, torn));
    read.map(Some).context("--baseline")
}
