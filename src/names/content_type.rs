//! The content types of TLS records (IANA's registry of TLS ContentType).

use std::ops::RangeInclusive;

/// ChangeCipherSpec.
pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
/// Alerts.
pub(crate) const ALERT: u8 = 21;
/// Handshake messages.
pub(crate) const HANDSHAKE: u8 = 22;

/// The content types that rustls knows: from ChangeCipherSpec to Heartbeat. A first byte outside of them
/// is no TLS.
pub(crate) const KNOWN: RangeInclusive<u8> = CHANGE_CIPHER_SPEC..=24;
