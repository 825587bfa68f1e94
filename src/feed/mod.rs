//! Targets: how they are read, selected and ordered.

pub(crate) mod decode;
pub mod exclude;
pub mod extent;
pub mod hint;
pub mod input;
pub mod queue;
pub mod range;
pub mod resume;
pub mod selection;
pub mod shard;
pub mod shuffle;
pub(crate) mod source;
pub mod target;
