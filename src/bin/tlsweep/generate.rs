//! `--generate`: the man page and shell completions, from the definition of the command line.

use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use crate::cli::{Artifact, Cli};
use crate::man;

/// The whole text of `artifact`.
///
/// # Errors
/// The text cannot be written to memory.
pub(crate) fn text(artifact: Artifact) -> Result<String> {
    let mut out = Vec::new();
    match artifact {
        Artifact::Man => write_man(&mut out)?,
        Artifact::CompleteBash => write_completions(Shell::Bash, &mut out),
        Artifact::CompleteElvish => write_completions(Shell::Elvish, &mut out),
        Artifact::CompleteFish => write_completions(Shell::Fish, &mut out),
        Artifact::CompletePowershell => write_completions(Shell::PowerShell, &mut out),
        Artifact::CompleteZsh => write_completions(Shell::Zsh, &mut out),
    }
    Ok(String::from_utf8(out)?.trim_end().to_owned())
}

fn write_completions(shell: Shell, out: &mut Vec<u8>) {
    generate(shell, &mut Cli::command(), "tlsweep", out);
}

/// The flags, then the chapters of the reference.
fn write_man(out: &mut Vec<u8>) -> Result<()> {
    // Columns of words and flags would be torn apart if lines were filled on both sides.
    const RAGGED: &[u8] = b".nh\n.ad l\n";
    let man = Man::new(Cli::command().term_width(usize::MAX));
    man.render_title(out)?;
    out.extend_from_slice(RAGGED);
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    out.extend_from_slice(man::chapters().as_bytes());
    Ok(())
}
