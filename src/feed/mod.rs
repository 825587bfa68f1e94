//! What is to be swept, and when.

pub mod exclude;
pub mod input;
pub mod pace;
pub mod politeness;
pub mod range;
pub mod resume;
pub mod selection;
pub mod shard;
pub mod shuffle;
pub mod target;
