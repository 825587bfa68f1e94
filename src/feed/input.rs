//! Arguments, files and stdin as one stream of numbered lines.
//!
//! Reading blocks, so it happens on a thread of its own. The exit does not wait for that thread,
//! because stdin may be idle.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::escape::{escaped_lossy, shown};
use crate::feed::decode::{Decoded, decoded};
use crate::feed::extent::Extent;
use crate::feed::source::Source;
pub use crate::limits::{ECHO_LIMIT, LINE_LIMIT};

/// Where a target stands in everything that is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// The number of its line: from 1, over all inputs, blank lines and comments counted.
    pub line: u64,
    /// Its own number: from 1, over all inputs, the addresses of a range counted one by one.
    pub number: u64,
}

/// What is to become one target: a line, or an address of a range.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Where it stands.
    pub place: Place,
    /// The line without surrounding blanks, or why it cannot be one.
    pub text: Result<String, Box<BadLine>>,
}

/// A line that is not text or is too long to be a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadLine {
    /// The first field, escaped, at most [`ECHO_LIMIT`] characters.
    pub echo: String,
    /// One sentence.
    pub reason: String,
}

impl Line {
    /// The target `number` of a list, counted from 1: `host`, `host:port`, `scheme://host` or what else
    /// the command takes as a line.
    ///
    /// A text that is no target is still a line. Its record says what is wrong with it.
    pub fn new(number: u64, text: &str) -> Self {
        let place = Place { line: number, number };
        let text = text_of(text.as_bytes(), text.len() > LINE_LIMIT);
        Self { place, text: text.map(str::to_owned) }
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let text = match &self.text {
            Ok(text) => text.capacity(),
            Err(bad) => bad.echo.capacity() + bad.reason.capacity(),
        };
        size_of::<Self>() + text
    }

    /// The text before the first comma; for a line that is not text, its echo.
    pub fn first_field(&self) -> &str {
        match &self.text {
            Ok(text) => text.split(',').next().unwrap_or_default().trim(),
            Err(bad) => &bad.echo,
        }
    }
}

/// An input that cannot be read.
#[derive(Debug)]
pub struct InputError {
    name: String,
    error: io::Error,
}

/// Takes the lines of an [`Input`]. A closure does, if it need not know about waits.
pub trait Consumer {
    /// Takes a line with its number, or the reason why it is not a line. False: read no more.
    fn take(&mut self, number: u64, text: Result<&str, Box<BadLine>>) -> bool;

    /// Is called when every line that was read has been handed on and the next read may block for
    /// any time. False: read no more.
    fn before_wait(&mut self) -> bool {
        true
    }

    /// Is called when that read has returned. False: what it returned is not wanted.
    fn after_wait(&mut self) -> bool {
        true
    }
}

impl<F: FnMut(u64, Result<&str, Box<BadLine>>) -> bool> Consumer for F {
    fn take(&mut self, number: u64, text: Result<&str, Box<BadLine>>) -> bool {
        self(number, text)
    }
}

/// Everything that is to be read, in order.
pub struct Input {
    parts: Vec<Part>,
    extent: Extent,
    size: Option<u64>,
}

enum Part {
    Arguments(Vec<OsString>),
    Source(Source),
}

impl Input {
    /// Arguments first, then `files` in order; `-` among them is `stdin`.
    ///
    /// # Errors
    /// The first file that does not exist, may not be read or is a directory.
    pub fn open(
        arguments: Vec<OsString>,
        files: &[PathBuf],
        stdin: impl Fn() -> Box<dyn Read + Send>,
    ) -> Result<Self, InputError> {
        let mut size = Some(arguments.iter().map(|text| text.len() as u64 + 1).sum());
        let mut parts = vec![Part::Arguments(arguments)];
        for path in files {
            let source = Source::find(path, &stdin).map_err(|error| InputError::of(path, error))?;
            size = size.zip(source.length).map(|(sum, length): (u64, u64)| sum + length);
            parts.push(Part::Source(source));
        }
        Ok(Self { parts, extent: Extent::default(), size })
    }

    /// How much has been read; goes on counting while [`Input::send_to`] runs.
    pub fn extent(&self) -> Extent {
        self.extent.clone()
    }

