//! What the command line means: everything that it names is opened, loaded and checked.
//!
//! Any of this may take long or for ever: a FIFO that nobody writes, a large output to go on with, a
//! network file system. So it happens on a thread of its own, and signals end the run meanwhile.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use tlsweep::cert::Roots;
use tlsweep::config::Config;
use tlsweep::escape::shown;
use tlsweep::feed::exclude::{Exclusions, SPECIAL};
use tlsweep::feed::input::{Input, InputError};
use tlsweep::feed::resume::Done;
use tlsweep::feed::selection::Selection;
use tlsweep::feed::shard::Shard;
use tlsweep::feed::shuffle::Shuffle;
use tlsweep::plural::count;
use tlsweep::report::baseline::Baseline;
use tlsweep::report::build::{RootsInUse, Setup};
use tlsweep::report::output::{Format, Sink};
use tlsweep::report::review::Review;
use tlsweep::report::status::Status;
use tokio::runtime::Handle;

use crate::cli::{Artifact, Cli, SchemaOf};
use crate::destination::Destination;
use crate::dry_run::DryRun;
use crate::hints::Hints;
use crate::progress::Progress;
use crate::replay::Replay;
use crate::watch::{self, Reports};
use crate::{baseline, crlite, crls, demo, files, preflight, roots, stdio, term};

/// Seeds that are chosen at random are below this, because JSON readers may round larger numbers.
const SEEDS: u64 = 1 << 53;

/// What is to be done. A mode is a variant here, a way to plan it, and an arm in `run`.
pub(crate) enum Mode {
    /// Dial the targets.
    Sweep(Box<Sweep>),
    /// Read and count the targets.
    DryRun(Box<DryRun>),
    /// Read records of earlier sweeps.
    Replay(Box<Replay>),
    /// Print the version, or all that this was built from.
    Version { in_full: bool },
    /// Print the man page or a completion script.
    Generate(Artifact),
    /// Print a schema.
    Schema(SchemaOf),
}

/// A sweep that can begin.
pub(crate) struct Sweep {
    pub(crate) config: Config,
    pub(crate) roots: Roots,
    pub(crate) review: Review,
    /// The baseline whose missing targets are counted at the end. `None` if there is none, or if this run
    /// sees only a part of the list.
    pub(crate) expected: Option<Arc<Baseline>>,
    pub(crate) input: Input,
    pub(crate) selection: Selection,
    pub(crate) shuffle: Option<Shuffle>,
    /// The targets that an earlier run has finished.
    pub(crate) done: Done,
    pub(crate) format: Arc<dyn Format>,
    pub(crate) sink: Box<dyn Sink>,
    /// What people call the sink.
    pub(crate) output: String,
    pub(crate) status: Arc<Status>,
    pub(crate) progress: Progress,
    pub(crate) reports: Reports,
    pub(crate) quiet: bool,
    /// The only target is an argument, so one loop is enough.
    pub(crate) is_one: bool,
}

impl Mode {
    /// Works out what `cli` asks for, and makes sure that it can be done.
    ///
    /// # Errors
    /// Whatever makes it impossible.
    pub(crate) fn plan(mut cli: Cli, now: SystemTime, runtime: &Handle) -> Result<Self> {
        if cli.output.version {
            stdio::check_stdout()?;
            return Ok(Self::Version { in_full: cli.output.verbose > 0 });
        }
        if let Some(artifact) = cli.output.generate {
            stdio::check_stdout()?;
            return Ok(Self::Generate(artifact));
        }
        if let Some(of) = cli.output.print_schema {
            stdio::check_stdout()?;
            return Ok(Self::Schema(of));
        }
        files::check(&cli.files())?;
        if !cli.targets.from.is_empty() {
            return Replay::plan(cli).map(Box::new).map(Self::Replay);
        }
        let mut config = cli.config(exclusions(&cli)?)?;
        check_source(&config)?;
        let (review, baseline) = baseline::review(&mut cli)?;
        let roots =
            roots::load(&cli.certificates.roots, cli.certificates.system_roots, cli.output.quiet)?;
        config.crls = crls::load(&cli.certificates.crls, now, cli.output.quiet)?;
        let filters = cli.certificates.crlite.as_deref();
        config.crlite = crlite::load(filters, now, cli.output.quiet)?;
        let limits = preflight::fit(&mut config, cli.targets.files.len());
        let selection = cli.targets.selection();
        if cli.targets.dry_run {
            let dry_run = DryRun::plan(cli, config, selection, limits)?;
            return Ok(Self::DryRun(Box::new(dry_run)));
        }
        if !cli.output.quiet {
            limits.iter().for_each(term::notice);
        }
        let reviewed = (config, roots, review, baseline);
        Sweep::plan(cli, reviewed, selection, runtime).map(Box::new).map(Self::Sweep)
    }
}

