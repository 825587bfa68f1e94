//! `--enumerate` beside sslyze: suites, resumption, early data and renegotiation of many servers.

use std::collections::BTreeSet;
use std::fs;

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::cmd::Tlsweep;
use crate::support::programs::{Program, Server, shown};
use crate::support::servers::{
    Files, serve_gnutls, serve_nginx, serve_openssl, serve_weak_openssl,
};

/// What sslyze says of all the servers, in its own order.
fn scan(sslyze: &Program, servers: &[Server]) -> Vec<Value> {
    const SCANS: [&str; 9] = [
        "--sslv2",
        "--sslv3",
        "--tlsv1",
        "--tlsv1_1",
        "--tlsv1_2",
        "--tlsv1_3",
        "--resum",
        "--early_data",
        "--reneg",
    ];
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("sslyze.json");
    let into = format!("--json_out={}", file.display());
    let targets = servers.iter().map(target);
    let args = ["--quiet".to_owned(), into].into_iter().chain(SCANS.map(str::to_owned));
    let output = sslyze.run(args.chain(targets));
    let Ok(json) = fs::read_to_string(&file) else {
        panic!("sslyze wrote nothing: {}", shown(&output));
    };
    let report: Value = serde_json::from_str(&json).unwrap();
    report["server_scan_results"].as_array().unwrap().clone()
}

fn target(server: &Server) -> String {
    format!("localhost:{}", server.addr.port())
}

/// The suites in a list of sslyze.
fn suites(list: &Value) -> BTreeSet<String> {
    let names = list.as_array().unwrap().iter();
    names.map(|one| one["cipher_suite"]["name"].as_str().unwrap().to_owned()).collect()
}

/// Holds one answer of ours against one of sslyze, when it has one. Returns whether it has.
fn agree(ours: &Value, theirs: Option<bool>, what: &str) -> bool {
    let Some(theirs) = theirs else { return false };
    let expected = if theirs { "supported" } else { "not_supported" };
    assert_eq!(*ours, expected, "{what}");
    true
}

/// Whether `openssl s_client` completes a handshake with nothing but this suite.
fn completes(openssl: &Program, server: &Server, version: &str, suite: &str) -> bool {
    let converted = shown(&openssl.run(["ciphers", "-convert", suite]));
    let name = converted.split("OpenSSL cipher name: ").nth(1).map(str::trim);
    let flag = match version {
        "TLSv1.0" => "-tls1",
        "TLSv1.1" => "-tls1_1",
        "TLSv1.2" => "-tls1_2",
        // The suites of TLS 1.3 have another option, and OpenSSL has no SSL 3.0 here.
        _ => return false,
    };
    let Some(name) = name else { return false };
    let (to, cipher) = (target(server), format!("{name}:@SECLEVEL=0"));
    openssl.run(["s_client", "-connect", &to, flag, "-cipher", &cipher]).status.success()
}

