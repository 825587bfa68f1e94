//! From the lines that are read to the targets of this sweep.

use std::fmt;

use crate::feed::input::{BadLine, Input, InputError, Line, Place, echo};
use crate::feed::range::Range;
use crate::feed::resume::{Done, OtherList};
use crate::feed::shard::Shard;
use crate::feed::shuffle::Shuffle;
use crate::feed::target::InvalidTarget;

/// Which targets are swept, and in which order: ranges are expanded, the targets numbered, those
/// of other shards and those that are done left out, and the rest shuffled.
#[derive(Debug)]
pub struct Selection {
    /// The port of ranges that name none.
    pub port: u16,
    /// Which part of the list to sweep.
    pub shard: Shard,
    /// The window of lines to shuffle.
    pub shuffle: Option<Shuffle>,
}

impl Selection {
    /// Reads all of `input` and hands on what is selected and not `done`; ends early, without an
    /// error, once `take` says that nobody wants any more.
    ///
    /// # Errors
    /// The first input whose reading failed, or where it is found to be another list than that of
    /// `done`; what came before it has been sent.
    pub fn send_all(
        self,
        input: Input,
        done: &mut Done,
        take: impl FnMut(Line) -> bool,
    ) -> Result<(), SelectionError> {
        let port = self.port;
        let mut stages = Stages { selection: self, number: 0, done, take };
        let mut passed = Ok(true);
        let ended = input.send_to(|line, text| {
            let range = text.as_ref().ok().and_then(|text| Range::parse(text, port));
            passed = match range {
                None => stages.pass(line, || text.map(str::to_owned)),
                Some(Ok(range)) => {
                    let addresses = range.addresses();
                    let mut each = addresses.map(|it| stages.pass(line, || Ok(range.line(it))));
                    each.find(|passed| *passed != Ok(true)).unwrap_or(Ok(true))
                }
                Some(Err(InvalidTarget(reason))) => {
                    let echo = echo(text.unwrap_or_default().as_bytes());
                    stages.pass(line, || Err(BadLine { echo, reason }))
                }
            };
            passed == Ok(true)
        });
        if passed? {
            if ended.is_ok() {
                stages.done.finish()?;
            }
            let shuffle = stages.selection.shuffle;
            let rest = shuffle.map(Shuffle::into_rest).unwrap_or_default();
            let _all_taken = rest.into_iter().all(stages.take);
        }
        Ok(ended?)
    }

    /// Reads all of `input` only to find out whether it is the list that `done` is of.
    ///
    /// # Errors
    /// It is not, or cannot be read.
    pub fn compare(&self, input: Input, done: &mut Done) -> Result<(), SelectionError> {
        Self { shuffle: None, ..*self }.send_all(input, done, |_line| true)
    }
}

/// Why not all that was selected has been handed on.
#[derive(Debug)]
pub enum SelectionError {
    /// An input cannot be read.
    Input(InputError),
    /// The input is not the list of which some targets are done.
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
    done: &'a mut Done,
    take: T,
}

impl<T: FnMut(Line) -> bool> Stages<'_, T> {
    /// Numbers a target and hands it on if it is selected; false when nobody wants any more.
    fn pass(
        &mut self,
        line: u64,
        text: impl FnOnce() -> Result<String, BadLine>,
    ) -> Result<bool, OtherList> {
        self.number += 1;
        if !self.selection.shard.has(self.number) {
            return Ok(true);
        }
        let line = Line { place: Place { line, number: self.number }, text: text() };
        self.done.pass(line, &mut |line| {
            let line = match &mut self.selection.shuffle {
                Some(shuffle) => shuffle.swap(line),
                None => Some(line),
            };
            line.is_none_or(&mut self.take)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read;

    use super::*;

    const INPUT: &[u8] =
        b"a\n\n# no\n192.0.2.0/24,,x\n192.0.2.0/33\n\xff\nhttps://192.0.2.0/24\n2001:db8::/126\n";
    /// a, 256 addresses, two bad lines, a URL, four addresses.
    const TARGETS: u64 = 1 + 256 + 2 + 1 + 4;

    fn selected(shard: &str, shuffle: Option<Shuffle>, limit: usize) -> Vec<Line> {
        let stdin = || Box::new(INPUT) as Box<dyn Read + Send>;
        let input = Input::open(Vec::new(), &["-".into()], stdin).unwrap();
        let selection = Selection { port: 443, shard: shard.parse().unwrap(), shuffle };
        let mut lines = Vec::new();
        let ended = selection.send_all(input, &mut Done::default(), |line| {
            lines.push(line);
            lines.len() < limit
        });
        ended.unwrap();
        lines
    }

    #[test]
    fn targets_are_numbered_with_ranges_expanded() {
        let lines = selected("0/1", None, usize::MAX);
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
        let whole = selected("0/1", None, usize::MAX);
        for count in [2, 7, 64, 500] {
            let shards = (0..count).flat_map(|index| {
                let shuffle = Shuffle::new(5, index);
                selected(&format!("{index}/{count}"), Some(shuffle), usize::MAX)
            });
            let mut lines: Vec<_> = shards.collect();
            lines.sort_by_key(|line| line.place.number);
            assert_eq!(lines, whole, "{count} shards");
        }
    }

    #[test]
    fn a_shuffle_changes_the_order_only() {
        let shuffled = selected("0/1", Some(Shuffle::new(50, 1)), usize::MAX);
        let whole = selected("0/1", None, usize::MAX);
        assert_ne!(shuffled, whole);
        let set = |lines: &[Line]| lines.iter().map(|l| l.place.number).collect::<BTreeSet<_>>();
        assert_eq!((set(&shuffled), shuffled.len()), (set(&whole), whole.len()));
    }

    #[test]
    fn what_came_before_a_failure_is_sent_from_the_window_too() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StaleNetworkFileHandle.into())
            }
        }
        let stdin = || Box::new(b"a\nb\n".chain(Broken)) as Box<dyn Read + Send>;
        let input = Input::open(Vec::new(), &["-".into()], stdin).unwrap();
        let shuffle = Some(Shuffle::new(10, 1));
        let mut sent = 0;
        let ended = Selection { port: 443, shard: Shard::WHOLE, shuffle }.send_all(
            input,
            &mut Done::default(),
            |_line| {
                sent += 1;
                true
            },
        );
        assert_eq!((ended.is_err(), sent), (true, 2));
    }

    #[test]
    fn it_ends_when_nobody_wants_any_more() {
        for limit in [1, 2, 100, 258] {
            assert_eq!(selected("0/1", None, limit).len(), limit);
            assert_eq!(selected("0/1", Some(Shuffle::new(3, 1)), limit).len(), limit);
        }
        let all_at_the_end = Shuffle::new(1000, 1);
        assert_eq!(selected("0/1", Some(all_at_the_end), 10).len(), 10);
    }
}
