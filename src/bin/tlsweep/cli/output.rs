//! Where the records go, and how they look.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use tlsweep::report::output::{FORMATS, Layout};
use tlsweep::report::schema::Fields;

#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// How to write the records
    #[arg(long, value_parser = PossibleValuesParser::new(FORMATS.iter().map(|(name, _)| *name)), default_value = "text")]
    format: String,

    /// The same as --format json
    #[arg(short, long, conflicts_with = "format")]
    json: bool,

    /// Fields of JSON and CSV, as tls.version,ms.total [default: all]
    #[arg(long, value_name = "LIST", value_parser = Fields::parse)]
    pub(super) fields: Option<Fields>,

    /// Write the records to this new file, compressed if its name ends in .zst; - is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Skip the targets that the file of --output has already, and append the others
    #[arg(long, requires = "output")]
    pub(crate) resume: bool,

    /// CSV without the line of field names
    #[arg(long)]
    no_header: bool,

    /// Print the JSON Schema of the record and exit
    #[arg(long)]
    pub(crate) print_schema: bool,

    /// Print the man page or a shell's completion script and exit
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) generate: Option<Artifact>,

    /// Say nothing on stderr but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more on stderr; twice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What `--generate` prints.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Artifact {
    Man,
    CompleteBash,
    CompleteElvish,
    CompleteFish,
    CompletePowershell,
    CompleteZsh,
}

impl Output {
    /// The name of the format.
    pub(crate) fn format(&self) -> &str {
        if self.json { "json" } else { &self.format }
    }

    /// The file to write the records to; none: stdout.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| !["-", "/dev/stdout"].map(Path::new).contains(path))
    }

    /// How lines are to look.
    pub(crate) fn layout(&self) -> Layout {
        let terminal = self.file().is_none() && std::io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Layout {
            aligned: terminal,
            coloured: terminal && !no_color,
            no_header: self.no_header,
            fields: self.fields.clone(),
        }
    }
}
