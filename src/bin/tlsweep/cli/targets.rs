//! Flags that choose the targets.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tlsweep::config;
use tlsweep::feed::range::Range;
use tlsweep::feed::selection::Selection;
use tlsweep::feed::shard::Shard;
use tlsweep::feed::target::Sni;
use tlsweep::limits::MAX_SHUFFLE;

use super::files::Place;
use super::values;

#[derive(Args, Debug)]
#[command(next_help_heading = "Targets")]
pub(crate) struct Targets {
    /// host, host:port, address, [v6]:port, CIDR range or URL, then ,SNI and ,TAG if you like
    ///
    /// Targets come from here, from -f, or from stdin when there are neither.
    #[arg(value_name = "TARGET", help_heading = "Arguments")]
    pub(crate) targets: Vec<OsString>,

    /// File with a target a line; - is stdin; repeatable
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// File of records that an earlier sweep wrote as JSON: read them and dial nothing; repeatable
    ///
    /// - is stdin. What is asked of the records (--fail-on, --format, --summary, …) works as on a sweep.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["targets", "files"])]
    pub(crate) from: Vec<PathBuf>,

    /// File of records of an earlier sweep: say what has changed since; repeatable
    ///
    /// JSON, without --fields. Every record then has `changed`, and --fail-on takes the condition.
    #[arg(long, value_name = "FILE", help_heading = "Checks")]
    pub(crate) baseline: Vec<PathBuf>,

    /// Port of targets that name none, 1 to 65535
    #[arg(short, long, value_name = "N", default_value_t = config::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: u16,

    /// Server name of lines that name none; - sends none [default: the host, unless an address]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(super) sni: Option<Sni>,

    /// Part I of N of the targets, I from 0 to N-1: every N-th by their numbers [default: all]
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// Dial in random order: hold back N targets, up to 1000000, and dial one of them at random
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_SHUFFLE))]
    shuffle: Option<u64>,

    /// Number that determines the order of --shuffle [default: a different one each time]
    #[arg(long, value_name = "N", requires = "shuffle")]
    seed: Option<u64>,

    /// File of CIDR ranges, addresses and names not to dial; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) exclude: Vec<PathBuf>,

    /// Do not dial the special-purpose addresses of IANA's registries: private, loopback, …
    #[arg(long)]
    pub(crate) exclude_special: bool,

    /// Stop this long after the start of the process, as at the first SIGINT; up to 1year [default:
    /// never]
    #[arg(long, value_name = "TIME", value_parser = values::max_time)]
    pub(crate) max_time: Option<Duration>,

    /// Dial nothing: read the input and print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl Targets {
    /// Whether the only target is one host that was given as an argument.
    pub(crate) fn is_one(&self) -> bool {
        let is_no_range = |line: &str| Range::parse(line, self.port).is_none();
        match (&*self.targets, &*self.files) {
            ([line], []) => line.to_str().is_some_and(is_no_range),
            _ => false,
        }
    }

    /// Where lines are read from. The `demo` has its own targets and does not read stdin.
    pub(super) fn input_places(&self, demo: bool) -> Vec<Place<'_>> {
        let is_from_stdin = self.targets.is_empty() && self.files.is_empty();
        if is_from_stdin && self.from.is_empty() && !demo {
            return vec![Place::Stdin];
        }
        places(&self.files)
    }

    /// Where records of earlier sweeps are read.
    pub(super) fn replayed_places(&self) -> Vec<Place<'_>> {
        places(&self.from)
    }

    /// Where the records of the baseline are read.
    pub(super) fn baseline_places(&self) -> Vec<Place<'_>> {
        places(&self.baseline)
    }

    /// Which targets to sweep.
    pub(crate) fn selection(&self) -> Selection {
        Selection { port: self.port, shard: self.shard.unwrap_or(Shard::WHOLE) }
    }

    /// The window of `--shuffle`, and the value of `--seed`.
    pub(crate) fn shuffle(&self) -> Option<(usize, Option<u64>)> {
        let size = self.shuffle?;
        Some((usize::try_from(size).unwrap_or(usize::MAX), self.seed))
    }
}

/// The places of these files; `-` is stdin.
fn places(files: &[PathBuf]) -> Vec<Place<'_>> {
    let files = files.iter().map(PathBuf::as_path);
    files
        .map(|path| if path == Path::new("-") { Place::Stdin } else { Place::Path(path) })
        .collect()
}
