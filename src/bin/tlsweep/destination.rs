//! Where the records go: stdout, or the file of `--output`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::io::ErrorKind::{AlreadyExists, NotFound};
use std::os::fd::AsFd as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
use tlsweep::escape::shown;
use tlsweep::feed::resume::Done;
use tlsweep::feed::shard::Shard;
use tlsweep::report::output::checkpoint::Checkpoint;
use tlsweep::report::output::file::OutputFile;
use tlsweep::report::output::stream::Stream;
use tlsweep::report::output::{FORMATS, Format, Layout, OnlyFailing, Reader, Silent, Sink};

use crate::cli::{Output, REPORT};
use crate::progress::Progress;
use crate::term;

/// Where the records go, their format, and the targets that the file already has.
pub(crate) struct Destination {
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) format: Box<dyn Format>,
    pub(crate) done: Done,
    /// What people call the sink.
    pub(crate) name: String,
}

impl Destination {
    /// Opens what `output` asks for: stdout when it names no file. The line of
    /// `progress` is cleared before records are written, and their bytes are counted there.
    ///
    /// A file is not changed before the first record is written. The records that it already has
    /// must belong to `shard`. With `several` lines per target, the last target of the file may be
    /// incomplete, so it is done again. `is_one` says that the only target is an argument.
    ///
    /// # Errors
    /// The file exists (without `--resume`), cannot be written to, or cannot be resumed.
    pub(crate) fn open(
        output: &Output,
        several: bool,
        (shard, is_one): (Shard, bool),
        progress: &Progress,
    ) -> Result<Self> {
        let layout = output.layout(several);
        let name = output.format(is_one)?;
        let Some(path) = output.file() else {
            if output.resume {
                bail!("--resume needs a file to go on with: name one with --output");
            }
            let stdout = io::stdout().as_fd().try_clone_to_owned().context("cannot use stdout")?;
            let stdout = File::from(stdout);
            let file = stdout.try_clone().context("cannot use stdout")?;
            let sink = Box::new(Stream::to_file(progress.around(stdout), file));
            let format = format(name, &layout, output.only_failing);
            return Ok(Self { sink, format, done: Done::default(), name: "stdout".to_owned() });
        };
        if output.resume && format(name, &layout, output.only_failing).reader().is_none() {
            bail!(
                "--resume needs the number and target of every line: \
                 --format json or csv, and both among --fields if there are any"
            );
        }
        let is_stream = path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir());
        match is_stream {
            true => Self::of_stream(output, path, (name, &layout), progress),
            false => Self::of_file(output, path, (name, layout), several, Done::of(shard)),
        }
    }

    /// A pipe or a device.
    fn of_stream(
        output: &Output,
        path: &Path,
        (name, layout): (&str, &Layout),
        progress: &Progress,
    ) -> Result<Self> {
        let shown = shown(path);
        if output.resume {
            bail!("--resume needs a file to go on with: {shown} is none");
        }
        let file = OpenOptions::new().write(true).open(path);
        let file = file.with_context(|| format!("cannot write to {shown}"))?;
        let sink = OutputFile::stream(progress.around(file), is_compressed(path))?;
        let format = format(name, layout, output.only_failing);
        Ok(Self { sink: Box::new(sink), format, done: Done::default(), name: shown })
    }

    /// A file, new or to go on with. What it has already is compared with the targets of `done`.
    fn of_file(
        output: &Output,
        path: &Path,
        (name, mut layout): (&str, Layout),
        several: bool,
        done: Done,
    ) -> Result<Self> {
        let shown = shown(path);
        let file = open_file(path, output.resume)?;
        lock(&file, path, output.quiet)?;
        let reader = format(name, &layout, output.only_failing).reader();
        let is_resumable = reader.is_some();
        let found = match reader.filter(|_| output.resume) {
            Some(mut reader) => read(&file, path, reader.as_mut(), several, done)?,
            None => Checkpoint::default(),
        };
        if !is_resumable && !output.quiet {
            term::notice(format_args!(
                "{shown} cannot be gone on with: --resume needs every target, as json or csv with \
                 number and target"
            ));
        }
        layout.no_header |= found.whole > 0;
        if output.resume && is_append_only(&file) && file.metadata()?.len() > found.whole {
            bail!(
                "{shown} ends with a torn line, which cannot be cut off: the file is append-only \
                 (chattr -a lifts that)"
            );
        }
        let sink = OutputFile::new(file, found.whole, is_resumable, is_compressed(path))?;
        let format = format(name, &layout, output.only_failing);
        Ok(Self { sink: Box::new(sink), format, done: found.done, name: shown })
    }
}

fn format(name: &str, layout: &Layout, only_failing: bool) -> Box<dyn Format> {
    if name == REPORT {
        return Box::new(Silent);
    }
    let [text, ..] = FORMATS;
    let (_, make) = FORMATS.into_iter().find(|(known, _)| *known == name).unwrap_or(text);
    match only_failing {
        true => Box::new(OnlyFailing(make(layout))),
        false => make(layout),
    }
}

fn open_file(path: &Path, resume: bool) -> Result<File> {
    let shown = shown(path);
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    if resume {
        match options.open(path) {
            Err(error) if error.kind() == NotFound => {}
            opened => return opened.with_context(|| format!("cannot go on with {shown}")),
        }
    }
    match options.create_new(true).open(path) {
        Err(error) if error.kind() == AlreadyExists => match path.metadata() {
            Ok(found) if found.is_dir() => bail!("{shown} is a directory; name a file in it"),
            Ok(_) => {
                bail!("{shown} is there already; go on with it by --resume, or name another file")
            }
            Err(error) if error.kind() == NotFound => bail!(
                "{shown} is a link to a file that is not there: make it, or name another file"
            ),
            Err(error) => Err(error).with_context(|| format!("cannot create {shown}")),
        },
        opened => opened.with_context(|| format!("cannot create {shown}")),
    }
}

/// Locks the file against other tlsweep processes. Some network file systems have no locks.
fn lock(file: &File, path: &Path, quiet: bool) -> Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => bail!("another tlsweep writes to {}", shown(path)),
        Err(TryLockError::Error(error)) if !quiet => term::notice(format_args!(
            "{} cannot be locked ({error}): no other tlsweep may write to it meanwhile",
            shown(path)
        )),
        _ => {}
    }
    Ok(())
}

fn read(
    file: &File,
    path: &Path,
    lines: &mut dyn Reader,
    several: bool,
    done: Done,
) -> Result<Checkpoint> {
    let found = match is_compressed(path) {
        true => Checkpoint::read_compressed(file, lines, done),
        false => Checkpoint::read(file, lines, several, done),
    };
    found.with_context(|| format!("cannot go on with {}", shown(path)))
}

/// Whether the file is append-only (`chattr +a`), so that a torn line cannot be cut off.
fn is_append_only(file: &File) -> bool {
    // If the kernel or the file system does not report this, cutting the torn line fails later.
    statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::APPEND))
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zst"))
}