    /// Total bytes of the input, when all of it is arguments and regular files.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Reads everything, and hands on the lines that are neither blank nor comments, each with its
    /// number. Returns early, without an error, once `consumer` wants no more.
    ///
    /// # Errors
    /// The first input whose reading failed; what came before it has been handed on.
    pub fn send_to(self, mut consumer: impl Consumer) -> Result<(), InputError> {
        let mut lines = Lines { number: 0, consumer: &mut consumer };
        for part in self.parts {
            let source = match part {
                Part::Source(source) => source,
                Part::Arguments(arguments) => {
                    for argument in arguments {
                        let bytes = argument.into_vec();
                        let length = bytes.len();
                        // Somebody named this target, so it has a line even if it is blank: a variable of
                        // a shell may be empty.
                        if !lines.hand_on(&bytes, length > LINE_LIMIT) {
                            return Ok(());
                        }
                        self.extent.position().fetch_add(length as u64 + 1, Ordering::Relaxed);
                    }
                    continue;
                }
            };
            let name = source.name.clone();
            let failed = |error| InputError { name, error };
            let is_waiting = source.is_waiting();
            if is_waiting && !lines.consumer.before_wait() {
                return Ok(());
            }
            let reader = match source.bytes() {
                Ok(reader) => reader,
                Err(error) => return Err(failed(error)),
            };
            if is_waiting && !lines.consumer.after_wait() {
                return Ok(());
            }
            if !lines.consumer.before_wait() {
                return Ok(());
            }
            let decoded = decoded(reader, self.extent.position());
            if !lines.consumer.after_wait() {
                return Ok(());
            }
            let ended = decoded.and_then(|Decoded { mut text, is_counted }| {
                let uncounted = AtomicU64::new(0);
                let position = if is_counted { &uncounted } else { self.extent.position() };
                read_lines(&mut text, position, &mut lines)
            });
            if !ended.map_err(failed)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Returns true at the end of `reader`, and false when `consumer` wants no more.
fn read_lines(
    reader: &mut dyn Read,
    position: &AtomicU64,
    lines: &mut Lines<'_>,
) -> io::Result<bool> {
    let mut reader = BufReader::with_capacity(64 * 1024, reader);
    let mut kept = Vec::new();
    loop {
        kept.clear();
        // The longest line, its newline and a byte more.
        let most = LINE_LIMIT as u64 + 2;
        let must_wait = !reader.buffer().contains(&b'\n');
        if must_wait && !lines.consumer.before_wait() {
            return Ok(false);
        }
        let mut length = reader.by_ref().take(most).read_until(b'\n', &mut kept)?;
        if must_wait && !lines.consumer.after_wait() {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
        let line = kept.strip_suffix(b"\n").unwrap_or(&kept);
        let is_long = line.len() > LINE_LIMIT;
        if line.len() as u64 == most {
            length += reader.skip_until(b'\n')?;
        }
        let line = without_marks(line);
        if !lines.add(line, is_long) {
            return Ok(false);
        }
        position.fetch_add(length as u64, Ordering::Relaxed);
    }
}

/// Byte order marks are taken off every line, because lists are joined with `cat`. No target begins
/// with one.
fn without_marks(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = line.strip_prefix(b"\xef\xbb\xbf") {
        line = rest;
    }
    line
}

/// The lines that were read, numbered as they come.
struct Lines<'a> {
    number: u64,
    consumer: &'a mut dyn Consumer,
}

impl Lines<'_> {
    /// Hands a line on unless it is blank or a comment; false when nobody wants any more.
    fn add(&mut self, line: &[u8], is_long: bool) -> bool {
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() && !is_long || trimmed.first() == Some(&b'#') {
            self.number += 1;
            return true;
        }
        self.hand_on(line, is_long)
    }

    /// Hands a line on; false when nobody wants any more.
    fn hand_on(&mut self, line: &[u8], is_long: bool) -> bool {
        self.number += 1;
        self.consumer.take(self.number, text_of(line, is_long))
    }
}

/// The text of a line without surrounding blanks, or why it cannot be a target.
fn text_of(line: &[u8], is_long: bool) -> Result<&str, Box<BadLine>> {
    let trimmed = line.trim_ascii();
    let text = if is_long {
        Err(format!("the line is longer than {LINE_LIMIT} bytes"))
    } else {
        std::str::from_utf8(trimmed)
            .map_err(|error| format!("the line is not UTF-8 from byte {}", error.valid_up_to() + 1))
    };
    text.map_err(|reason| Box::new(BadLine { echo: echo(trimmed), reason }))
}

/// The first field of a line that is no target: escaped, at most [`ECHO_LIMIT`] characters.
pub fn echo(line: &[u8]) -> String {
    let field = line.split(|&byte| byte == b',').next().unwrap_or_default();
    escaped_lossy(field.trim_ascii(), ECHO_LIMIT)
}

impl InputError {
    fn of(path: &Path, error: io::Error) -> Self {
        Self { name: shown(path), error }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}", self.name)
    }
}

impl std::error::Error for InputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(input: &'static [u8]) -> Vec<Line> {
        let stdin = || Box::new(input) as Box<dyn Read + Send>;
        let input = Input::open(vec!["argument".into()], &["-".into()], stdin).unwrap();
        let mut lines = Vec::new();
        let ended = input.send_to(|line: u64, text: Result<&str, Box<BadLine>>| {
            let place = Place { line, number: lines.len() as u64 + 1 };
            lines.push(Line { place, text: text.map(str::to_owned) });
            true
        });
        ended.unwrap();
        lines
    }

