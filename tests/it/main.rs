//! Tests of the library and of the binary, against servers on loopback. One theme a file.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test may panic, and a skipped one says so"
)]

#[path = "../support/mod.rs"]
mod support;

mod baseline;
mod cert_beside;
mod cert_cases;
mod cert_corpus;
mod cert_crl;
mod cert_crlite;
mod cert_facts;
mod cert_forged;
mod cert_handshake;
mod cert_hostile;
mod cert_keys;
mod cert_limbo;
mod cert_malformed;
mod cert_ocsp;
mod cert_openssl;
mod cert_output;
mod cert_problems;
mod cert_served;
mod cert_unusual;
mod certificates;
mod checks;
mod demo;
mod depth;
mod dials;
mod dns;
mod ech;
mod encodings;
mod engine;
mod engines;
mod enumerate;
mod feed;
mod fields;
mod files;
mod fingerprints;
mod full_disk;
mod generate;
mod input;
mod layers;
mod legacy;
mod line_limits;
mod local;
mod machine;
mod name_files;
mod names;
mod operator;
mod output;
mod packages;
mod politeness;
mod process;
mod proof;
mod quic;
mod real;
mod recipes;
mod reference;
mod replay;
mod report;
mod resume;
mod sslyze;
mod starttls;
mod starttls_real;
mod stops;
mod surface;
mod target_names;
mod terminal;
mod version;
mod volume;
mod watched;
mod words;
mod zoo;
