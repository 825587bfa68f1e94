//! The limits of the library, and what `limits.md` says of them.

use std::collections::BTreeSet;
use std::fmt::Display;

use tlsweep::limits;

use super::chapter;

/// Limits that no user can notice, and why.
const INTERNAL: [(&str, &str); 1] =
    [("MAX_SIGNATURES", "a cache: without it, the same results take longer")];

fn number(limit: impl Display) -> u64 {
    limit.to_string().parse().unwrap()
}

/// The beginning of a row of the manual, the name of a limit, and the text of its value.
macro_rules! limit {
    ($row:literal, $name:ident, $shown:expr) => {
        ($row, stringify!($name), $shown(number(limits::$name)))
    };
}

#[test]
fn every_limit_is_documented_or_internal() {
    let plain = |limit: u64| limit.to_string();
    let power = |limit: u64| format!("2^{limit}");
    let kib = |bytes: u64| format!("{} KiB", bytes >> 10);
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let ms = |nanoseconds: u64| format!("{} ms", nanoseconds / 1_000_000);
    let compared = [
        limit!("targets that wait for a name server", ASIDE_LIMIT, plain),
        limit!("records that are judged", BULKY_LIMIT, plain),
        limit!("records that wait for the output", SHARD_BYTES, kib),
        limit!("records that wait for the output", SHARD_TARGETS, plain),
        limit!("addresses that are dialled of one name", DIALLED_ADDRESSES, plain),
        limit!("lines of one name with `--all-addresses`", ADDRESSES_LIMIT, plain),
        limit!("connections that are tried for one target", MAX_CONNECTIONS, plain),
        limit!("connections of follow-ups that check", MAX_CONTROLS, plain),
        limit!("addresses of a range", RANGE_BITS, power),
        limit!("shards of a list", MAX_SHARDS, plain),
        limit!("targets that `--shuffle`", MAX_SHUFFLE, plain),
        limit!("memory of the targets that `--shuffle`", SHUFFLE_BYTES, mib),
        limit!("names and addresses that are kept of `/etc/hosts`", HOSTS_LIMIT, mib),
        limit!("answers of name servers that are cached", RESOLVER_CACHE, mib),
        limit!("answers of name servers that are read", RESOLVER_TCP, plain),
        limit!("a line of input", LINE_LIMIT, kib),
        limit!("a name in the input", UNMAPPED_NAME_LIMIT, kib),
        limit!("echo of a line that is no target", ECHO_LIMIT, plain),
        limit!("evidence", EVIDENCE_LIMIT, plain),
        limit!("plain text before TLS", PLAINTEXT_LIMIT, kib),
        limit!("banner in a record", BANNER_LIMIT, plain),
        limit!("plaintext flight", FLIGHT_LIMIT, kib),
        limit!("bytes kept of the beginning of a handshake", BEGINNING_LIMIT, kib),
        limit!("first read of an answer to a hello of JARM", FIRST_READ_LIMIT, plain),
        limit!("answer to a request for renegotiation", RENEGOTIATION_LIMIT, plain),
        limit!("datagrams that are looked at", MAX_DATAGRAMS, plain),
        limit!("datagrams that are looked at", DATAGRAM_LIMIT, kib),
        limit!("versions of QUIC", QUIC_VERSIONS_LIMIT, plain),
        limit!("HTTPS records of a name", HTTPS_RECORDS_LIMIT, plain),
        limit!("values that are kept of a list", HTTPS_VALUES_LIMIT, plain),
        limit!("ECH configurations in an HTTPS record", ECH_LIST_LIMIT, kib),
        limit!("ECH configurations that are kept", ECH_CONFIGS_LIMIT, plain),
        limit!("certificates of a handshake", MAX_CERTIFICATES, plain),
        limit!("certificates of a chain whose hashes", MAX_KEPT_CERTIFICATES, plain),
        limit!("certificates in which a path", MAX_INTERMEDIATES, plain),
        limit!("bytes of all messages of a handshake", HANDSHAKE_LIMIT, kib),
        limit!("bytes kept of a handshake message", MESSAGE_LIMIT, kib),
        limit!("what looking for a path", SEARCH_NANOSECONDS, ms),
        limit!("what checking the signatures", STAPLE_NANOSECONDS, ms),
        limit!("certificates of one name", MAX_NAMESAKES, plain),
        limit!("paths that are looked for", MAX_DETOURS, plain),
        limit!("single responses of a stapled", MAX_SINGLE_RESPONSES, plain),
        limit!("possible issuers that a staple", MAX_ISSUERS, plain),
        limit!("certificates in a staple", MAX_RESPONDERS, plain),
        limit!("keys of issuers with which one list", MAX_CRL_KEYS, plain),
        limit!("filters of `--crlite` together", CRLITE_LIMIT, mib),
        limit!("timestamps of a certificate", MAX_TIMESTAMPS, plain),
        limit!("a line of output |", OUTPUT_LINE_LIMIT, kib),
        limit!("a line of output with `--pem`", PEM_LINE_LIMIT, kib),
        limit!("what follow-ups add", FOLLOW_UPS_LINE_LIMIT, kib),
        limit!("target and tag in a line", TARGET_LIMIT, kib),
        limit!("alternative names in a record", MAX_NAMES, plain),
        limit!("alternative names in a record", NAMES_LIMIT, kib),
        limit!("alternative names in a record", CHAIN_NAMES_LIMIT, kib),
        limit!("subject, issuer, root, responder", NAME_LIMIT, plain),
        limit!("a list of URLs", URLS_LIMIT, kib),
        limit!("other text that a certificate makes", TEXT_LIMIT, plain),
        limit!("the detail of a failure", DETAIL_LIMIT, plain),
        limit!("a line of a file of `--from`", RECORD_LIMIT, mib),
        limit!("text of a baseline", BASELINE_TEXT_LIMIT, plain),
        limit!("texts of a baseline", BASELINE_SHARED_TEXTS, plain),
        limit!("targets with metrics of their own", WATCHED_TARGETS, plain),
        limit!("target, server name or tag as a label", TARGET_LABEL_LIMIT, plain),
        limit!("versions and groups that summary", LABELS, plain),
        limit!("chains whose verdict is kept", MAX_CHAINS, plain),
        limit!("certificates whose facts are kept", MAX_CHAINS, plain),
        limit!("certificates whose facts are kept", MAX_FACTS_BYTES, mib),
    ];
    let chapter = chapter("limits");
    let is_missing = |(what, _, limit): &&(&str, &str, String)| {
        let row = chapter.lines().find(|line| line.starts_with(&format!("| {what}")));
        !row.is_some_and(|row| has_number(row, limit))
    };
    let missing: Vec<_> = compared.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let compared = compared.iter().map(|(_, name, _)| *name);
    let known: BTreeSet<_> = compared.chain(INTERNAL.map(|(name, _why)| name)).collect();
    let lines = include_str!("../../../src/limits.rs").lines();
    let named = lines.filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    assert_eq!(named.collect::<BTreeSet<_>>(), known);
}

/// Whether a row has this number, and not as a part of another one.
fn has_number(row: &str, number: &str) -> bool {
    let row = row.replace(',', "");
    row.match_indices(number).any(|(at, _)| {
        !row[..at].ends_with(|c: char| c.is_ascii_digit() || ".^".contains(c))
            && !row[at + number.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
    })
}
