//! The command: arguments in, exit code out. What it does is in the library.

mod cli;
#[cfg_attr(not(feature = "demo"), path = "no_demo.rs")]
mod demo;
mod destination;
mod dry_run;
mod help;
mod preflight;
mod progress;
mod replaced;
mod roots;
mod run;
mod runtime;
mod term;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

fn main() -> ExitCode {
    let matches = match cli::Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return term::usage(&error),
    };
    let given = match cli::Cli::from_arg_matches(&matches) {
        Ok(given) => given.with_demo_defaults(&matches),
        Err(error) => return term::usage(&error),
    };
    match run::run(given) {
        Ok(exit) => exit.into(),
        Err(error) => {
            term::error(&error);
            run::Exit::Unusable.into()
        }
    }
}
