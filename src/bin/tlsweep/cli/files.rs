//! Every file that a command line can name, and how it is used.

use std::fmt;
use std::path::Path;

use tlsweep::escape::shown;

use super::Cli;

/// A file, and the flag that names it.
#[derive(Debug)]
pub(crate) struct NamedFile<'a> {
    flag: &'static str,
    pub(crate) place: Place<'a>,
    pub(crate) used: Use,
}

/// Where a file is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Path(&'a Path),
    Stdin,
    Stdout,
    Stderr,
}

/// How a file is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    Read,
    Appended,
    /// A new file takes its place.
    Replaced,
    /// Messages for people are written to it.
    Messages,
}

impl Cli {
    /// The table of all files: a flag that names one has its row here. A flag that names a
    /// folder has none.
    pub(crate) fn files(&self) -> Vec<NamedFile<'_>> {
        let Self { targets, certificates, operator, output, .. } = self;
        let inputs = targets.input_places(self.is_demo());
        let output = output.file().map_or(Place::Stdout, Place::Path);
        let rows: [(_, Use, Vec<Place<'_>>); 12] = [
            ("--file", Use::Read, inputs),
            ("--from", Use::Read, targets.replayed_places()),
            ("--baseline", Use::Read, targets.baseline_places()),
            ("--exclude", Use::Read, paths(&targets.exclude)),
            ("--roots", Use::Read, paths(&certificates.roots)),
            ("--crl", Use::Read, paths(&certificates.crls)),
            ("--output", Use::Appended, vec![output]),
            ("--status-file", Use::Appended, paths(&operator.status_file)),
            ("--summary", Use::Replaced, paths(&operator.summary)),
            ("--metrics", Use::Replaced, paths(&operator.metrics)),
            ("--report", Use::Replaced, paths(&operator.report)),
            ("", Use::Messages, vec![Place::Stderr]),
        ];
        let files = rows.into_iter().flat_map(|(flag, used, places)| {
            places.into_iter().map(move |place| NamedFile { flag, place, used })
        });
        files.collect()
    }
}

fn paths<'a, P: AsRef<Path> + 'a>(paths: impl IntoIterator<Item = &'a P>) -> Vec<Place<'a>> {
    paths.into_iter().map(|path| Place::Path(path.as_ref())).collect()
}

impl fmt::Display for NamedFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Path(path) => write!(f, "{} {}", self.flag, shown(path)),
            Place::Stdin => f.write_str("stdin"),
            Place::Stdout => f.write_str("stdout"),
            Place::Stderr => f.write_str("stderr"),
        }
    }
}
