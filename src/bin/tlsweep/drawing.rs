//! The report on all records, as an HTML page and for the terminal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tlsweep::report::output::{Format, Layout, Observed};
use tlsweep::report::overview::{Overview, html, terminal};

use crate::exit::Exit;
use crate::replaced::Replaced;
use crate::stdio;
use crate::term;

/// How long the report waits for earlier messages to be written to stderr.
const EARLIER_MESSAGES: Duration = Duration::from_millis(100);

/// An overview, and where it is to be shown.
pub(crate) struct Drawing {
    /// None: it is shown nowhere.
    overview: Option<Arc<Mutex<Overview>>>,
    page: Option<Replaced>,
    printed: Option<Layout>,
}

impl Drawing {
    pub(crate) fn new(page: Option<Replaced>, printed: Option<Layout>) -> Self {
        let is_shown = page.is_some() || printed.is_some();
        Self { overview: is_shown.then(Arc::default), page, printed }
    }

    /// `format`, whose records are added to the overview.
    pub(crate) fn observed(&self, format: Box<dyn Format>) -> Box<dyn Format> {
        match self.overview.clone() {
            Some(overview) => Observed::by(overview, Overview::add, format),
            None => format,
        }
    }

    /// Prints the report of a run that ended like this, and writes the page. What came of each: neither
    /// keeps the other from being tried.
    pub(crate) fn draw(&self, exit: Exit) -> [Result<()>; 2] {
        let Some(overview) = &self.overview else { return [Ok(()), Ok(())] };
        let mut sheet = overview.lock().unwrap_or_else(PoisonError::into_inner).sheet();
        sheet.warning = warning(exit);
        let printed = self.printed.as_ref().map_or(Ok(()), |layout| {
            let text =
                terminal::text(&sheet, layout.width.map(|columns| columns()), layout.coloured);
            // The progress line is erased first, and earlier messages stand above the report.
            term::settle(EARLIER_MESSAGES);
            stdio::print(&text).context("cannot write to stdout")
        });
        let page = self.page.as_ref();
        let written = page.map_or(Ok(()), |page| page.replace(html::page(&sheet).as_bytes()));
        [printed, written]
    }
}

/// Why the results are only a part of those that were wanted.
fn warning(exit: Exit) -> Option<&'static str> {
    match exit {
        Exit::Complete | Exit::Met => None,
        Exit::Unusable => Some("Not complete: the input could not be read to its end."),
        Exit::Incomplete => {
            Some("Not complete: not all results were written, or this machine failed some targets.")
        }
        Exit::Interrupted | Exit::Terminated | Exit::HungUp => {
            Some("Not complete: it was stopped before its end.")
        }
    }
}
