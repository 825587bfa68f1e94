//! The progress line on stderr, for somebody who looks on.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, fstat};
use tlsweep::report::status::Status;

use crate::term;

/// Between two looks at the counters.
const INTERVAL: Duration = Duration::from_millis(200);

/// The rate is that over so many intervals: five seconds.
const LOOKS: usize = 25;

/// A line with counts and rate; with a percentage and the time left when they can be known.
pub(crate) struct Progress {
    bar: ProgressBar,
    status: Arc<Status>,
}

impl Progress {
    /// A progress line, unless it `is_hidden`, nobody looks at it, or the terminal cannot take it away.
    pub(crate) fn new(is_hidden: bool, status: Arc<Status>) -> Self {
        let target = match is_hidden || !term::is_terminal() || term::is_dumb() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::term_like(Box::new(Screen::default())),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        // This cannot fail, for the template is one word. If it did, indicatif would show its own bar.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self { bar, status }
    }

    /// Redraws the line until it is dropped.
    pub(crate) async fn show(&self) {
        if self.bar.is_hidden() {
            return std::future::pending().await;
        }
        let mut ticks = tokio::time::interval(INTERVAL);
        let mut rate = Rate::default();
        loop {
            ticks.tick().await;
            let counts = self.status.counts();
            let rate = rate.after(counts.done);
            let percent = self.status.percent().map(|n| format!("{n}% ")).unwrap_or_default();
            let left = self.status.left().map(|left| {
                let seconds = Duration::from_secs(left.as_secs_f64().ceil() as u64);
                format!("{} left", humantime::format_duration(seconds))
            });
            let parts = [
                (0, format!("{percent}{} done", counts.done)),
                (4, format!("{} in flight", counts.in_flight)),
                (3, format!("{rate}/s")),
                (5, format!("{} ok", counts.ok)),
                (1, format!("{} failed", counts.failed)),
                (2, left.unwrap_or_default()),
            ];
            self.bar.set_message(line(parts, term::columns().unwrap_or(usize::MAX)));
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// `out`, with the line out of its way while it is written to, if both are on the terminal.
    pub(crate) fn around<W: Write + AsFd>(&self, out: W) -> Around<W> {
        let shares_terminal = !self.bar.is_hidden() && out.as_fd().is_terminal();
        let bar = shares_terminal.then(|| self.bar.clone());
        let is_pipe = fstat(&out).is_ok_and(|found| {
            matches!(FileType::from_raw_mode(found.st_mode), FileType::Fifo | FileType::Socket)
        });
        let piece = if is_pipe { PIECE } else { usize::MAX };
        Around { bar, out, piece, status: Arc::clone(&self.status) }
    }
}

/// As many of the parts as fit into so many columns, in their order: those with the lowest numbers.
fn line<const N: usize>(parts: [(usize, String); N], columns: usize) -> String {
    let shown = |most: usize| {
        let parts = parts.iter().filter(|(rank, part)| *rank <= most && !part.is_empty());
        parts.map(|(_, part)| part.as_str()).collect::<Vec<_>>().join(", ")
    };
    // A line of the whole width would leave no place for the cursor.
    let fits = |line: &String| line.len() < columns;
    (0..N).rev().map(shown).find(fits).unwrap_or_default()
}

/// How many targets are done in a second, over the last seconds: most sweeps do not finish some at every look.
#[derive(Default)]
struct Rate {
    /// How many were done at the last looks, the earliest first.
    looks: VecDeque<u64>,
}

impl Rate {
    /// The rate for people, at a look that finds so many `done`.
    fn after(&mut self, done: u64) -> String {
        let before = self.looks.front().copied().unwrap_or(done);
        let time = INTERVAL * self.looks.len().max(1) as u32;
        self.looks.push_back(done);
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
        match (done - before) as f64 / time.as_secs_f64() {
            rate @ 0.05..9.95 => format!("{rate:.1}"),
            rate => format!("{rate:.0}"),
        }
    }
}

/// A writer that may share a terminal with the progress line.
pub(crate) struct Around<W> {
    /// The line, if there is one on the terminal that is written to.
    bar: Option<ProgressBar>,
    out: W,
    /// Bytes that are written at once, at most.
    piece: usize,
    status: Arc<Status>,
}

/// Bytes that are written to a pipe at once. A write ends when the last of them is in the pipe, and
/// until then nobody can tell a reader that is slow from one that is gone.
const PIECE: usize = 4096;

/// How long a write waits until the progress line is gone.
const CLEARED: Duration = Duration::from_millis(100);

impl<W: Write + AsFd> Write for Around<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let buf = buf.get(..self.piece).unwrap_or(buf);
        let written = match &self.bar {
            Some(bar) => bar.suspend(|| {
                term::settle(CLEARED);
                write_patiently(&mut self.out, buf)
            }),
            None => write_patiently(&mut self.out, buf),
        }?;
        self.status.write(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes also to a pipe or terminal that somebody else has set to non-blocking.
fn write_patiently(out: &mut (impl Write + AsFd), buf: &[u8]) -> io::Result<usize> {
    loop {
        match out.write(buf) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(out, PollFlags::OUT)], None)?;
            }
            written => return written,
        }
    }
}

/// The terminal of stderr, as far as one line on it goes. What is drawn goes through the queue of
/// all messages: drawing does not wait for a terminal that is stopped.
#[derive(Debug, Default)]
struct Screen {
    drawn: Mutex<String>,
}

impl Screen {
    fn add(&self, text: &str) -> io::Result<()> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        let size = rustix::termios::tcgetwinsize(io::stderr());
        // Some terminals do not know how wide they are.
        size.map_or(0, |size| size.ws_col).clamp(20, 500)
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        if lines == 0 { Ok(()) } else { self.add(&format!("\x1b[{lines}A")) }
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        if lines == 0 { Ok(()) } else { self.add(&format!("\x1b[{lines}B")) }
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        if columns == 0 { Ok(()) } else { self.add(&format!("\x1b[{columns}C")) }
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        if columns == 0 { Ok(()) } else { self.add(&format!("\x1b[{columns}D")) }
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(&format!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = std::mem::take(&mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner));
        if !drawn.is_empty() {
            term::draw(drawn.as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_has_the_most_important_counts() {
        let parts =
            || [(0, "20% 8 done".to_owned()), (2, "1/s".to_owned()), (1, "3 failed".to_owned())];
        for (columns, expected) in [
            (usize::MAX, "20% 8 done, 1/s, 3 failed"),
            (26, "20% 8 done, 1/s, 3 failed"),
            (25, "20% 8 done, 3 failed"),
            (20, "20% 8 done"),
            (10, ""),
        ] {
            assert_eq!(line(parts(), columns), expected, "{columns}");
        }
        let without_end = [(0, "8 done".to_owned()), (1, String::new())];
        assert_eq!(line(without_end, 80), "8 done");
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut rate = Rate::default();
        assert_eq!(rate.after(0), "0");
        assert_eq!(rate.after(8), "40");
        // Nothing more is done for a while: the rate sinks, and is not 0 at once.
        let rates: Vec<_> = (0..LOOKS).map(|_| rate.after(8)).collect();
        assert_eq!((rates[0].as_str(), rates[LOOKS - 2].as_str()), ("20", "1.6"));
        assert_eq!(rates[LOOKS - 1], "0");
    }
}
