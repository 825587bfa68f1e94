//! The rows of peers that lie or cost too much, and the tests that hold them.
//!
//! Many of these tests stand with what they are about. This table keeps a row from losing its
//! tests when they are moved or renamed. Limits of 0 are missing here: their type excludes them.

use std::collections::HashSet;
use std::env;
use std::process::Command;

/// What a peer does, and the tests that show what becomes of it.
#[rustfmt::skip]
const ROWS: [(&str, &[&str]); 16] = [
    ("a false signature over the handshake, in every scheme of the hello", &[
        "proof::every_scheme_that_a_hello_offers_has_a_server",
        "proof::a_false_signature_in_every_scheme_that_a_hello_offers",
        "proof::tricks::no_trick_replaces_the_signature",
        "zoo::rules::bad_certificate_verify",
        "zoo::rules::bad_key_exchange_signature",
        "zoo::rules::key_mismatch",
        "zoo::rules::key_mismatch_tls12",
    ]),
    ("a genuine SHA-1 signature", &[
        "proof::a_genuine_sha1_signature",
    ]),
    ("a signature nobody here can check", &[
        "proof::keys::a_signature_nobody_can_check",
    ]),
    ("the same keys on an issuer", &[
        "proof::keys::an_issuer_whose_key_nobody_can_check",
    ]),
    ("a legacy server that shows somebody else's certificate", &[
        "legacy::a_legacy_server_that_shows_somebody_elses_certificate",
    ]),
    ("a chain of many certificates, empty, tiny or large", &[
        "zoo::costly::chain_of_65",
        "zoo::costly::chain_of_65_tls12",
        "zoo::costly::chain_of_256_tiny_ones",
        "zoo::costly::chain_of_256_tiny_ones_tls12",
        "zoo::costly::chain_of_257_empty_ones",
        "zoo::costly::chain_of_257_empty_ones_tls12",
        "zoo::costly::chain_of_20_000_large_ones",
        "zoo::costly::chain_of_20_000_large_ones_tls12",
    ]),
    ("large messages on every connection, and nobody reads", &[
        "volume::memory_keeps_its_ceiling_though_every_chain_is_large_and_nobody_reads",
        "volume::addresses_of_names_with_large_chains_pile_up_no_further_than_targets",
    ]),
    ("a staple with many answers beside many issuers", &[
        "cert_ocsp::a_dense_staple_is_cut_and_counted",
    ]),
    ("certificates made to cost", &[
        "cert_hostile::a_mesh_of_cross_signed_authorities_is_given_up_in_time",
    ]),
    ("a name with thousands of addresses", &[
        "dns::of_fifteen_hundred_addresses_few_are_dialled",
    ]),
    ("a server that drops some connections", &[
        "dials::a_peer_that_drops_every_second_connection_is_not_pq_intolerant",
    ]),
    ("a server that really drops post-quantum hellos", &[
        "cert_handshake::a_server_that_cannot_bear_the_large_hello",
        "cert_handshake::a_real_server_behind_a_box_that_drops_large_hellos",
    ]),
    ("a name server that forges answers", &[
        "dns::a_hundred_forged_answers_are_ignored_in_silence",
        "process::a_name_server_that_forges_answers_is_not_heard_on_stderr",
    ]),
    ("a peer's text that begins like a formula", &[
        "output::csv_has_no_formula_from_a_peer_or_a_line",
    ]),
    ("a stop while lines are held back", &[
        "stops::every_line_that_was_read_has_its_line",
    ]),
    ("fields without the certificate", &[
        "fields::a_field_alone_says_what_it_says_among_all",
    ]),
];

#[test]
fn every_row_has_its_tests() {
    let listing = Command::new(env::current_exe().unwrap())
        .args(["--list", "--format", "terse"])
        .output()
        .unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    let tests: HashSet<_> =
        listing.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    for (row, names) in ROWS {
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(tests.contains(name), "{row}: there is no test {name}");
        }
    }
}
