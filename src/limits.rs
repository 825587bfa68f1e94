//! How much of anything is kept, however much a peer, a line or a list has of it.

use std::num::NonZero;

/// Bytes of an input line, its end not counted; a longer line is not a target.
pub const LINE_LIMIT: usize = 16 * 1024;

/// Characters of a line that is no target which its record repeats.
pub const ECHO_LIMIT: usize = 256;

/// Two to this power are the addresses that a range may have.
pub const RANGE_BITS: u8 = 32;

/// Parts into which a list can be cut.
pub const MAX_SHARDS: u64 = 1_000_000;

/// Lines that a shuffle may hold back.
pub const MAX_SHUFFLE: u64 = 1_000_000;

/// Targets that are not dialled yet: their names are looked up, or their addresses are crowded.
pub const ASIDE_LIMIT: usize = 1536;

/// Addresses of one name that have a line each with `--all-addresses`.
pub const ADDRESSES_LIMIT: NonZero<usize> = NonZero::new(64).unwrap();

/// Addresses of one name that are dialled without `--all-addresses`.
pub const DIALLED_ADDRESSES: NonZero<usize> = NonZero::new(8).unwrap();

/// Bytes of names that are kept of `/etc/hosts`.
pub const HOSTS_LIMIT: usize = 256 << 20;

/// Names whose answers the resolver keeps.
pub const RESOLVER_CACHE: u64 = 4096;

/// Bytes of a peer's answer that a record quotes.
pub const EVIDENCE_LIMIT: usize = 64;

/// Bytes of plain text that a peer may send before it agrees to TLS.
pub const PLAINTEXT_LIMIT: usize = 16 * 1024;

/// Bytes of a greeting that a record keeps.
pub const BANNER_LIMIT: usize = 256;

/// Bytes off the wire that a flight in plain text may have.
pub const FLIGHT_LIMIT: usize = 128 * 1024;

/// How many certificates besides the leaf a path is looked for in.
pub const MAX_INTERMEDIATES: usize = 12;

/// How many alternative names of a certificate are kept.
pub const MAX_NAMES: usize = 1_000;

/// How many certificates' facts, and how many paths, are remembered.
pub const MAX_CHAINS: usize = 4_096;

/// How many bytes the remembered facts may take.
pub const MAX_FACTS_BYTES: u64 = 16 << 20;

/// How many signatures that were found good are remembered.
pub const MAX_SIGNATURES: usize = 16_384;

/// How many different versions, and groups, are counted apart.
pub const LABELS: usize = 64;
