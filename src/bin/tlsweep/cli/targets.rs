//! Which targets there are.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use tlsweep::config;
use tlsweep::feed::target::Sni;

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
}

impl Targets {
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
