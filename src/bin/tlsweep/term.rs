//! What is said to people, on stderr.
//!
//! A stderr that nobody reads must not hold up the sweep, or the signal that should end it. Messages, the
//! progress line, logs, status lines and panics therefore go through a queue that a thread of its own
//! writes. Lines that do not fit into the queue are counted and left out.

use std::collections::HashSet;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use clap::error::ContextKind;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::tcgetwinsize;
use tlsweep::escape::{escaped, is_plain};
use tlsweep::pace::nap::Nap;
use tlsweep::report::width::{NARROWEST, wrapped};
use tokio::time::Instant;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

use crate::exit::Exit;
use crate::stdio;

/// Bytes that wait to be written, at most.
const QUEUE: usize = 64 * 1024;

/// Bytes that wait to be written when changes of the progress line are left out.
const DRAWN: usize = 4 * 1024;

/// Goes before the second line of a message, and each one after it.
const INDENT: &str = "  ";

/// Goes before a message that would otherwise be appended to the progress line.
const CLEAR_LINE: &[u8] = b"\r\x1b[2K";

/// How long a thread that waits for the queue may miss that it is written.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How long the end of a run waits for the queue to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a panic waits for its report to be written, for it may end the process.
const LAST_BREATH: Duration = Duration::from_millis(200);

static STDERR: Stderr = Stderr {
    state: Mutex::new(State {
        queue: Vec::new(),
        has_line: false,
        left_out: 0,
        writer: Writer::NotStarted,
        is_writing: false,
        is_stuck: false,
    }),
    changed: Condvar::new(),
    settled: Nap::new(),
};

struct Stderr {
    state: Mutex<State>,
    /// Notified when the queue has grown.
    changed: Condvar,
    /// Where others wait for the queue to be written.
    settled: Nap,
}

struct State {
    queue: Vec<u8>,
    /// Whether the cursor is in the progress line.
    has_line: bool,
    /// Lines that did not fit since the last one that did.
    left_out: u64,
    writer: Writer,
    is_writing: bool,
    /// Whether a wait for the writer has timed out since its last write ended.
    is_stuck: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Writer {
    NotStarted,
    Running,
    /// The thread could not be started.
    Impossible,
}

/// Something that stops the sweep, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    notice(format_args!("error: {error:#}"));
}

/// Something worth knowing, on one line: names of files and arguments may hold anything.
pub(crate) fn notice(text: impl Display) {
    let text = format!("tlsweep: {}", escaped(&text.to_string()));
    let lines = match columns() {
        // The terminal would break it in the middle of a word.
        Some(columns) => wrapped(&text, columns.saturating_sub(INDENT.len())),
        None => vec![text],
    };
    say((lines.join(&format!("\n{INDENT}")) + "\n").as_bytes());
}

/// Queues `text`, which is whole lines, for stderr. Never waits.
pub(crate) fn say(text: &[u8]) {
    STDERR.push(text, false);
}

/// Queues a change of the progress line. The next one makes it obsolete, so it is left out while
/// nobody reads.
pub(crate) fn draw(text: &[u8]) {
    if STDERR.lock().queue.len() < DRAWN {
        STDERR.push(text, true);
    }
}

/// Waits until everything that was said is written, but not for longer than `limit`, and not again
/// for a reader that was waited for in vain and has read nothing since.
pub(crate) fn settle(limit: Duration) {
    STDERR.settle(limit);
}

/// Waits up to a second until the queue is written, at the end of a run.
pub(crate) fn flush() {
    STDERR.lock().is_stuck = false;
    STDERR.settle(LAST_WORDS);
}

impl Stderr {
    /// Queues `text`, which may leave the cursor in the progress line. What is no change of that line takes
    /// it away first, under the same lock: otherwise a message could end up behind a line that is being drawn.
    fn push(&'static self, text: &[u8], leaves_line: bool) {
        let mut state = self.lock();
        if state.writer == Writer::NotStarted {
            let writer = thread::Builder::new().name("stderr".to_owned());
            state.writer = match writer.spawn(|| self.write_for_ever()) {
                Ok(_detached) => Writer::Running,
                Err(_no_thread) => Writer::Impossible,
            };
        }
        if state.writer == Writer::Impossible {
            drop(state);
            return write_if_it_does_not_block(text);
        }
        if state.queue.len() + text.len() > QUEUE {
            state.left_out += text.iter().filter(|byte| **byte == b'\n').count() as u64;
            return;
        }
        let has_line = std::mem::replace(&mut state.has_line, leaves_line);
        if has_line && !leaves_line {
            state.queue.extend_from_slice(CLEAR_LINE);
        }
        if state.left_out > 0 {
            let lines = std::mem::take(&mut state.left_out);
            let notice = format!("tlsweep: {lines} lines were left out here: nobody read them\n");
            state.queue.extend_from_slice(notice.as_bytes());
        }
        state.queue.extend_from_slice(text);
        drop(state);
        self.changed.notify_one();
    }

    fn settle(&self, limit: Duration) {
        let begun = Instant::now();
        loop {
            let mut state = self.lock();
            if state.is_stuck || state.is_idle() {
                return;
            }
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                state.is_stuck = true;
                return;
            }
            drop(state);
            // Several threads may wait here, and the end of a nap wakes one of them.
            self.settled.take(left.min(LOOK_AGAIN));
        }
    }

    fn write_for_ever(&self) {
        loop {
            let state = self.lock();
            let state = self.changed.wait_while(state, |state| state.queue.is_empty());
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            let text = std::mem::take(&mut state.queue);
            state.is_writing = true;
            drop(state);
            write_patiently(&mut io::stderr(), &text);
            let mut state = self.lock();
            state.is_writing = false;
            state.is_stuck = false;
            drop(state);
            self.settled.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.is_writing
    }
}

