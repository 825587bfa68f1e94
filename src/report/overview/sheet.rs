//! What there is to show of an overview, in order, in words.

use super::rows::{Host, short};
use super::{DAYS, LIFETIMES, Overview};
use crate::plural::count;

/// Issuers that are shown.
const TOP: usize = 20;

/// An overview in words.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// One line on all of it.
    pub title: String,
    /// From when to when.
    pub span: String,
    /// Why it is only a part of what was wanted.
    pub warning: Option<&'static str>,
    /// The numbers that matter most, each with what it counts.
    pub figures: Vec<(String, &'static str)>,
    /// The rest.
    pub blocks: Vec<Block>,
}

/// A part of a sheet.
#[derive(Clone, Debug)]
pub struct Block {
    /// What it is about.
    pub title: &'static str,
    /// A sentence on it; may be empty.
    pub note: String,
    /// What it consists of.
    pub content: Content,
}

/// What a block consists of.
#[derive(Clone, Debug)]
pub enum Content {
    /// Counts, each of which has a share of `total`.
    Bars {
        /// In order.
        bars: Vec<Bar>,
        /// What all of them are shares of.
        total: u64,
    },
    /// Rows of text under heads.
    Table {
        /// One for each column.
        heads: Vec<&'static str>,
        /// As many cells as there are heads.
        rows: Vec<Vec<String>>,
    },
}

/// A count.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Of what.
    pub label: String,
    /// How many.
    pub count: u64,
    /// How good that is.
    pub tone: Tone,
}

/// How good something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Neither good nor bad.
    Plain,
    /// Worth a look.
    Warning,
    /// Wrong.
    Bad,
}

impl Overview {
    /// What there is to show.
    pub fn sheet(&self) -> Sheet {
        let untrusted: u64 =
            self.verdicts.iter().filter(|(word, _)| **word != "trusted").map(|(_, n)| n).sum();
        let soon: u64 = self.days.iter().skip(1).take(3).sum();
        let [ended, ..] = self.days;
        let figures = vec![
            (grouped(self.ok), "completed a handshake"),
            (grouped(self.records - self.ok), "did not"),
            (grouped(untrusted), "untrusted"),
            (grouped(ended), "past their end"),
            (grouped(soon), "less than 30 days left"),
        ];
        let span = self.span.map_or_else(String::new, |(first, last)| {
            let [first, last] = [first, last].map(|time| {
                time.to_string().chars().take(16).collect::<String>().replace('T', " ")
            });
            if first == last { format!("{first} UTC") } else { format!("{first} to {last} UTC") }
        });
        Sheet {
            title: format!("TLS sweep of {}", grouped_count(self.records, "result")),
            span,
            warning: None,
            figures,
            blocks: self.blocks(),
        }
    }

    fn blocks(&self) -> Vec<Block> {
        let mut outcomes = vec![bar("ok", self.ok, Tone::Good)];
        let failures = self.failures.iter().map(|((stage, kind), n)| {
            bar(&format!("{}/{}", stage.word(), kind.word()), *n, Tone::Bad)
        });
        outcomes.extend(most_first(failures));
        let verdicts = self.verdicts.iter().map(|(word, n)| {
            bar(word, *n, if *word == "trusted" { Tone::Good } else { Tone::Bad })
        });
        let problems = self.problems.iter().map(|(word, n)| bar(word.as_str(), *n, Tone::Bad));
        let checks = self.checks.iter().map(|(word, n)| bar(word, *n, Tone::Bad));
        let changes = self.changes.iter().map(|(what, n)| bar(what, *n, Tone::Warning));
        let plain = |counts: &std::collections::BTreeMap<String, u64>| {
            most_first(counts.iter().map(|(label, n)| bar(label, *n, Tone::Plain)))
        };
        let blocks = [
            bars("Outcomes", "", outcomes, self.records),
            bars("Conditions met", "A result may meet several.", most_first(checks), self.records),
            bars(
                "Changed since the baseline",
                "By what differs; a result may differ in several ways.",
                most_first(changes),
                self.compared,
            ),
            bars(
                "Verdicts",
                "The gravest problem of each chain.",
                most_first(verdicts),
                self.verdicts.values().sum(),
            ),
            bars(
                "Problems",
                "A chain may have several.",
                most_first(problems),
                self.verdicts.values().sum(),
            ),
            bars(
                "Days left",
                "Until the end of the path, or of the leaf where there is no verdict.",
                self.day_bars(),
                self.days.iter().sum(),
            ),
            self.next_ends(),
            self.worst(),
            bars(
                "Lifetimes",
                "Browsers allow 398 days, 200 from March 2026, 100 from March 2027 and 47 from March 2029.",
                self.lifetime_bars(),
                self.lifetimes.iter().sum(),
            ),
            self.issuers(),
            bars("Keys", "", plain(&self.keys), self.keys.values().sum()),
            bars("Versions", "", plain(&self.versions), self.versions.values().sum()),
            self.groups(plain(&self.groups)),
            self.handshakes(),
        ];
        blocks.into_iter().filter(|block| !block.is_empty()).collect()
    }

    fn day_bars(&self) -> Vec<Bar> {
        let ends = DAYS.iter().skip(1).map(|next| next - 1);
        let labels = DAYS.iter().zip(ends).map(|(from, to)| format!("{from} to {to}"));
        let last = DAYS.last().map(|from| format!("{from} or more"));
        let labels = ["ended".to_owned()].into_iter().chain(labels).chain(last);
        let bars = labels.zip(self.days).enumerate().map(|(place, (label, n))| {
            let tone = match place {
                0..=2 => Tone::Bad,
                3 => Tone::Warning,
                _ => Tone::Plain,
            };
            bar(&label, n, tone)
        });
        bars.collect()
    }

