//! What is said to people, on stderr.
#![expect(clippy::print_stderr, reason = "this is the one place that does")]

use std::fmt::Display;
use std::process::ExitCode;

use crate::run::Exit;

/// Something that stops the sweep, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("tlsweep: error: {error:#}");
}

/// Something worth knowing.
pub(crate) fn notice(text: impl Display) {
    eprintln!("tlsweep: {text}");
}

/// What clap has to say: help and version on stdout, mistakes on stderr.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // A reader that is gone needs no help text.
    let _unread = error.print();
    match error.exit_code() {
        0 => Exit::Complete.into(),
        _ => Exit::Unusable.into(),
    }
}

/// Logs on stderr: warnings, or nothing with `quiet`, or more with each `verbose`.
pub(crate) fn start_logs(quiet: bool, verbose: u8) {
    use tracing::level_filters::LevelFilter;
    let level = match verbose {
        _ if quiet => LevelFilter::ERROR,
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
