//! Records that earlier sweeps wrote as JSON, read back one target at a time.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use serde::Deserialize;

use crate::escape::{escaped, shown};
use crate::feed::decode::decoded;
use crate::feed::source::{Source, is_stdin};
use crate::limits::{ADDRESSES_LIMIT, RECORD_LIMIT};
use crate::report::record::{Record, VERSION};

/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;

/// The records of several files, in order. Memory does not depend on how many there are.
pub struct Records {
    sources: vec::IntoIter<PathBuf>,
    stdin: Box<dyn Fn() -> Box<dyn Read + Send> + Send>,
    file: Option<OpenFile>,
    /// The records of the target that is being read.
    target: Vec<Record>,
    /// The error that ended the reading; returned after the records before it.
    error: Option<ReplayError>,
}

/// What comes next in the files.
#[derive(Debug)]
pub enum Next {
    /// All records of a target.
    Target(Vec<Record>),
    /// This file ends in the middle of a record. The record is left out.
    Torn(String),
    /// There is nothing more.
    End,
}

/// A file that cannot be replayed. What came before the fault was handed out.
#[derive(Debug)]
pub struct ReplayError {
    file: String,
    /// From 1; none: it is about the whole file.
    line: Option<u64>,
    reason: String,
}

/// A file that is being read.
struct OpenFile {
    name: String,
    reader: BufReader<Box<dyn Read + Send>>,
    lines: u64,
    line: Vec<u8>,
}

/// What ended a line.
enum LineEnd {
    Newline,
    /// The file ended, without a newline.
    EndOfFile,
    /// The file ended behind the line before, so there is none.
    NoLine,
}

/// The one field that every version of the schema has.
#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

impl Records {
    /// The records of `files`, of which `-` is `stdin`.
    ///
    /// # Errors
    /// The first file that is not there or cannot be opened.
    pub fn open(
        files: Vec<PathBuf>,
        stdin: impl Fn() -> Box<dyn Read + Send> + Send + 'static,
    ) -> Result<Self, ReplayError> {
        // Each is opened again when its turn comes, so that there may be more of them than descriptors.
        for path in files.iter().filter(|path| !is_stdin(path)) {
            Source::find(path, &stdin).map_err(|error| ReplayError::of(path, &error))?;
        }
        let (sources, stdin) = (files.into_iter(), Box::new(stdin));
        Ok(Self { sources, stdin, file: None, target: Vec::new(), error: None })
    }

    /// Reads up to the end of the next target, of a torn file or of the input.
    ///
    /// # Errors
    /// A file cannot be read, or has something else than records of this version in it.
    pub fn read_next(&mut self) -> Result<Next, ReplayError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        match self.read_on() {
            Err(error) if !self.target.is_empty() => {
                self.error = Some(error);
                Ok(Next::Target(std::mem::take(&mut self.target)))
            }
            next => next,
        }
    }

    fn read_on(&mut self) -> Result<Next, ReplayError> {
        loop {
            let Some(file) = &mut self.file else {
                // The records of a target all stand in one file.
                if !self.target.is_empty() {
                    return Ok(Next::Target(std::mem::take(&mut self.target)));
                }
                match self.sources.next() {
                    Some(path) => self.file = Some(OpenFile::open(&path, &self.stdin)?),
                    None => return Ok(Next::End),
                }
                continue;
            };
            let end = match file.read_line() {
                Ok(end) => end,
                // A compressed file that was torn off.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    let torn = Next::Torn(file.name.clone());
                    self.file = None;
                    return Ok(torn);
                }
                Err(error) => return Err(file.error(error.to_string())),
            };
            if matches!(end, LineEnd::NoLine) {
                self.file = None;
                continue;
            }
            let record = match (file.record(), end) {
                (Err(_torn), LineEnd::EndOfFile) => {
                    let torn = Next::Torn(file.name.clone());
                    self.file = None;
                    return Ok(torn);
                }
                (record, _) => record?,
            };
            let goes_on = self.target.first().is_none_or(|first| is_of_one_target(first, &record));
            if goes_on && self.target.len() < ADDRESSES_LIMIT.get() {
                self.target.push(record);
            } else {
                return Ok(Next::Target(std::mem::replace(&mut self.target, vec![record])));
            }
        }
    }
}

/// With `--all-addresses` a target has a record for each address, and they stand together.
fn is_of_one_target(one: &Record, other: &Record) -> bool {
    let words = |record: &Record| (record.line, record.number, record.time, record.port);
    words(one) == words(other)
        && one.target == other.target
        && one.host == other.host
        && one.tag == other.tag
        && one.addr != other.addr
}

impl OpenFile {
    fn open(path: &Path, stdin: &dyn Fn() -> Box<dyn Read + Send>) -> Result<Self, ReplayError> {
        let failed = |error| ReplayError::of(path, &error);
        let source = Source::find(path, stdin).map_err(failed)?;
        let name = source.name.clone();
        let bytes = source.bytes().map_err(failed)?;
        let decoded = decoded(bytes, &Arc::default()).map_err(failed)?.text;
        let reader = BufReader::with_capacity(CHUNK, decoded);
        Ok(Self { name, reader, lines: 0, line: Vec::new() })
    }

    /// Reads a line into `self.line`, without its end.
    fn read_line(&mut self) -> io::Result<LineEnd> {
        self.line.clear();
        loop {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                let is_between_lines = self.line.is_empty();
                self.lines += u64::from(!is_between_lines);
                return Ok(if is_between_lines { LineEnd::NoLine } else { LineEnd::EndOfFile });
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let length = end.unwrap_or(bytes.len());
            self.line.extend(bytes.iter().take(length));
            self.reader.consume(length + usize::from(end.is_some()));
            if self.line.len() > RECORD_LIMIT {
                self.lines += 1;
                return Err(io::Error::other(format!(
                    "the line has more than {} MiB, so it is no record",
                    RECORD_LIMIT >> 20
                )));
            }
            if end.is_some() {
                self.lines += 1;
                return Ok(LineEnd::Newline);
            }
        }
    }

    /// The record that the line is.
    fn record(&self) -> Result<Record, ReplayError> {
        let record = serde_json::from_slice::<Record>(&self.line);
        let version = match &record {
            Ok(record) => Some(record.v),
            // What has no version either is no record, as the first error says.
            Err(_) => serde_json::from_slice(&self.line).ok().map(|Versioned { v }| v),
        };
        if let Some(version) = version.filter(|version| *version != VERSION) {
            return Err(self.error(format!(
                "the record has version {version} of the schema, and this tlsweep reads version {VERSION}"
            )));
        }
        record.map_err(|error| {
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or_default();
            self.error(format!(
                "not a record; --from reads what --format json wrote, without --fields ({})",
                escaped(reason)
            ))
        })
    }

    fn error(&self, reason: String) -> ReplayError {
        ReplayError { file: self.name.clone(), line: Some(self.lines), reason }
    }
}

impl ReplayError {
    fn of(path: &Path, error: &io::Error) -> Self {
        let file = if is_stdin(path) { "stdin".to_owned() } else { shown(path) };
        Self { file, line: None, reason: error.to_string() }
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "cannot read {}: line {line}: {}", self.file, self.reason),
            None => write!(f, "cannot read {}: {}", self.file, self.reason),
        }
    }
}

impl std::error::Error for ReplayError {}
