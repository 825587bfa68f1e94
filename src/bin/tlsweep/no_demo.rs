//! A tlsweep that was built without its demo.

use std::ffi::OsString;

use anyhow::{Result, bail};
use tlsweep::cert::Roots;

/// There is no flag that asks for it.
#[expect(clippy::unused_async, reason = "as the demo has it")]
pub(crate) async fn start(_roots: &mut Roots) -> Result<Vec<OsString>> {
    bail!("this tlsweep was built without its demo")
}
