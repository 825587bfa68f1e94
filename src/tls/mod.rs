//! From a byte stream to the facts of a session.

mod key_schedule;
mod suites;

pub mod agreed;
pub mod drain;
pub mod ech;
pub mod handshake;
pub mod ja3s;
pub mod key_share;
pub mod recorder;
pub mod renegotiation;
pub mod schemes;
pub mod sessions;

pub mod enumerate;
pub mod hello;
pub mod jarm;
pub mod legacy;
pub mod plaintext;
pub mod posture;
pub mod ssl2;