    fn lifetime_bars(&self) -> Vec<Bar> {
        let froms = [0].into_iter().chain(LIFETIMES.map(|most| most + 1));
        let labels = froms.zip(LIFETIMES).map(|(from, to)| format!("{from} to {to} days"));
        let labels = labels.chain(LIFETIMES.last().map(|most| format!("more than {most} days")));
        labels.zip(self.lifetimes).map(|(label, n)| bar(&label, n, Tone::Plain)).collect()
    }

    fn issuers(&self) -> Block {
        let top = self.issuers.top(TOP).into_iter();
        let top = top.map(|(issuer, n)| bar(&short(issuer.to_owned()), n, Tone::Plain)).collect();
        let note = match self.issuers.too_low() {
            0 => String::new(),
            off => {
                format!("There are very many: a count may be too low by up to {}.", grouped(off))
            }
        };
        bars("Issuers", &note, top, self.lifetimes.iter().sum::<u64>().max(1))
    }

    fn groups(&self, groups: Vec<Bar>) -> Block {
        let total: u64 = self.groups.values().sum();
        let share = percent(self.post_quantum, total);
        let note = format!(
            "{} of {} are post-quantum ({share}).",
            grouped(self.post_quantum),
            grouped(total)
        );
        bars("Key exchange", &note, groups, total)
    }

    fn handshakes(&self) -> Block {
        let times = self.handshakes.percentiles();
        let ms = |time: Option<f64>| format!("{:.1} ms", time.unwrap_or_default());
        let note = format!(
            "Half took no longer than {}, nine of ten no longer than {}, 99 of a hundred no longer than {}; the \
             slowest took {}.",
            ms(times.p50),
            ms(times.p90),
            ms(times.p99),
            ms(times.max),
        );
        let mut before = 0;
        let mut found: Vec<_> = Vec::new();
        for (end, at_most) in self.handshakes.at_most() {
            let label = format!("up to {} ms", end * 1000.0);
            found.push(bar(&label, at_most - std::mem::replace(&mut before, at_most), Tone::Plain));
        }
        found.push(bar("longer", self.handshakes.count() - before, Tone::Plain));
        let used = |bar: &Bar| bar.count > 0;
        let (first, last) = (found.iter().position(used), found.iter().rposition(used));
        let shown = first.zip(last).map(|(first, last)| found.drain(first..=last).collect());
        bars("Time of a handshake", &note, shown.unwrap_or_default(), self.handshakes.count())
    }

    fn next_ends(&self) -> Block {
        let row = |host: &Host| {
            let date = host.note.chars().take(10).collect();
            vec![host.target.clone(), date, host.days.map_or_else(String::new, left)]
        };
        Block {
            title: "Next to end",
            note: String::new(),
            content: Content::Table {
                heads: vec!["target", "end", "left"],
                rows: self.next_ends.hosts().map(row).collect(),
            },
        }
    }

    fn worst(&self) -> Block {
        let row = |host: &Host| vec![host.target.clone(), host.result.clone(), host.note.clone()];
        let note = match self.worst.more() {
            0 => String::new(),
            more => format!("And {} more.", grouped(more)),
        };
        Block {
            title: "What is wrong",
            note,
            content: Content::Table {
                heads: vec!["target", "result", "why"],
                rows: self.worst.hosts().map(row).collect(),
            },
        }
    }
}

impl Block {
    fn is_empty(&self) -> bool {
        match &self.content {
            Content::Bars { bars, .. } => bars.iter().all(|bar| bar.count == 0),
            Content::Table { rows, .. } => rows.is_empty(),
        }
    }
}

/// How much is left of what has not ended.
fn left(days: i64) -> String {
    if days == 0 { "less than a day".to_owned() } else { count(days, "day") }
}

fn bar(label: &str, count: u64, tone: Tone) -> Bar {
    Bar { label: short(label.to_owned()), count, tone }
}

fn bars(title: &'static str, note: &str, bars: Vec<Bar>, total: u64) -> Block {
    Block { title, note: note.to_owned(), content: Content::Bars { bars, total } }
}

fn most_first(bars: impl Iterator<Item = Bar>) -> Vec<Bar> {
    let mut bars: Vec<_> = bars.collect();
    bars.sort_by_key(|bar| std::cmp::Reverse(bar.count));
    bars
}

/// `1,234`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn grouped_count(number: u64, what: &str) -> String {
    let words = count(number, what);
    let noun = words.split_once(' ').map_or("", |(_, noun)| noun);
    format!("{} {noun}", grouped(number))
}

/// The share that `part` is of `total`: never 0 % of what there is, nor 100 % of what is not all.
pub(super) fn percent(part: u64, total: u64) -> String {
    if total == 0 {
        return "0 %".to_owned();
    }
    let share = part as f64 * 100.0 / total as f64;
    match share {
        _ if part == 0 || part == total => format!("{share:.0} %"),
        ..0.1 => "<0.1 %".to_owned(),
        99.9.. => ">99.9 %".to_owned(),
        _ => format!("{share:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read_and_true() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped_count(1, "result"), "1 result");
        assert_eq!(grouped_count(1_000, "result"), "1,000 results");
        for (part, total, text) in [
            (0, 0, "0 %"),
            (0, 5, "0 %"),
            (5, 5, "100 %"),
            (1, 3, "33.3 %"),
            (1, 1_000_000, "<0.1 %"),
            (999_999, 1_000_000, ">99.9 %"),
        ] {
            assert_eq!(percent(part, total), text);
        }
    }
}
