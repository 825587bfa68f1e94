//! The command line: its flags, and the settings that they make. Each group of flags has a file.

mod certificates;
mod deadlines;
mod dialling;
pub(crate) mod files;
mod operator;
mod output;
mod targets;
mod tls;
mod values;

use std::sync::Arc;

use anyhow::{Result, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, Parser};
use tlsweep::cert::Wanted;
use tlsweep::config::{self, Config};
use tlsweep::feed::exclude::Exclusions;

use self::operator::Operator;
pub(crate) use self::output::{Artifact, Output, REPORT, SchemaOf};
use crate::help::after_help;

/// The flags that go with `--from`, by the names of their fields.
const REPLAYED: [&str; 20] = [
    "from",
    "baseline",
    "fail_on",
    "format",
    "json",
    "fields",
    "output",
    "no_header",
    "only_failing",
    "color",
    "status",
    "status_file",
    "summary",
    "metrics",
    "metrics_targets",
    "report",
    "quiet",
    "verbose",
    "version",
    "print_schema",
];

/// A mass TLS handshake scanner: one line in, one line out.
///
/// Connects to every target, makes a TLS handshake, reads what the server sends, and closes. Every
/// wait has a deadline. Writes exactly one result line for each target to stdout.
#[derive(Debug, Parser)]
#[command(version, disable_version_flag = true, max_term_width = 100, after_long_help = after_help())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) targets: targets::Targets,
    #[command(flatten)]
    pub(crate) dialling: dialling::Dialling,
    #[command(flatten)]
    deadlines: deadlines::Deadlines,
    #[command(flatten)]
    tls: tls::Tls,
    #[command(flatten)]
    pub(crate) certificates: certificates::Certificates,
    #[command(flatten)]
    pub(crate) operator: Operator,
    #[command(flatten)]
    pub(crate) output: Output,

    /// Sweep a handful of servers of its own on loopback and exit: no network needed
    #[cfg(feature = "demo")]
    #[arg(long, conflicts_with_all = ["targets", "files", "dry_run"])]
    pub(crate) demo: bool,
}

impl Cli {
    /// Shortens the deadlines of the demo, so that its silent server does not make it slow.
    pub(crate) fn with_demo_defaults(mut self, matches: &ArgMatches) -> Self {
        if self.is_demo() {
            self.deadlines.shorten_for_demo(matches);
        }
        self
    }

    /// Checks that every given flag can be used with `--from`, which dials nothing.
    ///
    /// # Errors
    /// The first flag that has no effect with `--from`.
    pub(crate) fn check_replay(&self, matches: &ArgMatches) -> Result<()> {
        if self.targets.from.is_empty() {
            return Ok(());
        }
        let command = Self::command();
        let given = command.get_arguments().filter(|arg| {
            matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
        });
        for arg in given {
            if !REPLAYED.contains(&arg.get_id().as_str()) {
                let flag = arg.get_long().unwrap_or("TARGET");
                bail!(
                    "--{flag} is about dialling, and --from dials nothing: leave one of them out"
                );
            }
        }
        Ok(())
    }

    /// Whether the demo's servers are the targets.
    pub(crate) fn is_demo(&self) -> bool {
        #[cfg(feature = "demo")]
        return self.demo;
        #[cfg(not(feature = "demo"))]
        return false;
    }

    /// What to work out of a chain: only what a field, a condition or a count needs.
    fn wanted(&self, format: &str) -> Wanted {
        let is_wanted = |room: &str| match &self.output.fields {
            Some(fields) => fields.names().iter().any(|name| name.starts_with(room)),
            None => true,
        };
        let is_checked = !self.certificates.fail_on.is_empty() || !self.targets.baseline.is_empty();
        let is_reported =
            self.operator.report.is_some() || self.operator.metrics_targets || format == REPORT;
        let is_counted = self.operator.counts_verdicts() || is_reported;
        Wanted {
            cert: is_wanted("cert.") || is_checked || is_reported,
            chain: format == "detail" || self.certificates.chain && is_wanted("chain."),
            trust: is_wanted("trust.")
                || is_wanted("revocation.")
                || is_wanted("chain.considered")
                || is_checked
                || is_counted,
            ocsp: is_wanted("ocsp."),
            pem: self.certificates.pem,
        }
    }

    /// What the sweep is to do, except for the targets of `exclude`.
    ///
    /// # Errors
    /// A combination of flags that is not possible, such as `--fields` with text.
    pub(crate) fn config(&self, exclude: Exclusions) -> Result<Config> {
        let format = self.output.format(self.targets.is_one())?;
        Ok(Config {
            concurrency: self.dialling.concurrency,
            lookups: config::LOOKUPS,
            limits: self.deadlines.limits(),
            port: self.targets.port,
            exclude,
            sni: self.targets.sni.clone().unwrap_or_default(),
            offer: self.tls.offer()?,
            starttls: self.tls.starttls(),
            legacy: !self.tls.no_legacy,
            follow_ups: self.tls.follow_ups.0.clone(),
            per_host: self.tls.per_host,
            standbys: self.dialling.concurrency.get(),
            crls: Arc::default(),
            crlite: Arc::default(),
            wanted: self.wanted(format),
            goodbye: self.tls.goodbye(),
            read_limit: self.tls.read_limit.0,
            source: self.dialling.source,
            dial_limits: self.dialling.limits(),
            retries: self.dialling.retries,
            all_addresses: self.dialling.all_addresses,
            resolvers: self.dialling.resolvers.clone(),
            families: self.dialling.families(),
            grace: config::GRACE,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
