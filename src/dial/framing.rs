//! Packets of another protocol that carry TLS until the handshake is over.

use std::fmt;

use crate::failure::Unpackable;

/// How a protocol packs TLS.
///
/// [`Tap`](super::tap::Tap) calls this for everything that it sends and receives, from the first
/// byte of TLS on.
pub trait Framing: fmt::Debug + Send {
    /// Appends these bytes of TLS to `out`, packed.
    fn pack(&mut self, bytes: &[u8], out: &mut Vec<u8>);

    /// Unpacks what came, in whatever pieces it came. The TLS in it is moved to the front; returns
    /// how many bytes that is.
    ///
    /// # Errors
    /// The peer's bytes are not packed as they must be.
    fn unpack(&mut self, bytes: &mut [u8]) -> Result<usize, Unpackable>;

    /// The handshake is over: from now on, what is sent may not be packed any more.
    fn end_handshake(&mut self);
}
