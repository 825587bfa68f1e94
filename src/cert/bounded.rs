//! Lists of names, cut to what a line of output has room for.

use super::text::element_length;
use crate::escape::cut;
use crate::limits::{MAX_NAMES, NAME_LIMIT};

/// The first names of one type, and how many there are.
#[derive(Default)]
pub(super) struct Bounded {
    pub(super) kept: Vec<String>,
    count: usize,
}

impl Bounded {
    /// Keeps the name if all names before it were kept and `left` bytes of a line are enough.
    pub(super) fn push(&mut self, name: String, left: &mut usize) {
        let is_next = self.kept.len() == self.count && self.count < MAX_NAMES;
        self.count += 1;
        let name = cut(name, NAME_LIMIT);
        if let Some(rest) = left.checked_sub(element_length(&name)).filter(|_| is_next) {
            *left = rest;
            self.kept.push(name);
        }
    }

    /// The number of all names, if some were not kept.
    pub(super) fn whole_count(&self) -> Option<usize> {
        (self.count > self.kept.len()).then_some(self.count)
    }
}
