//! From a byte stream to the facts of a session.

pub mod drain;
pub mod handshake;
pub mod hybrid;
pub mod recorder;

pub mod enumerate;
pub mod hello;
pub mod legacy;
pub mod plaintext;