/// Writes all of `text`, also to a pipe or terminal that somebody has set to non-blocking.
fn write_patiently(stderr: &mut (impl Write + AsFd), mut text: &[u8]) {
    while !text.is_empty() {
        match stderr.write(text) {
            Ok(0) => return,
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && wait_for_room(stderr) => {}
            // A closed pipe or a full disk: a sweep goes on though nobody listens.
            Err(_) => return,
        }
    }
}

fn wait_for_room(out: &impl AsFd) -> bool {
    poll(&mut [PollFd::new(out, PollFlags::OUT)], None).is_ok()
}

/// Writes without the thread, which could not be started: the message that says so must not be lost.
fn write_if_it_does_not_block(text: &[u8]) {
    let mut stderr = io::stderr();
    let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
    let has_room = poll(&mut ready, Some(&rustix::event::Timespec::default()));
    if has_room.is_ok_and(|count| count > 0) {
        // A closed pipe or a full disk: there is nobody to tell.
        let _heard = stderr.write_all(text);
    }
}

/// What clap has to say: help and version on stdout, mistakes on stderr.
///
/// Nobody listens for signals yet, so they end the process even if this waits for a reader.
pub(crate) fn usage(mut error: clap::Error) -> ExitCode {
    if error.exit_code() == 0
        && let Err(closed) = stdio::check_stdout()
    {
        self::error(&closed);
        flush();
        return Exit::Unusable.into();
    }
    // It repeats the flags that were given right, and says nothing about the mistake.
    error.remove(ContextKind::Usage);
    let printed = match error.use_stderr() {
        true => print_mistake(&error),
        false => error.print(),
    };
    match error.exit_code() {
        // A reader that is gone needs no help text, but on a full disk it is missing.
        0 if printed.is_err_and(|error| !stdio::is_reader_gone(&error)) => Exit::Incomplete.into(),
        0 => Exit::Complete.into(),
        _ => Exit::Unusable.into(),
    }
}

/// Says what is wrong with the command line, in colours unless it has to be escaped or wrapped.
fn print_mistake(error: &clap::Error) -> io::Result<()> {
    // Messages have one prefix, whoever they are from.
    const PREFIX: &str = "tlsweep: ";
    let text = format!("{PREFIX}{}", error.render());
    // clap repeats arguments as they are. Without its styles, an escape sequence is gone from `text`, so
    // the arguments themselves are looked at.
    let steers = std::env::args_os()
        .any(|argument| argument.to_str().is_none_or(|argument| !argument.chars().all(is_plain)));
    let is_plain = !steers && text.lines().all(|line| line.chars().all(is_plain));
    let columns = columns().unwrap_or(usize::MAX);
    let lines = text.lines().flat_map(|line| wrapped(&escaped(line), columns)).collect::<Vec<_>>();
    if is_plain && lines.len() == text.lines().count() {
        write!(io::stderr(), "{PREFIX}")?;
        return error.print();
    }
    lines.iter().try_for_each(|line| writeln!(io::stderr(), "{line}"))
}

/// Logs on stderr. What the libraries have to say about a peer can be as much as the peer wants, so
/// it is shown only on demand: our own warnings, with `-v` what happens to each target, with `-vv`
/// also the warnings of libraries, with `-vvv` everything.
pub(crate) fn start_logs(quiet: bool, verbose: u8) {
    let (own, libraries) = match verbose {
        _ if quiet => (LevelFilter::ERROR, LevelFilter::OFF),
        0 => (LevelFilter::WARN, LevelFilter::OFF),
        1 => (LevelFilter::INFO, LevelFilter::OFF),
        2 => (LevelFilter::DEBUG, LevelFilter::WARN),
        _ => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let targets = Targets::new().with_target("tlsweep", own).with_default(libraries);
    let lines = fmt::layer()
        .with_writer(|| LogLine)
        .with_ansi(false)
        .with_target(verbose > 1)
        .with_level(verbose > 1)
        .without_time();
    Registry::default().with(lines.with_filter(targets)).init();
}

/// One event of a log. What peers have sent may be in it, so it stays one line.
struct LogLine;

impl Write for LogLine {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        notice(escaped(text.trim_ascii()));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reports each place in the code that panics once. A certificate that provokes a panic may be on every
/// target, and each of their records tells of it.
pub(crate) fn bound_panic_reports() {
    panic::set_hook(once_a_place(Box::new(|panic| {
        let thread = thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no text");
        notice(format_args!(
            "error: a defect of tlsweep: thread {thread} panicked at {place}: {}",
            escaped(text)
        ));
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            say(format!("{backtrace}\n").as_bytes());
        }
        settle(LAST_BREATH);
    })));
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

/// How wide the terminal is that stderr is, where that is known.
pub(crate) fn columns() -> Option<usize> {
    let stderr = io::stderr();
    let size = stderr.is_terminal().then(|| tcgetwinsize(stderr).ok()).flatten()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col).max(NARROWEST))
}

/// Whether the terminal knows no escape sequences, by its name; where it has none, that is not known.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Whether somebody looks at stderr.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
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