    #[test]
    fn lines_are_trimmed_numbered_and_skipped() {
        let lines = lines_of(b"\xef\xbb\xbfa\r\n\n # no\n \tb \n#c\nd");
        let lines: Vec<_> =
            lines.into_iter().map(|line| (line.place.line, line.text.unwrap())).collect();
        let expected = [(1, "argument"), (2, "a"), (5, "b"), (7, "d")];
        assert_eq!(lines, expected.map(|(number, text)| (number, text.to_owned())));
    }

    #[test]
    fn lists_that_were_joined_may_have_marks_in_the_middle() {
        let mark = "\u{feff}";
        let input = format!("{mark}{mark}a\nb\n{mark}c\n{mark}# no\n{mark}\r\nd{mark}\n");
        let lines = lines_of(input.leak().as_bytes());
        let lines: Vec<_> =
            lines.iter().map(|line| (line.place.line, line.text.as_deref().unwrap())).collect();
        let kept = format!("d{mark}");
        assert_eq!(lines, [(1, "argument"), (2, "a"), (3, "b"), (4, "c"), (7, kept.as_str())]);
    }

    #[test]
    fn a_bad_line_does_not_harm_the_next() {
        let mut input = vec![b'x'; 1 << 20];
        input.extend(b"\na\xffb,c\n\0\ngood\n");
        let lines = lines_of(input.leak());
        let long = lines[1].text.as_ref().unwrap_err();
        assert_eq!((long.echo.len(), long.reason.contains("16384")), (ECHO_LIMIT, true));
        assert_eq!(lines[2].text.as_ref().unwrap_err().echo, "a\\xffb");
        assert_eq!(lines[3].text.as_deref(), Ok("\0"));
        assert_eq!(lines[4].text.as_deref(), Ok("good"));
    }

    #[test]
    fn a_line_of_its_own_is_what_a_list_would_have() {
        let long = "x".repeat(LINE_LIMIT + 1);
        let input = format!("argument\n \tb \n{long}\n");
        let of_list = &lines_of(input.clone().into_bytes().leak())[1..];
        let own = (2..).zip(input.lines()).map(|(number, text)| Line::new(number, text));
        assert_eq!(own.collect::<Vec<_>>(), of_list);
        assert!(of_list[2].text.is_err());
    }

    #[test]
    fn the_longest_line_is_a_line() {
        let mut input = vec![b'x'; LINE_LIMIT];
        input.extend(b"\r\n");
        let too_long = lines_of(input.clone().leak())[1].text.is_err();
        input.remove(0);
        assert_eq!((too_long, lines_of(input.leak())[1].text.is_ok()), (true, true));
    }

    #[test]
    fn a_missing_file_and_a_directory_are_named() {
        for path in ["/no/such/file", "/"] {
            let stdin = || Box::new(io::empty()) as Box<dyn Read + Send>;
            let error = Input::open(Vec::new(), &[path.into()], stdin).err().unwrap();
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
