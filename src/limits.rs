//! Upper bounds on what a peer, a name server or an input line can make tlsweep keep or do.
//!
//! This is the only home of such constants. `src/manual/limits.md` shows them to users. A test compares
//! the two, and lists those that users cannot notice.

use std::num::NonZero;

/// Bytes of an input line, its end not counted; a longer line is not a target.
pub const LINE_LIMIT: usize = 16 * 1024;

/// Characters of an invalid line that its record echoes.
pub const ECHO_LIMIT: usize = 256;

/// Bytes of a name in the input before the IDNA rules are applied to it. The longest name that the DNS
/// can have takes less, even if its characters are decomposed.
pub const UNMAPPED_NAME_LIMIT: usize = 2 * 1024;

/// A range may have at most 2 to the power of this many addresses.
pub const RANGE_BITS: u8 = 32;

/// Parts into which a list can be cut.
pub const MAX_SHARDS: u64 = 1_000_000;

/// Lines that a shuffle may hold back.
pub const MAX_SHUFFLE: u64 = 1_000_000;

/// Bytes that the lines of a shuffle may take: enough for a million short ones. With longer ones it
/// holds back fewer.
pub const SHUFFLE_BYTES: usize = 128 << 20;

/// Targets that have started but hold no dial permit: their names are being looked up, or their
/// address or prefix has reached its limit of connections.
pub const ASIDE_LIMIT: usize = 1536;

/// Records with certificates in full (`--chain`, `--pem`) that are judged, but that the output has not
/// taken yet. One target with `--all-addresses` may have those of all its addresses beyond it.
pub const BULKY_LIMIT: usize = 64;

/// Bytes of lines that wait for the output in each loop of the engine, before the last of them. As
/// many are being written.
pub const SHARD_BYTES: NonZero<usize> = NonZero::new(128 << 10).unwrap();

/// Targets whose lines wait for the output in each loop of the engine. As many are being written.
pub const SHARD_TARGETS: NonZero<usize> = NonZero::new(1024).unwrap();

/// Connections tried for one target, retries included. With `--all-addresses` this holds for each
/// address. Connections of follow-ups are not counted.
pub const MAX_CONNECTIONS: usize = 32;

/// Connections of follow-ups that check whether a close is a refusal. A server that refuses
/// everything by closing takes 70 or fewer.
pub const MAX_CONTROLS: usize = 96;

/// With `--all-addresses`, the addresses of one name that get a line each.
pub const ADDRESSES_LIMIT: NonZero<usize> = NonZero::new(64).unwrap();

/// Addresses of one name that are dialled without `--all-addresses`.
pub const DIALLED_ADDRESSES: NonZero<usize> = NonZero::new(8).unwrap();

/// Bytes of names and addresses that are kept of `/etc/hosts`.
pub const HOSTS_LIMIT: usize = 128 << 20;

/// Size in bytes of the cache of name servers' answers.
pub const RESOLVER_CACHE: u64 = 2 << 20;

/// Lookups over TCP at once. Each may hold an answer of up to 64 KiB.
pub const RESOLVER_TCP: usize = 448;

/// Bytes of a peer's answer that a record quotes.
pub const EVIDENCE_LIMIT: usize = 64;

/// Bytes that are kept from the beginning of a peer's TLS stream during a handshake. They hold the
/// ServerHello: the largest one, with a key share of ML-KEM-1024, takes about 1,700 bytes.
pub const BEGINNING_LIMIT: usize = 2048;

/// Datagrams that are looked at for an answer. After so many others, nobody waits for it any more.
pub const MAX_DATAGRAMS: usize = 64;

/// Bytes that are read of a datagram.
pub const DATAGRAM_LIMIT: usize = 2048;

/// Versions of QUIC that are kept of a server's answer.
pub const QUIC_VERSIONS_LIMIT: usize = 32;

/// HTTPS records of a name that are kept, and aliases that are followed to find them.
pub const HTTPS_RECORDS_LIMIT: usize = 8;

/// Values that are kept of each list in an HTTPS record, such as its protocols.
pub const HTTPS_VALUES_LIMIT: usize = 8;

/// Bytes of the ECH configurations in an HTTPS record; one with more is ignored.
pub const ECH_LIST_LIMIT: usize = 4 * 1024;

/// ECH configurations that are kept of a list.
pub const ECH_CONFIGS_LIMIT: usize = 8;

/// Bytes of all filters of `--crlite` together.
pub const CRLITE_LIMIT: u64 = 10 << 20;

/// Timestamps (SCTs) of a certificate that are looked up in the filters of `--crlite`.
pub const MAX_TIMESTAMPS: usize = 32;

/// Bytes of the first read of an answer that a fingerprint looks at: JARM is defined by so many.
pub const FIRST_READ_LIMIT: usize = 1484;

/// Bytes of the answer to a request for renegotiation, one record, that are read.
pub const RENEGOTIATION_LIMIT: usize = 1484;

/// Bytes of plain text that a peer may send before it agrees to TLS.
pub const PLAINTEXT_LIMIT: usize = 16 * 1024;

