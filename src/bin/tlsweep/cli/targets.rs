//! Which targets there are.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use tlsweep::config;
use tlsweep::feed::exclude::{Exclusions, SPECIAL};
use tlsweep::feed::range::Range;
use tlsweep::feed::selection::Selection;
use tlsweep::feed::shard::Shard;
use tlsweep::feed::shuffle::Shuffle;
use tlsweep::feed::target::Sni;
use tlsweep::limits::MAX_SHUFFLE;

use super::values;
use crate::term;

#[derive(Args, Debug)]
#[command(next_help_heading = "Targets")]
pub(crate) struct Targets {
    /// host, host:port, address, [v6]:port or URL, then ,SNI and ,TAG if you like
    ///
    /// Targets come from here, from -f, or from stdin when there are neither.
    #[arg(value_name = "TARGET", help_heading = "Arguments")]
    targets: Vec<OsString>,

    /// File with a target a line; - is stdin; repeatable
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Port of targets that name none, 1 to 65535
    #[arg(short, long, value_name = "N", default_value_t = config::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: u16,

    /// Server name of lines that name none; - sends none [default: the host, unless an address]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(super) sni: Option<Sni>,

    /// Part I of N of the targets, I from 0 to N-1: every N-th by their numbers [default: all]
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// Shuffle within a window of N targets, up to 1000000, all of which are read ahead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_SHUFFLE))]
    shuffle: Option<u64>,

    /// Number that decides on the order of --shuffle [default: another each time]
    #[arg(long, value_name = "N", requires = "shuffle")]
    seed: Option<u64>,

    /// File of CIDR ranges, addresses and names not to dial; repeatable
    #[arg(long, value_name = "FILE")]
    exclude: Vec<PathBuf>,

    /// Do not dial the special-purpose addresses of IANA's registries: private, loopback, …
    #[arg(long)]
    exclude_special: bool,

    /// Stop as at the first SIGINT when the sweep has lasted that long, up to 1year [default: never]
    #[arg(long, value_name = "TIME", value_parser = values::max_time)]
    pub(crate) max_time: Option<Duration>,

    /// Dial nothing: read the input and print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl Targets {
    /// What must not be dialled.
    ///
    /// # Errors
    /// A file that cannot be read, or a line in it that excludes nothing.
    pub(super) fn exclusions(&self) -> Result<Exclusions> {
        let mut exclusions = Exclusions::default();
        if self.exclude_special {
            exclusions.add_list(SPECIAL)?;
        }
        for path in &self.exclude {
            let context = || format!("cannot use --exclude {}", path.display());
            let list = std::fs::read_to_string(path).with_context(context)?;
            exclusions.add_list(&list).with_context(context)?;
        }
        Ok(exclusions)
    }

    /// Which targets to sweep, and in which order; says the seed when it was left to chance.
    pub(crate) fn selection(&self, quiet: bool) -> Selection {
        let shuffle = self.shuffle.map(|size| {
            let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
            if self.seed.is_none() && !quiet {
                term::notice(format_args!("shuffled; for this order again: --seed {seed}"));
            }
            Shuffle::new(usize::try_from(size).unwrap_or(usize::MAX), seed)
        });
        Selection { port: self.port, shard: self.shard.unwrap_or(Shard::WHOLE), shuffle }
    }

    /// Whether there is but one, named as an argument.
    pub(crate) fn is_one(&self) -> bool {
        let is_no_range = |line: &str| Range::parse(line, self.port).is_none();
        match (&*self.targets, &*self.files) {
            ([line], []) => line.to_str().is_some_and(is_no_range),
            _ => false,
        }
    }

    /// The arguments and files to read, in order.
    ///
    /// # Errors
    /// There is nothing to read.
    pub(crate) fn inputs(&mut self) -> Result<(Vec<OsString>, Vec<PathBuf>)> {
        let targets = std::mem::take(&mut self.targets);
        let mut files = std::mem::take(&mut self.files);
        if targets.is_empty() && files.is_empty() {
            if std::io::stdin().is_terminal() {
                bail!(
                    "there are no targets: name some, or a file with -f, or pipe them in (see --help)"
                );
            }
            files.push("-".into());
        }
        Ok((targets, files))
    }
}
