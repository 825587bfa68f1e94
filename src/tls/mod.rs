//! From a byte stream to the facts of a session.

pub mod drain;
pub mod handshake;
pub mod recorder;
