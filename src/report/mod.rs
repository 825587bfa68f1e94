//! From facts to lines.

pub mod baseline;
pub mod build;
pub mod changed;
pub mod check;
pub mod enumeration;
pub mod latency;
pub mod metrics;
pub mod output;
pub mod overview;
pub mod record;
pub mod replay;
pub mod review;
pub mod schema;
pub mod status;
pub mod summary;
pub mod timestamp;
pub mod watched;
pub mod width;
