//! What is to be swept, and when.

pub mod input;
pub mod pace;
pub mod politeness;
pub mod target;
