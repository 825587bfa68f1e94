//! What is said to people, on stderr.

use std::collections::HashSet;
use std::fmt::Display;
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use crate::run::Exit;

/// Something that stops the sweep, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    notice(format_args!("error: {error:#}"));
}

/// Something worth knowing.
pub(crate) fn notice(text: impl Display) {
    // A sweep goes on though nobody listens.
    let _unheard = writeln!(io::stderr(), "tlsweep: {text}");
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
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .init();
}

/// Has each place that panics reported once: what a panic costs is in the target's record, and a
/// certificate that provokes one may be on every target.
pub(crate) fn bound_panic_reports() {
    panic::set_hook(once_a_place(panic::take_hook()));
}

type PanicHook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

fn once_a_place(report: PanicHook) -> PanicHook {
    let reported = Mutex::new(HashSet::new());
    Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        if reported.lock().unwrap_or_else(PoisonError::into_inner).insert(place) {
            report(panic);
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_place_that_panics_again_is_not_reported_again() {
        let reports = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&reports);
        let before = panic::take_hook();
        panic::set_hook(once_a_place(Box::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        })));
        for _ in 0..3 {
            assert!(panic::catch_unwind(|| panic!("one place")).is_err());
        }
        assert!(panic::catch_unwind(|| panic!("another place")).is_err());
        panic::set_hook(before);
        assert_eq!(reports.load(Ordering::Relaxed), 2);
    }
}
