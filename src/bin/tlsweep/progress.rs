//! The progress line on stderr, for somebody who looks on.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tlsweep::report::status::Status;

/// Between two looks at the counters.
const INTERVAL: Duration = Duration::from_millis(200);

/// A line with counts and rate; with a percentage and the time left when the input's size is known.
pub(crate) struct Progress {
    bar: ProgressBar,
    status: Arc<Status>,
}

impl Progress {
    /// A progress line, hidden where nobody looks.
    pub(crate) fn new(quiet: bool, status: Arc<Status>) -> Self {
        let (_, size) = status.input();
        let hidden = quiet || !io::stderr().is_terminal();
        let target = match hidden {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(size, target);
        let template = match size {
            Some(_) => "{percent:>3}% {msg}, {eta} left",
            None => "{elapsed} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
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
        let mut done_before = 0;
        loop {
            ticks.tick().await;
            let counts = self.status.counts();
            let rate = (counts.done - done_before) * 1000 / INTERVAL.as_millis() as u64;
            done_before = counts.done;
            self.bar.set_position(self.status.input().0);
            self.bar.set_message(format!(
                "{} done, {} in flight, {rate}/s, {} ok, {} failed",
                counts.done, counts.in_flight, counts.ok, counts.failed,
            ));
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// `out`, with the line out of its way while it is written to.
    pub(crate) fn around<W: Write>(&self, out: W) -> Around<W> {
        Around { bar: self.bar.clone(), out }
    }
}

/// A writer that shares a terminal with the progress line.
pub(crate) struct Around<W> {
    bar: ProgressBar,
    out: W,
}

impl<W: Write> Write for Around<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self.bar.is_hidden() {
            // Without a line there is no reason for one writer to wait for another.
            true => self.out.write(buf),
            false => self.bar.suspend(|| self.out.write(buf)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
