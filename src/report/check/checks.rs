//! The conditions of a sweep, from the words of `--fail-on`.

use std::fmt;

use super::row::{Condition, Row};
use super::{CHECKS, changed, pin, problem, profile};
use crate::report::record::Record;

/// A set of conditions.
#[derive(Default)]
pub struct Checks(Vec<(String, Condition)>);

/// An unknown or malformed condition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidCheck(String);

impl Checks {
    /// The conditions in `lists`, each a list of words separated by commas.
    ///
    /// Several pins are one condition, which is met when the key is none of them.
    ///
    /// # Errors
    /// The first word that is not a condition, and the nearest word that is one.
    pub fn parse<'a>(lists: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidCheck> {
        let mut checks = Self::default();
        let mut pins = Vec::new();
        let words = lists.into_iter().flat_map(|list| list.split(',')).map(str::trim);
        let words: Vec<_> = words.flat_map(profile::expand).collect();
        for word in words.iter().map(String::as_str) {
            let (name, value) = word.split_once('=').map_or((word, None), |(n, v)| (n, Some(v)));
            let name = name.replace('_', "-").to_ascii_lowercase();
            let Some(row) = CHECKS.iter().find(|row| row.name == name) else {
                let condition = problem::condition(&name).filter(|_| value.is_none());
                checks.add(name.clone(), condition.ok_or_else(|| unknown(word, &name))?);
                continue;
            };
            if !row.value.takes(value) {
                return Err(InvalidCheck(format!("`{word}`: write `{}`", row.usage())));
            }
            let value = value.unwrap_or_default();
            if row.name == pin::ROW.name {
                pins.push(value);
                continue;
            }
            let condition = (row.make)(value);
            let condition = condition.map_err(|why| InvalidCheck(format!("`{word}`: {why}")))?;
            let name = if value.is_empty() { name } else { format!("{name}={value}") };
            checks.add(name, condition);
        }
        if !pins.is_empty() {
            let condition = (pin::ROW.make)(&pins.join(","));
            let condition = condition.map_err(|why| InvalidCheck(format!("`pin`: {why}")))?;
            checks.add(pin::ROW.name.to_owned(), condition);
        }
        Ok(checks)
    }

    /// Whether there is any condition.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first condition that needs a baseline.
    #[doc(hidden)]
    pub fn on_changes(&self) -> Option<&str> {
        let mut names = self.0.iter().map(|(name, _)| name.as_str());
        names.find(|name| name.split('=').next() == Some(changed::ROW.name))
    }

    /// The conditions that `record` meets.
    pub fn met_by(&self, record: &Record) -> Vec<String> {
        let met = self.0.iter().filter(|(_, condition)| condition(record));
        met.map(|(name, _)| name.clone()).collect()
    }

    fn add(&mut self, name: String, condition: Condition) {
        if self.0.iter().all(|(known, _)| *known != name) {
            self.0.push((name, condition));
        }
    }
}

fn unknown(word: &str, name: &str) -> InvalidCheck {
    let known = CHECKS.iter().map(Row::usage).chain(problem::words());
    let bare = |usage: &str| usage.split(['=', '[']).next().unwrap_or_default().to_owned();
    let nearest = known.min_by_key(|usage| strsim::levenshtein(&bare(usage), name));
    InvalidCheck(format!(
        "there is no condition `{word}`; did you mean `{}`?",
        nearest.unwrap_or_default()
    ))
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl fmt::Display for InvalidCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for InvalidCheck {}
