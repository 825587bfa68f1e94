//! Turns the lines of the input into the targets of this sweep.

use std::fmt;

use crate::feed::extent::Extent;
use crate::feed::input::{BadLine, Consumer, Input, InputError, LINE_LIMIT, Line, Place, echo};
use crate::feed::range::Range;
use crate::feed::resume::{Done, OtherList};
use crate::feed::shard::Shard;
use crate::feed::target::InvalidTarget;

/// Expands ranges, numbers the targets, and leaves out those of other shards and those that are
/// done.
#[derive(Clone, Copy, Debug)]
pub struct Selection {
    /// The port of ranges that name none.
    pub port: u16,
    /// Which part of the list to sweep.
    pub shard: Shard,
}

/// Takes the targets that a [`Selection`] hands on. A closure does, if it need not know about waits.
pub trait Targets {
    /// Takes a target. False: no more are wanted.
    fn take(&mut self, line: Line) -> bool;

    /// Whether the rest of a range should still be expanded. Lines that were read are handed on
    /// even if not.
    fn goes_on(&self) -> bool {
        true
    }

    /// As [`Consumer::before_wait`].
    fn before_wait(&mut self) -> bool {
        true
    }

    /// As [`Consumer::after_wait`].
    fn after_wait(&mut self) -> bool {
        true
    }
}

impl<F: FnMut(Line) -> bool> Targets for F {
    fn take(&mut self, line: Line) -> bool {
        self(line)
    }
}

impl Selection {
    /// Reads all of `input` and hands on what is selected and not `done`; ends early, without an
    /// error, once `targets` wants no more.
    ///
    /// # Errors
    /// The first input that could not be read, or the first place where it differs from the list of
    /// `done`. The targets before that have been handed on.
    pub fn send_all(
        self,
        input: Input,
        done: &mut Done,
        targets: impl Targets,
    ) -> Result<(), SelectionError> {
        let extent = input.extent();
        let passed = Ok(true);
        let mut stages = Stages { selection: self, number: 0, extent, done, targets, passed };
        let ended = input.send_to(&mut stages);
        if stages.passed? && ended.is_ok() {
            stages.extent.end();
            stages.done.finish()?;
        }
        Ok(ended?)
    }

    /// Reads all of `input` only to check that it is the list that `done` belongs to.
    ///
    /// # Errors
    /// It is another list, or it cannot be read.
    pub fn compare(&self, input: Input, done: &mut Done) -> Result<(), SelectionError> {
        self.send_all(input, done, |_line: Line| true)
    }
}

/// Why some of the selected targets were not handed on.
#[derive(Debug)]
pub enum SelectionError {
    /// An input cannot be read.
    Input(InputError),
    /// The input is not the list whose targets are recorded as done.
    OtherList(OtherList),
}

impl From<InputError> for SelectionError {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

impl From<OtherList> for SelectionError {
    fn from(error: OtherList) -> Self {
        Self::OtherList(error)
    }
}

impl fmt::Display for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) => error.fmt(f),
            Self::OtherList(_) => {
                f.write_str("the input is another list than the output's, or another shard of it")
            }
        }
    }
}

impl std::error::Error for SelectionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Input(error) => error.source(),
            Self::OtherList(error) => Some(error),
        }
    }
}

struct Stages<'a, T> {
    selection: Selection,
    number: u64,
    extent: Extent,
    done: &'a mut Done,
    targets: T,
    /// Whether more is wanted, or the error that ended it.
    passed: Result<bool, OtherList>,
}

impl<T: Targets> Consumer for &mut Stages<'_, T> {
    fn take(&mut self, line: u64, text: Result<&str, Box<BadLine>>) -> bool {
        let range = text.as_ref().ok().and_then(|text| Range::parse(text, self.selection.port));
        let bytes = text.as_ref().map_or(LINE_LIMIT, |text| text.len());
        let targets = range.as_ref().and_then(|it| it.as_ref().ok()).map_or(1, Range::count);
        self.extent.begin_line(bytes, targets);
        self.passed = match range {
            None => self.pass(line, || text.map(str::to_owned)),
            Some(Ok(range)) => self.pass_each(line, &range),
            Some(Err(InvalidTarget(reason))) => {
                let echo = echo(text.unwrap_or_default().as_bytes());
                self.pass(line, || Err(Box::new(BadLine { echo, reason })))
            }
        };
        self.extent.end_line();
        self.passed == Ok(true)
    }

    fn before_wait(&mut self) -> bool {
        let goes_on = self.targets.before_wait();
        self.passed = Ok(goes_on);
        goes_on
    }

    fn after_wait(&mut self) -> bool {
        let goes_on = self.targets.after_wait();
        self.passed = Ok(goes_on);
        goes_on
    }
}

