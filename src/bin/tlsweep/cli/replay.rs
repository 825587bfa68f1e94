//! Which flags go with `--from`.

use anyhow::{Result, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory};

use super::Cli;

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

impl Cli {
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
}
