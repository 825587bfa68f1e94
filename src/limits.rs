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

/// Targets whose certificates are written in full (`--chain`, `--pem`) and that are judged, but whose
/// records the output has not taken yet.
pub const BULKY_LIMIT: usize = 64;

/// Records with certificates in full that wait for the output.
pub const BULKY_QUEUE: usize = 32;

/// Connections that are tried for one target, retries included, or for each of its addresses with
/// `--all-addresses`; those of `--enumerate` and the like are not counted.
pub const MAX_CONNECTIONS: usize = 32;

/// Addresses of one name that have a line each with `--all-addresses`.
pub const ADDRESSES_LIMIT: NonZero<usize> = NonZero::new(64).unwrap();

/// Addresses of one name that are dialled without `--all-addresses`.
pub const DIALLED_ADDRESSES: NonZero<usize> = NonZero::new(8).unwrap();

/// Bytes of names that are kept of `/etc/hosts`.
pub const HOSTS_LIMIT: usize = 256 << 20;

/// Bytes of answers of name servers that are kept.
pub const RESOLVER_CACHE: u64 = 2 << 20;

/// Answers of name servers that are read over TCP at once, each of up to 64 KiB.
pub const RESOLVER_TCP: usize = 64;

/// Bytes of a peer's answer that a record quotes.
pub const EVIDENCE_LIMIT: usize = 64;

/// Bytes at the beginning of a peer's TLS that are kept during a handshake. A ServerHello is in them:
/// the largest, with a key share of ML-KEM-1024, has some 1,700.
pub const BEGINNING_LIMIT: usize = 2048;

/// Bytes of plain text that a peer may send before it agrees to TLS.
pub const PLAINTEXT_LIMIT: usize = 16 * 1024;

/// Bytes of a greeting that a record keeps.
pub const BANNER_LIMIT: usize = 256;

/// Bytes off the wire that a flight in plain text may have.
pub const FLIGHT_LIMIT: usize = 128 * 1024;

/// Bytes of a handshake message; rustls has the same limit.
pub const MESSAGE_LIMIT: usize = 64 * 1024;

/// Certificates that a handshake may bring; more is `handshake/too_large`.
pub const MAX_CERTIFICATES: usize = 256;

/// Certificates of a chain whose hashes and facts are kept. `chain.length` counts all of them.
pub const MAX_KEPT_CERTIFICATES: usize = 64;

/// How many certificates besides the leaf a path is looked for in.
pub const MAX_INTERMEDIATES: usize = 12;

/// What the search for the path of one chain may cost: 12 of the 20 ms that judging a chain may take.
/// The rest is for its facts and its staple. The costs that are added up are estimates
/// (`cert/meter.rs`), which no measurement has confirmed yet.
pub const SEARCH_NANOSECONDS: u64 = 12_000_000;

/// OCSP single responses of a staple that are looked at.
pub const MAX_SINGLE_RESPONSES: usize = 16;

/// Possible issuers that a staple is held against: as many as a path may have.
pub const MAX_ISSUERS: usize = MAX_INTERMEDIATES + 1;

/// Certificates of a staple among which its responder is looked for.
pub const MAX_RESPONDERS: usize = 4;

/// Bytes of an output line, its end included, unless it holds certificates in PEM.
pub const OUTPUT_LINE_LIMIT: usize = 32 * 1024;

/// Bytes of an output line with `--pem`.
pub const PEM_LINE_LIMIT: usize = 384 * 1024;

/// Bytes that target and tag may take in an output line; a longer one is an `invalid_target`.
pub const TARGET_LIMIT: usize = 4 * 1024;

/// How many alternative names of a certificate are kept.
pub const MAX_NAMES: usize = 1_000;

/// Bytes that the alternative names of a certificate may take in an output line.
pub const NAMES_LIMIT: usize = 16 * 1024;

/// The same for the certificates of `--chain`, whose leaf stands in the record already.
pub const CHAIN_NAMES_LIMIT: usize = 2 * 1024;

/// Bytes that a list of URLs may take in an output line.
pub const URLS_LIMIT: usize = 1024;

/// Bytes that a name by RFC 4514, or one alternative name, may take in an output line.
pub const NAME_LIMIT: usize = 512;

/// Bytes that any other text made of what a peer sent may take in an output line.
pub const TEXT_LIMIT: usize = 128;

/// Bytes that the sentence about a failure may take in an output line.
pub const DETAIL_LIMIT: usize = 512;

/// How many certificates' facts, and how many paths, are remembered.
pub const MAX_CHAINS: usize = 4_096;

/// How many bytes the remembered facts may take.
pub const MAX_FACTS_BYTES: u64 = 16 << 20;

/// How many signatures that were found good are remembered.
pub const MAX_SIGNATURES: usize = 16_384;

/// How many different versions, and groups, are counted apart.
pub const LABELS: usize = 64;