/// Returns how many answers were compared.
fn compare(
    enumeration: &Value,
    theirs: &Value,
    case: &str,
    completes: impl Fn(&str, &str) -> bool,
) -> usize {
    let result = |scan: &str| &theirs[scan]["result"];
    let mut compared = 0;
    for (version, scan) in [
        ("SSLv3", "ssl_3_0_cipher_suites"),
        ("TLSv1.0", "tls_1_0_cipher_suites"),
        ("TLSv1.1", "tls_1_1_cipher_suites"),
        ("TLSv1.2", "tls_1_2_cipher_suites"),
        ("TLSv1.3", "tls_1_3_cipher_suites"),
    ] {
        let mut versions = enumeration["versions"].as_array().unwrap().iter();
        let ours = versions.find(|one| one["version"] == version).unwrap();
        let is_supported = result(scan)["is_tls_version_supported"].as_bool();
        let what = format!("{case}: {version}");
        compared += usize::from(agree(&ours["support"], is_supported, &what));
        let [accepted, rejected] = ["accepted", "rejected"]
            .map(|list| suites(&result(scan)[format!("{list}_cipher_suites")]));
        let listed = ours["suites"].as_array().into_iter().flatten();
        let listed = listed.map(|suite| suite["suite"].as_str().unwrap().to_owned());
        // sslyze says nothing of suites that it does not know.
        let known = listed.filter(|name| accepted.contains(name) || rejected.contains(name));
        let mut known: BTreeSet<_> = known.collect();
        // On a busy machine it sometimes loses a suite that it knows, and calls it rejected.
        known.retain(|suite| accepted.contains(suite) || !completes(version, suite));
        assert_eq!(known, accepted, "{what}");
    }
    let resumption = &enumeration["resumption"];
    let word = |field: &str| match result("session_resumption")[field].as_str()? {
        "FULLY_SUPPORTED" => Some(true),
        "NOT_SUPPORTED" => Some(false),
        _ => None,
    };
    let flag = |scan: &str, field: &str| result(scan)[field].as_bool();
    // TLS 1.3 has no renegotiation, but sslyze may call it secure.
    let mut versions = enumeration["versions"].as_array().unwrap().iter();
    let has_renegotiation =
        versions.any(|one| one["version"] != "TLSv1.3" && one["support"] == "supported");
    for (ours, theirs, what) in [
        (
            &enumeration["ssl2"]["support"],
            flag("ssl_2_0_cipher_suites", "is_tls_version_supported"),
            "SSL 2.0",
        ),
        // In some runs, sslyze does not resume by id where OpenSSL does; `depth` tests servers that do not.
        (
            &resumption["tls12_id"],
            word("session_id_resumption_result").filter(|resumes| *resumes),
            "session id",
        ),
        (&resumption["tls12_ticket"], word("tls_ticket_resumption_result"), "ticket"),
        (
            &resumption["early_data"],
            flag("tls_1_3_early_data", "supports_early_data"),
            "early data",
        ),
        (
            &enumeration["secure_renegotiation"],
            flag("session_renegotiation", "supports_secure_renegotiation")
                .filter(|_| has_renegotiation),
            "secure renegotiation",
        ),
        (
            &enumeration["client_renegotiation"],
            flag("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos"),
            "client renegotiation",
        ),
    ] {
        compared += usize::from(agree(ours, theirs, &format!("{case}: {what}")));
    }
    compared
}

#[test]
fn an_enumeration_says_what_sslyze_says() {
    let programs = ["openssl", "nginx", "gnutls-serv"].map(Program::find);
    let [Some(openssl), Some(nginx), Some(gnutls)] = programs else {
        return;
    };
    let Some(sslyze) = Program::of_engines("sslyze") else {
        return;
    };
    let [rsa, ecdsa] = [&PKCS_RSA_SHA256, &PKCS_ECDSA_P256_SHA256].map(Files::with_key);
    let of_nginx = |directives: &str| {
        serve_nginx(&nginx, &rsa, &format!("ssl_protocols TLSv1.2 TLSv1.3; {directives}"))
    };
    let servers = [
        serve_openssl(&openssl, &rsa, &[]),
        serve_openssl(&openssl, &ecdsa, &[]),
        serve_openssl(&openssl, &rsa, &["-tls1_2", "-no_ticket"]),
        serve_openssl(&openssl, &rsa, &["-tls1_2", "-no_cache"]),
        serve_openssl(&openssl, &rsa, &["-tls1_2", "-client_renegotiation"]),
        serve_openssl(&openssl, &rsa, &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]),
        serve_openssl(&openssl, &rsa, &["-tls1_3"]),
        serve_weak_openssl(&openssl, &rsa, &["-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]),
        of_nginx("ssl_session_cache shared:s:1m; ssl_session_tickets off;"),
        of_nginx("ssl_session_cache off; ssl_session_tickets on; ssl_early_data on;"),
        of_nginx("ssl_session_cache off; ssl_session_tickets off;"),
        serve_gnutls(&gnutls, &rsa, "NORMAL", &[]),
    ];
    let completes_all = |suite: &str| completes(&openssl, &servers[4], "TLSv1.2", suite);
    assert!(completes_all("TLS_DHE_RSA_WITH_AES_256_CBC_SHA"));
    assert!(!completes_all("TLS_RSA_WITH_NULL_SHA"));
    let outcome = Tlsweep::json()
        .args(["--enumerate", "--timeout", "100s"])
        .sweep(servers.each_ref().map(target));
    let records = &outcome.records;
    let mut compared = 0;
    for result in scan(&sslyze, &servers) {
        let port = &result["server_location"]["port"];
        let place = servers.iter().position(|server| *port == server.addr.port()).unwrap();
        let record = records.iter().find(|record| record["port"] == *port).unwrap();
        let completes =
            |version: &str, suite: &str| completes(&openssl, &servers[place], version, suite);
        let case = place.to_string();
        compared += compare(&record["enumeration"], &result["scan_result"], &case, completes);
    }
    eprintln!("{compared} answers compared");
    assert!(compared >= 100, "{compared}");
}
