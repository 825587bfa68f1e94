//! The command: arguments in, exit code out. What it does is in the library.
//!
//! `cli` parses, `plan` opens and checks everything that the command line names, `run` sweeps.

mod baseline;
mod cli;
mod crlite;
mod crls;
#[cfg_attr(not(feature = "demo"), path = "no_demo.rs")]
mod demo;
mod destination;
mod drawing;
mod dry_run;
mod exit;
mod files;
mod generate;
mod help;
mod hints;
mod man;
mod plan;
mod preflight;
mod progress;
mod replaced;
mod replay;
mod roots;
mod run;
mod runtime;
mod signals;
mod stdio;
mod term;
mod threads;
mod version;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::exit::Exit;

fn main() -> ExitCode {
    if let Err(error) = preflight::check_stack() {
        term::error(&error);
        term::flush();
        return Exit::Unusable.into();
    }
    let matches = match cli::Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return term::usage(error),
    };
    let given = match cli::Cli::from_arg_matches(&matches) {
        Ok(given) => given.with_demo_defaults(&matches),
        Err(error) => return term::usage(error),
    };
    if let Err(error) = given.check_replay(&matches) {
        term::error(&error);
        term::flush();
        return Exit::Unusable.into();
    }
    let exit = run::run(given).unwrap_or_else(|error| {
        term::error(&error);
        Exit::Unusable
    });
    term::flush();
    exit.into()
}
