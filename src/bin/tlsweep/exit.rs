//! How a run ends.

use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// Every target has its line, or whoever read the output went away.
    Complete,
    /// Every target has its line, and some met a condition of `--fail-on`.
    Met,
    /// A flag, an input or an output file cannot be used, or an input cannot be read to its end.
    Unusable,
    /// The output, the summary, the metrics, the page or a status line could not be written, or our own
    /// machine failed some target.
    Incomplete,
    /// SIGINT, or `--max-time`.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// SIGHUP: the terminal is gone.
    HungUp,
}

impl Exit {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Met => 1,
            Self::Unusable => 2,
            Self::Incomplete => 3,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::HungUp => 129,
        }
    }

    /// The exit of a run whose summary, metrics, page or status lines could not be written.
    pub(crate) fn without_report(self) -> Self {
        match self {
            Self::Complete | Self::Met => Self::Incomplete,
            other => other,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
