//! The output as the checkpoint: which targets a file has, and up to where it is whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use crate::feed::resume::Done;
use crate::report::output::Reader;
use crate::report::output::zst::read_frames;

/// Bytes of a line that is read back.
const LINE_LIMIT: u64 = 16 << 20;

/// What a file has.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// Its targets.
    pub done: Done,
    /// Bytes up to the end of the last whole target.
    pub whole: u64,
}

impl Checkpoint {
    /// Reads `file`, which is left as it is.
    ///
    /// A torn last line does not count; with `several` lines to a target neither do those before it
    /// that are of the last target, for some of them may be missing.
    ///
    /// # Errors
    /// The file cannot be read, or something else has written it.
    pub fn read(file: &File, lines: &mut dyn Reader, several: bool) -> io::Result<Self> {
        let mut reading = Reading::new(lines);
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = (&mut file).take(LINE_LIMIT).read_until(b'\n', &mut line)? as u64;
            if line.last() != Some(&b'\n') {
                if reading.whole == 0 && !reading.lines.is_beginning(&line) || length == LINE_LIMIT
                {
                    return Err(foreign(reading.count + 1, "not a line of this format"));
                }
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

    /// The same of a file of zstd frames, each of which has whole targets; a torn last frame does
    /// not count.
    ///
    /// # Errors
    /// The file cannot be read, or something else has written it.
    pub fn read_compressed(file: &File, lines: &mut dyn Reader) -> io::Result<Self> {
        let mut reading = Reading::new(lines);
        read_frames(file, |text, length| {
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                if line.last() != Some(&b'\n') {
                    return Err(foreign(reading.count + 1, "torn off within a frame"));
                }
                reading.add(line, reading.whole)?;
            }
            reading.whole += length;
            Ok(())
        })?;
        Ok(reading.end())
    }
}

/// A file that is being read.
struct Reading<'a> {
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

impl<'a> Reading<'a> {
    fn new(lines: &'a mut dyn Reader) -> Self {
        Self { lines, done: Done::default(), whole: 0, count: 0, last: None }
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
        let checkpoint = Checkpoint::read(&file, reader.as_mut(), several)?;
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
    fn an_endless_line_is_no_line() {
        let text = "{\"".to_owned() + &"x".repeat(LINE_LIMIT as usize);
        assert!(json(&text, false).is_err());
    }
}