impl DryRun {
    fn plan(
        mut cli: Cli,
        config: Config,
        selection: Selection,
        limits: Vec<String>,
    ) -> Result<Self> {
        stdio::check_stdout()?;
        let hints = Hints::new(cli.output.quiet);
        let as_json = cli.output.format(cli.targets.is_one())? == "json";
        let (targets, files) = inputs(&mut cli)?;
        let input = open_input(targets, &files)?;
        Ok(Self { config, input, selection, limits, as_json, hints })
    }
}

impl Sweep {
    fn plan(
        mut cli: Cli,
        (config, mut roots, review, baseline): (Config, Roots, Review, Option<Arc<Baseline>>),
        selection: Selection,
        runtime: &Handle,
    ) -> Result<Self> {
        let quiet = cli.output.quiet;
        if cli.output.file().is_none() {
            stdio::check_stdout()?;
        }
        let mut reports = Reports::open(watch::WantedReports::of(&mut cli)?)?;
        let is_one = cli.targets.is_one();
        let (targets, files) = match cli.is_demo() {
            true => (runtime.block_on(demo::start(&mut roots))?, Vec::new()),
            false => inputs(&mut cli)?,
        };
        let open = || open_input(targets.clone(), &files);
        let input = open()?;
        let status = Arc::new(Status::new(input.extent(), input.size()));
        let progress = Progress::new(quiet || cli.output.is_piped(), Arc::clone(&status));
        let Destination { sink, format, mut done, name } = Destination::open(
            &cli.output,
            config.all_addresses,
            (selection.shard, is_one),
            &progress,
        )?;
        if done.count() > 0 {
            let again = input.size().map(|_| open()).transpose()?;
            check_done(&selection, &mut done, again, quiet)?;
        }
        let is_whole = selection.shard == Shard::WHOLE && done.count() == 0;
        let expected = baseline.filter(|_| is_whole);
        let format = reports.observed(format);
        let shuffle = shuffle(&cli);
        reports.describe(|| Setup {
            seed: shuffle.as_ref().map(Shuffle::seed),
            concurrency: config.concurrency.get(),
            roots: RootsInUse::of(&roots),
        });
        Ok(Self {
            config,
            roots,
            review,
            expected,
            input,
            selection,
            shuffle,
            done,
            format: Arc::from(format),
            sink,
            output: name,
            status,
            progress,
            reports,
            quiet,
            is_one,
        })
    }
}

/// Compares what can be read twice with the output, before the first dial, and says how much is done.
fn check_done(
    selection: &Selection,
    done: &mut Done,
    again: Option<Input>,
    quiet: bool,
) -> Result<()> {
    if let Some(input) = again {
        selection.compare(input, done)?;
    }
    if !quiet {
        term::notice(format_args!("going on: {} done already", count(done.count(), "target")));
    }
    Ok(())
}

/// What must not be dialled.
fn exclusions(cli: &Cli) -> Result<Exclusions> {
    let mut exclusions = Exclusions::default();
    if cli.targets.exclude_special {
        exclusions.add_list(SPECIAL)?;
    }
    for path in &cli.targets.exclude {
        let context = || format!("cannot use --exclude {}", shown(path));
        let list = std::fs::read_to_string(path).with_context(context)?;
        exclusions.add_list(&list).with_context(context)?;
    }
    Ok(exclusions)
}

/// Makes sure that the address to dial from is one of this machine's.
fn check_source(config: &Config) -> Result<()> {
    if let Some(source) = config.source {
        UdpSocket::bind((source, 0))
            .with_context(|| format!("cannot dial from --source {source}"))?;
    }
    Ok(())
}

fn open_input(targets: Vec<OsString>, files: &[PathBuf]) -> Result<Input, InputError> {
    Input::open(targets, files, || Box::new(stdio::Patient(io::stdin())))
}

/// The arguments and files to read, in order.
fn inputs(cli: &mut Cli) -> Result<(Vec<OsString>, Vec<PathBuf>)> {
    let targets = std::mem::take(&mut cli.targets.targets);
    let mut files = std::mem::take(&mut cli.targets.files);
    if targets.is_empty() && files.is_empty() {
        if io::stdin().is_terminal() {
            bail!(
                "there are no targets: name some, or a file with -f, or pipe them in (see --help)"
            );
        }
        files.push("-".into());
    }
    if files.iter().any(|path| path == Path::new("-")) {
        stdio::check_stdin()?;
    }
    Ok((targets, files))
}

/// The window to shuffle in. A seed that was chosen at random is printed.
fn shuffle(cli: &Cli) -> Option<Shuffle> {
    let (size, given) = cli.targets.shuffle()?;
    let seed = given.unwrap_or_else(|| fastrand::u64(..SEEDS));
    if given.is_none() && !cli.output.quiet {
        term::notice(format_args!("shuffled; for this order again: --seed {seed}"));
    }
    Some(Shuffle::new(size, seed))
}
