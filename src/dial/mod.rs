//! From a target to a byte stream.

pub mod connect;
pub mod framing;
mod records;
pub mod resolve;
pub mod signals;
pub mod tap;

pub mod starttls;
pub mod udp;
pub mod upgrade;
