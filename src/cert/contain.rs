//! Parsers of what strangers send are fuzzed, but a panic in one must not cost the line.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What it comes to, or `None` when it panics.
pub(super) fn contain<T>(parse: impl FnOnce() -> T) -> Option<T> {
    // Nothing that it could leave half done outlives it: it only reads.
    catch_unwind(AssertUnwindSafe(parse)).ok()
}
