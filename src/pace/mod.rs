//! Scheduling: how many targets are worked on at once, and how often and where they may be dialled.

pub mod gather;
pub mod limiter;
pub mod permit;
