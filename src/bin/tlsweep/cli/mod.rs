//! The command line: its flags, and the settings that they make. Each group of flags has a file.

mod certificates;
mod config;
mod deadlines;
mod dialling;
pub(crate) mod files;
mod operator;
mod output;
mod replay;
mod targets;
mod tls;
mod values;

use clap::{ArgMatches, Parser};

use self::operator::Operator;
pub(crate) use self::output::{Artifact, Output, REPORT, SchemaOf};
use crate::help::after_help;

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

    /// Whether the demo's servers are the targets.
    pub(crate) fn is_demo(&self) -> bool {
        #[cfg(feature = "demo")]
        return self.demo;
        #[cfg(not(feature = "demo"))]
        return false;
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
