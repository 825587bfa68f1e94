//! Scheduling: permits, the dial rate, and limits per address and per prefix.

pub mod gather;
pub mod limiter;
pub mod nap;
pub mod permit;
