//! Where the records go, and how they look.

use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use rustix::fs::{FileType, fstat};
use rustix::termios::tcgetwinsize;
use tlsweep::escape::shown;
use tlsweep::report::output::{FORMATS, Layout};
use tlsweep::report::schema::Fields;

use crate::term;

/// The value of `--format` that chooses the format by where the records go.
const AUTO: &str = "auto";

/// The value of `--format` that writes one report on all records instead of lines.
pub(crate) const REPORT: &str = "report";

/// Endings of file names, and the formats that they mean.
const ENDINGS: [(&str, &str); 5] =
    [("jsonl", "json"), ("json", "json"), ("csv", "csv"), ("txt", "text"), ("tsv", "text")];

/// Endings of formats that a user might expect, but that tlsweep does not write.
const UNWRITABLE: [&str; 10] =
    ["gz", "bz2", "xz", "lz4", "br", "zip", "7z", "parquet", "xlsx", "html"];

/// The width to assume when the terminal does not report one.
const COLUMNS: u16 = 80;

#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// How to write the records
    ///
    /// auto: by the ending of --output (.jsonl .json .csv .txt .tsv, each also with .zst); detail for a
    /// single target on a terminal; text otherwise. report: one report on all records instead of
    /// lines.
    #[arg(long, value_parser = format_names(), default_value = AUTO)]
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

    /// Write only the records that meet a condition of --fail-on; the counts are of all
    #[arg(long, requires = "fail_on", conflicts_with = "resume")]
    pub(crate) only_failing: bool,

    /// Colours of text and detail; auto: on a terminal, unless NO_COLOR, CLICOLOR_FORCE or TERM
    /// says otherwise
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Colour::Auto)]
    color: Colour,

    /// Print the JSON Schema of the record, the status line or the summary, and exit
    #[arg(long, value_name = "OF", value_enum, num_args = 0..=1, default_missing_value = "record")]
    pub(crate) print_schema: Option<SchemaOf>,

    /// Print the man page or a shell's completion script and exit
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) generate: Option<Artifact>,

    /// Say nothing on stderr but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print on stderr what happens to each target; twice: each question of --enumerate, --jarm and
    /// --ech with its answer, and messages of the libraries, as well
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Print the version and exit; with --verbose, what it was built from and its roots as well
    #[arg(short = 'V', long)]
    pub(crate) version: bool,
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

/// When to colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum SchemaOf {
    Record,
    Status,
    Summary,
}

fn format_names() -> PossibleValuesParser {
    let names = FORMATS.iter().map(|(name, _)| *name);
    PossibleValuesParser::new([AUTO].into_iter().chain(names).chain([REPORT]))
}

impl Output {
    /// The name of the format. `is_one`: the only target is one host, given as an argument.
    ///
    /// # Errors
    /// The ending of the file's name means a format that tlsweep does not write, or `--fields` was
    /// given with a format that has no choice of fields.
    pub(crate) fn format(&self, is_one: bool) -> Result<&str> {
        let by_ending = self.by_ending()?;
        let format = match self.format.as_str() {
            _ if self.json => "json",
            AUTO if self.file().is_some() => by_ending.unwrap_or("text"),
            AUTO if is_one && stdout().is_terminal() => "detail",
            AUTO => "text",
            named => named,
        };
        if self.fields.is_some() && ["text", "detail", REPORT].contains(&format) {
            bail!("--fields goes with --format json or csv; what {format} shows is fixed");
        }
        if format == REPORT && self.file().is_some() {
            bail!(
                "--format report goes to stdout: write `> FILE`, or --report FILE.html for a page"
            );
        }
        Ok(format)
    }

    fn by_ending(&self) -> Result<Option<&'static str>> {
        let Some(path) = self.file() else { return Ok(None) };
        let ending = |path: &Path| Some(path.extension()?.to_str()?.to_ascii_lowercase());
        let mut last = ending(path);
        if last.as_deref() == Some("zst") {
            last = path.file_stem().and_then(|stem| ending(Path::new(stem)));
        }
        let Some(last) = last else { return Ok(None) };
        if UNWRITABLE.contains(&last.as_str()) {
            bail!(
                "cannot write {}: .{last} is not a format of tlsweep, which writes .jsonl .json .csv \
                 .txt .tsv, each also with .zst",
                shown(path),
            );
        }
        Ok(ENDINGS.iter().find(|(known, _)| *known == last).map(|(_, format)| *format))
    }

    /// The file to write the records to; none: stdout.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| !["-", "/dev/stdout"].map(Path::new).contains(path))
    }

    /// Whether the records go to stdout, and that is a pipe or a socket.
    pub(crate) fn is_piped(&self) -> bool {
        let kind = fstat(stdout()).map(|found| FileType::from_raw_mode(found.st_mode));
        self.file().is_none()
            && kind.is_ok_and(|it| matches!(it, FileType::Fifo | FileType::Socket))
    }

    /// How lines are to look; `addresses`: a target may have several lines.
    pub(crate) fn layout(&self, addresses: bool) -> Layout {
        let is_terminal = self.file().is_none() && stdout().is_terminal();
        Layout {
            width: is_terminal.then_some(columns as fn() -> usize),
            coloured: self.is_coloured(is_terminal),
            addresses,
            no_header: self.no_header,
            fields: self.fields.clone(),
        }
    }

    /// Follows <https://no-color.org> and <https://bixense.com/clicolors>.
    fn is_coloured(&self, is_on_terminal: bool) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_forced = || std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        match self.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto if is_set("NO_COLOR") => false,
            Colour::Auto if is_set("CLICOLOR_FORCE") && is_forced() => true,
            Colour::Auto => is_on_terminal && !term::is_dumb(),
        }
    }
}

/// How many columns the terminal has that stdout is.
fn columns() -> usize {
    let size = tcgetwinsize(stdout()).map(|size| size.ws_col);
    // The driver reports a width of 0 when it does not know the width.
    size.ok().filter(|columns| *columns > 0).unwrap_or(COLUMNS).into()
}