/// Bytes of a greeting that a record keeps.
pub const BANNER_LIMIT: usize = 256;

/// Bytes of a server's first flight that our own TLS parser reads (legacy hellos, enumeration).
pub const FLIGHT_LIMIT: usize = 128 * 1024;

/// Bytes of a handshake message; rustls has the same limit.
pub const MESSAGE_LIMIT: usize = 64 * 1024;

/// Bytes of all messages of a handshake together. rustls keeps several of them until it is over, and
/// what the verifier saw is kept beside them: a connection may hold twice as much.
pub const HANDSHAKE_LIMIT: usize = 100 * 1024;

/// Certificates that a handshake may bring; more is `handshake/too_large`.
pub const MAX_CERTIFICATES: usize = 256;

/// Certificates of a chain whose hashes and facts are kept. `chain.length` counts all of them.
pub const MAX_KEPT_CERTIFICATES: usize = 64;

/// Certificates besides the leaf among which a path is searched.
pub const MAX_INTERMEDIATES: usize = 12;

/// Certificates of the same name among these. Each of them is tried at each step of a path, so that a
/// dozen would cost webpki a second. As many issuers of one name are tried for an OCSP staple.
pub const MAX_NAMESAKES: usize = 4;

/// How often a path that expires later is looked for once one was found.
pub const MAX_DETOURS: usize = 4;

/// What the search for the path of one chain may cost: 12 of the 20 ms that judging a chain may take.
/// The rest is for its facts and its staple. `cert/meter.rs` adds up what things cost, and
/// `benches/operations/costly.rs` holds the worst chains that are known to the whole.
pub const SEARCH_NANOSECONDS: u64 = 12_000_000;

/// What checking the signatures of one staple may cost.
pub const STAPLE_NANOSECONDS: u64 = 5_000_000;

/// Single responses that are examined in an OCSP staple.
pub const MAX_SINGLE_RESPONSES: usize = 16;

/// Possible issuers that an OCSP staple is compared with: as many as a path may have.
pub const MAX_ISSUERS: usize = MAX_INTERMEDIATES + 1;

/// Certificates in an OCSP staple that are tried as its delegated responder.
pub const MAX_RESPONDERS: usize = 4;

/// Bytes of an output line, its end included, unless it holds certificates in PEM.
pub const OUTPUT_LINE_LIMIT: usize = 32 * 1024;

/// Bytes of an output line with `--pem`.
pub const PEM_LINE_LIMIT: usize = 384 * 1024;

/// Bytes that follow-ups together may add to an output line: each version with every suite that IANA
/// names, and a certificate for each kind of key.
pub const FOLLOW_UPS_LINE_LIMIT: usize = 384 * 1024;

/// Bytes of a line that is read back as a record. What tlsweep writes is shorter, with `--pem` and
/// `--enumerate` as well.
pub const RECORD_LIMIT: usize = 4 << 20;

/// Targets with metrics of their own (`--metrics-targets`); several addresses count as several.
pub const WATCHED_TARGETS: usize = 10_000;

/// Bytes of a target, a server name or a tag in its metrics.
pub const TARGET_LABEL_LIMIT: usize = 512;

/// Bytes that are kept of a text of a baseline: issuers may be longer.
pub const BASELINE_TEXT_LIMIT: usize = 79;

/// Different texts of a baseline that are kept once for all targets that have them.
pub const BASELINE_SHARED_TEXTS: usize = 4_096;

/// Bytes that target and tag together may take in an output line. A line that needs more is an
/// `invalid_target`.
pub const TARGET_LIMIT: usize = 4 * 1024;

/// How many alternative names of a certificate are kept.
pub const MAX_NAMES: usize = 1_000;

/// Bytes that the alternative names of a certificate may take in an output line.
pub const NAMES_LIMIT: usize = 16 * 1024;

/// The same for each certificate of `--chain`. It is smaller because the record has the names of
/// the leaf already.
pub const CHAIN_NAMES_LIMIT: usize = 2 * 1024;

/// Bytes that a list of URLs may take in an output line.
pub const URLS_LIMIT: usize = 1024;

/// Bytes that a name by RFC 4514, or one alternative name, may take in an output line.
pub const NAME_LIMIT: usize = 512;

/// Bytes that any other text from a peer may take in an output line.
pub const TEXT_LIMIT: usize = 128;

/// Bytes that `error.detail` may take in an output line.
pub const DETAIL_LIMIT: usize = 512;

/// Entries in the cache of certificate facts, and in the cache of paths.
pub const MAX_CHAINS: usize = 4_096;

/// Size in bytes of the cache of certificate facts.
pub const MAX_FACTS_BYTES: u64 = 16 << 20;

/// Keys of issuers for which the signature of one revocation list is checked. Only CAs of trusted
/// paths have it checked, and each of them usually has one.
pub const MAX_CRL_KEYS: usize = 16;

/// Entries in the cache of certificate signatures that were verified.
pub const MAX_SIGNATURES: usize = 16_384;

/// Different TLS versions and different groups that the summary, the metrics and the report count
/// separately, and the keys and conditions of a report.
pub const LABELS: usize = 64;
