//! Every problem word: the verdict lists it.

use super::Condition;
use crate::cert::Problem;

/// The condition of that name, hyphens standing for underscores.
pub(super) fn condition(name: &str) -> Option<Condition> {
    let word = name.replace('-', "_");
    let problem = Problem::ALL.into_iter().find(|problem| problem.as_str() == word)?;
    Some(Box::new(move |record| {
        let mut verdicts = record.presented().filter_map(|presented| presented.trust);
        verdicts.any(|trust| trust.problems.contains(&problem))
    }))
}

/// The names of the conditions.
pub(super) fn words() -> impl Iterator<Item = String> {
    Problem::ALL.into_iter().map(|problem| problem.as_str().replace('_', "-"))
}