impl<T: Targets> Stages<'_, T> {
    /// Hands on the addresses of a range, one by one, for as long as they are wanted.
    fn pass_each(&mut self, line: u64, range: &Range<'_>) -> Result<bool, OtherList> {
        for address in range.addresses() {
            if !self.targets.goes_on() || !self.pass(line, || Ok(range.line(address)))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Numbers a target, and hands it on if it is selected. False: no more are wanted.
    fn pass(
        &mut self,
        line: u64,
        text: impl FnOnce() -> Result<String, Box<BadLine>>,
    ) -> Result<bool, OtherList> {
        self.number += 1;
        self.extent.pass_target();
        if !self.selection.shard.has(self.number) {
            return Ok(true);
        }
        let line = Line { place: Place { line, number: self.number }, text: text() };
        self.done.pass(line, &mut |line| self.targets.take(line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const INPUT: &[u8] =
        b"a\n\n# no\n192.0.2.0/24,,x\n192.0.2.0/33\n\xff\nhttps://192.0.2.0/24\n2001:db8::/126\n";
    /// a, 256 addresses, two bad lines, a URL, four addresses.
    const TARGETS: u64 = 1 + 256 + 2 + 1 + 4;

    fn input(text: &'static [u8]) -> Input {
        let stdin = || Box::new(text) as Box<dyn Read + Send>;
        Input::open(Vec::new(), &["-".into()], stdin).unwrap()
    }

    fn selected(shard: &str, limit: usize) -> Vec<Line> {
        let selection = Selection { port: 443, shard: shard.parse().unwrap() };
        let mut lines = Vec::new();
        let ended = selection.send_all(input(INPUT), &mut Done::default(), |line: Line| {
            lines.push(line);
            lines.len() < limit
        });
        ended.unwrap();
        lines
    }

    #[test]
    fn targets_are_numbered_with_ranges_expanded() {
        let lines = selected("0/1", usize::MAX);
        let numbers: Vec<_> = lines.iter().map(|line| line.place.number).collect();
        assert_eq!(numbers, (1..=TARGETS).collect::<Vec<_>>());
        let shown = |number: usize| {
            let line = &lines[number - 1];
            let text = line.text.as_deref().map_err(|bad| (bad.echo.as_str(), bad.reason.as_str()));
            (line.place.line, text)
        };
        assert_eq!(shown(1), (1, Ok("a")));
        assert_eq!(shown(2), (4, Ok("192.0.2.0:443,,x")));
        assert_eq!(shown(257), (4, Ok("192.0.2.255:443,,x")));
        let (line, bad) = shown(258);
        assert!(line == 5 && bad.is_err_and(|(echo, _)| echo == "192.0.2.0/33"));
        assert_eq!(shown(260), (7, Ok("https://192.0.2.0/24")));
        assert_eq!(shown(264), (8, Ok("[2001:db8::3]:443")));
    }

    #[test]
    fn shards_are_disjoint_and_complete_and_number_alike() {
        let whole = selected("0/1", usize::MAX);
        for count in [2, 7, 64, 500] {
            let shards =
                (0..count).flat_map(|index| selected(&format!("{index}/{count}"), usize::MAX));
            let mut lines: Vec<_> = shards.collect();
            lines.sort_by_key(|line| line.place.number);
            assert_eq!(lines, whole, "{count} shards");
        }
    }

    /// Takes targets, and stops wanting them as a sweep does that was stopped.
    struct Stopping {
        taken: Vec<String>,
        stop_after: usize,
    }

    impl Targets for &mut Stopping {
        fn take(&mut self, line: Line) -> bool {
            self.taken.push(line.text.unwrap());
            true
        }

        fn goes_on(&self) -> bool {
            self.taken.len() < self.stop_after
        }

        fn before_wait(&mut self) -> bool {
            self.goes_on()
        }
    }

    #[test]
    fn a_stop_takes_what_was_read_but_expands_no_range() {
        for (text, stop_after, taken) in [
            (&b"a\nb\nc\n"[..], 1, 3),
            (b"a\n192.0.2.0/24\nc\n", 1, 1),
            (b"a\n10.0.0.0/8\nc\n", 5, 5),
        ] {
            let mut targets = Stopping { taken: Vec::new(), stop_after };
            let selection = Selection { port: 443, shard: Shard::WHOLE };
            let mut done = Done::default();
            done.add(5000, "of this list, but behind the stop");
            let ended = selection.send_all(input(text), &mut done, &mut targets);
            assert!(ended.is_ok(), "an input that was not read to its end is no other list");
            assert_eq!(targets.taken.len(), taken, "{:?}", targets.taken);
        }
    }

    #[test]
    fn what_came_before_a_failure_is_sent() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StaleNetworkFileHandle.into())
            }
        }
        let stdin = || Box::new(b"a\nb\n".chain(Broken)) as Box<dyn Read + Send>;
        let input = Input::open(Vec::new(), &["-".into()], stdin).unwrap();
        let mut sent = 0;
        let selection = Selection { port: 443, shard: Shard::WHOLE };
        let ended = selection.send_all(input, &mut Done::default(), |_line: Line| {
            sent += 1;
            true
        });
        assert_eq!((ended.is_err(), sent), (true, 2));
    }

    #[test]
    fn it_ends_when_nobody_wants_any_more() {
        for limit in [1, 2, 100, 258] {
            assert_eq!(selected("0/1", limit).len(), limit);
        }
    }
}
