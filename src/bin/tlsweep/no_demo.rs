//! A tlsweep that was built without its demo.

use std::ffi::OsString;

use anyhow::Result;
use tlsweep::cert::Roots;

use crate::cli::Cli;

/// There is no demo, whatever is asked for.
pub(crate) async fn start(_cli: &Cli, _roots: &mut Roots) -> Result<Option<Vec<OsString>>> {
    Ok(None)
}
