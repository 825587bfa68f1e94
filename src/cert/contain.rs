//! Contains panics. The parsers are fuzzed, but if one panics after all, the target still gets its
//! line.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The result of `parse`, or `None` when it panics.
pub(super) fn contain<T>(parse: impl FnOnce() -> T) -> Option<T> {
    // The closure only reads, so a panic leaves nothing half done.
    catch_unwind(AssertUnwindSafe(parse)).ok()
}
