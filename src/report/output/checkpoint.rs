//! The output as the checkpoint: which targets a file has, and up to where it is whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use crate::feed::resume::Done;
use crate::report::output::Reader;
use crate::report::output::zst::{is_only_zeros, text_of_frames, whole_frames};

/// Bytes of a line that is read back.
const LINE_LIMIT: u64 = 16 << 20;

/// The contents of an output file, as far as they are whole.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// Its targets.
    pub done: Done,
    /// Bytes up to the end of the last whole target.
    pub whole: u64,
}

impl Checkpoint {
    /// Reads `file`, which is left as it is, into `done`, which is empty.
    ///
    /// A torn last line does not count, nor do zeros that a crash left at the end. With `several` lines to a
    /// target, the lines of the last target do not count either, because some of them may be missing.
    ///
    /// # Errors
    /// The file cannot be read, something else has written it, or it is damaged before good lines.
    pub fn read(
        file: &File,
        lines: &mut dyn Reader,
        several: bool,
        done: Done,
    ) -> io::Result<Self> {
        let mut reading = ReadSoFar::new(lines, done);
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = (&mut file).take(LINE_LIMIT).read_until(b'\n', &mut line)? as u64;
            if line.last() != Some(&b'\n') {
                let is_endless = length == LINE_LIMIT;
                if !reading.may_end_with(&line) || is_endless && !is_only_zeros(&mut file)? {
                    return Err(foreign(reading.count + 1, "not a line of this format"));
                }
                break;
            }
            if line.contains(&0) {
                reading.refuse_good_lines(&line, &mut file)?;
                break;
            }
            reading.add(&line, reading.whole)?;
            reading.whole += length;
        }
        if several && let Some(last) = reading.last.take() {
            reading.whole = last.start;
        }
        Ok(reading.end())
    }

    /// The same of a file of zstd frames, each of which has whole targets; a torn or damaged last frame
    /// does not count.
    ///
    /// # Errors
    /// The file cannot be read, something else has written it, or it is damaged before good frames.
    pub fn read_compressed(
        mut file: &File,
        lines: &mut dyn Reader,
        done: Done,
    ) -> io::Result<Self> {
        let mut reading = ReadSoFar::new(lines, done);
        let whole = whole_frames(&mut file)?;
        let mut text = match whole {
            // There is no whole frame to decode.
            0 => Box::new(io::empty()) as Box<dyn BufRead>,
            _ => Box::new(text_of_frames(&mut file, whole)?),
        };
        let mut line = Vec::new();
        loop {
            line.clear();
            if (&mut text).take(LINE_LIMIT).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.last() != Some(&b'\n') {
                return Err(foreign(reading.count + 1, "torn off within a frame, or endless"));
            }
            reading.add(&line, 0)?;
        }
        reading.whole = whole;
        Ok(reading.end())
    }
}

/// A file that is being read.
struct ReadSoFar<'a> {
    lines: &'a mut dyn Reader,
    done: Done,
    whole: u64,
    /// Lines so far.
    count: u64,
    /// The last target, which more lines may follow.
    last: Option<Last>,
}

struct Last {
    number: u64,
    target: String,
    start: u64,
}

impl<'a> ReadSoFar<'a> {
    fn new(lines: &'a mut dyn Reader, done: Done) -> Self {
        Self { lines, done, whole: 0, count: 0, last: None }
    }

    /// Whether a file of this format may end with `torn`: behind good lines anything may have been torn
    /// off, but a file without any must begin as one of ours, or have become nothing but zeros.
    fn may_end_with(&mut self, torn: &[u8]) -> bool {
        let zeros = torn.iter().position(|byte| *byte == 0).unwrap_or(torn.len());
        let (start, rest) = torn.split_at(zeros);
        self.whole > 0
            || self.lines.is_beginning(start)
                && (!start.is_empty() || rest.iter().all(|byte| *byte == 0))
    }

    /// Bytes of `damaged` became zeros: what comes behind it must be damaged too.
    fn refuse_good_lines(&mut self, damaged: &[u8], file: &mut impl BufRead) -> io::Result<()> {
        if !self.may_end_with(damaged) {
            return Err(foreign(self.count + 1, "not a line of this format"));
        }
        let mut line = Vec::new();
        loop {
            line.clear();
            if file.take(LINE_LIMIT).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if !line.contains(&0) && self.lines.read(&line).is_ok() {
                let reason = "bytes of it became zeros, and good lines follow";
                return Err(foreign(self.count + 1, reason));
            }
        }
    }

    fn add(&mut self, line: &[u8], start: u64) -> io::Result<()> {
        self.count += 1;
        let read = self.lines.read(line).map_err(|error| foreign(self.count, error))?;
        let Some((number, target)) = read else {
            return Ok(());
        };
        match &mut self.last {
            Some(last) if last.number == number => {}
            Some(last) => {
                self.done.add(last.number, &last.target);
                (last.number, last.start) = (number, start);
                last.target.clear();
                last.target.push_str(&target);
            }
            none => *none = Some(Last { number, target: target.into_owned(), start }),
        }
        Ok(())
    }

    fn end(mut self) -> Checkpoint {
        if let Some(last) = self.last {
            self.done.add(last.number, &last.target);
        }
        Checkpoint { done: self.done, whole: self.whole }
    }
}

fn foreign(line: u64, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    let reason = reason.into();
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("tlsweep did not write its line {line}: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;
    use crate::report::output::{FORMATS, Layout};
    use crate::report::schema::Fields;

    fn read(format: &str, fields: &str, text: &[u8], several: bool) -> io::Result<(u64, u64)> {
        let layout = Layout { fields: Some(Fields::parse(fields).unwrap()), ..Layout::default() };
        let (_, make) = FORMATS.into_iter().find(|(name, _)| *name == format).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file.rewind().unwrap();
        let mut reader = make(&layout).reader().unwrap();
        let checkpoint = Checkpoint::read(&file, reader.as_mut(), several, Done::default())?;
        Ok((checkpoint.done.count(), checkpoint.whole))
    }

    fn json(text: impl AsRef<[u8]>, several: bool) -> io::Result<(u64, u64)> {
        read("json", "number,target", text.as_ref(), several)
    }

    /// With columns of which none is at the place where it usually is.
    fn csv(text: impl AsRef<[u8]>) -> io::Result<(u64, u64)> {
        read("csv", "tag,target,ok,number", text.as_ref(), false)
    }

    const FIRST: &str = "{\"number\":1,\"target\":\"a\"}\n";
    const SECOND: &str = "{\"number\":2,\"target\":\"b\\u202e\"}\n";

    #[test]
    fn a_torn_last_line_does_not_count() {
        let both = [FIRST, SECOND].concat();
        for end in FIRST.len()..both.len() {
            assert_eq!(
                json(&both.as_bytes()[..end], false).unwrap(),
                (1, FIRST.len() as u64),
                "{end}"
            );
        }
        assert_eq!(json(&both, false).unwrap(), (2, both.len() as u64));
        for end in 0..FIRST.len() {
            assert_eq!(json(&FIRST.as_bytes()[..end], false).unwrap(), (0, 0), "{end}");
        }
    }

    #[test]
    fn of_several_lines_to_a_target_the_last_may_be_missing() {
        let until_second = (1, FIRST.len() as u64);
        for text in [[FIRST, SECOND].concat(), [FIRST, SECOND, SECOND, "{\"number\""].concat()] {
            assert_eq!(json(&text, true).unwrap(), until_second, "{text}");
        }
        assert_eq!(json(FIRST, true).unwrap(), (0, 0));
        assert_eq!(json("", true).unwrap(), (0, 0));
    }

    #[test]
    fn other_files_are_told_by_their_first_line() {
        for text in [
            "hello",
            "hello\n",
            "\n",
            "{\n  \"number\": 1,\n",
            "{\"number\":1}\n",
            "{\"number\":\"1\",\"target\":\"a\"}\n",
            "[]\n",
            "tag,target,ok,number\n",
        ] {
            assert!(json(text, false).is_err(), "{text:?}");
            let error = json([FIRST, text, FIRST].concat(), false).unwrap_err();
            assert!(error.to_string().contains("line 2"), "{error}");
        }
    }

    #[test]
    fn columns_are_found_by_their_names() {
        let header = "tag,target,ok,number\n";
        let line = "\"a \"\"tag\"\", really\",a,true,7\n";
        let whole = [header, line].concat();
        assert_eq!(csv(&whole).unwrap(), (1, whole.len() as u64));
        assert_eq!(csv(line).unwrap(), (1, line.len() as u64), "without a header");
        for end in 0..header.len() {
            assert_eq!(csv(&header.as_bytes()[..end]).unwrap(), (0, 0), "{end}");
        }
        for end in header.len()..whole.len() {
            assert_eq!(csv(&whole.as_bytes()[..end]).unwrap(), (0, header.len() as u64), "{end}");
        }
        for text in
            ["hello", "hello\n", "a,b,c\n", "a,b,c,7,8\n", "a,b,c,d\n", "target,number\n", "\n"]
        {
            assert!(csv(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_a_crash_made_zeros_of_at_the_end_does_not_count() {
        let zeros = |count: usize| "\0".repeat(count);
        let good = [FIRST, SECOND].concat();
        for tail in [
            zeros(1),
            zeros(5000),
            zeros(LINE_LIMIT as usize + 1),
            "{\"num".to_owned() + &zeros(3),
            zeros(4000) + "ber\":3,\"target\":\"c\"}\n",
            "{\"number\":3,".to_owned() + &zeros(9) + "}\n{\"nu\0\0\0\0\n",
        ] {
            let whole = (2, good.len() as u64);
            assert_eq!(json(good.clone() + &tail, false).unwrap(), whole, "{tail:.20?}");
        }
        assert_eq!(json(zeros(4096), false).unwrap(), (0, 0));
        assert_eq!(json("{\"\0\0\n", false).unwrap(), (0, 0));
        let header = "tag,target,ok,number\n";
        let text = header.to_owned() + "a,b,true,1\nc,d,\0\0\0\0,2\n";
        assert_eq!(csv(text).unwrap(), (1, header.len() as u64 + 11));
        // Zeros do not make everything ours.
        for text in ["\0\0\0\x20ftypmp42", "\0\n", "\x7fELF\0\0\0\n"] {
            assert!(json(text, false).is_err(), "{text:?}");
        }
    }

    #[test]
    fn zeros_before_good_lines_say_where() {
        let text = [FIRST, "{\"number\":2,\0\0\0\0\"}\n", SECOND].concat();
        let error = json(text, false).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("zeros"), "{error}");
    }

    #[test]
    fn an_endless_line_is_no_line() {
        let text = "{\"".to_owned() + &"x".repeat(LINE_LIMIT as usize);
        assert!(json(&text, false).is_err());
    }
}
