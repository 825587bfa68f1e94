//! `--fields` chooses what is shown, and changes nothing of it.

use serde_json::Value;
use tempfile::TempDir;
use tlsweep::cert::pem;
use tlsweep::report::schema::leaves;

use crate::cert_cases;
use crate::support::cmd::Tlsweep;
use crate::support::served::showing;

/// Fields whose value is another one in each sweep: times, and bytes of signatures.
const VARYING: [&str; 3] = ["time", "sent", "received"];

#[test]
fn a_field_alone_says_what_it_says_among_all() {
    let cases = cert_cases::broken();
    let dir = TempDir::new().unwrap();
    let roots = dir.path().join("roots.pem");
    std::fs::write(&roots, cases.iter().map(|case| pem(&case.root)).collect::<String>()).unwrap();
    let peers = cases
        .iter()
        .filter_map(|case| Some((showing(&case.chain, &case.key)?.start(), case)))
        .collect::<Vec<_>>();
    assert!(peers.len() > 3, "there are certificates that cannot be read");
    // One at a time, so that records come in the order of the targets.
    let sweep = |more: &[&str]| {
        // What is left of a record by `--fields` is not the whole schema.
        let outcome = Tlsweep::new()
            .args(["--format", "json"])
            .args(["-c", "1", "--chain", "--roots", roots.to_str().unwrap()])
            .args(more)
            .sweep(peers.iter().map(|(peer, case)| format!("{},{}", peer.addr, case.host)));
        outcome.assert_complete();
        let records = outcome.text().lines().map(|line| serde_json::from_str(line).unwrap());
        let records: Vec<Value> = records.collect();
        assert_eq!(records.len(), peers.len());
        records
    };
    let whole = sweep(&[]);
    assert!(whole.iter().any(|record| record["trust"]["verdict"] == "bad_encoding"));
    let is_steady = |leaf: &&String| !VARYING.contains(&leaf.as_str()) && !leaf.starts_with("ms.");
    for leaf in leaves().iter().filter(is_steady) {
        let pointer = format!("/{}", leaf.replace('.', "/"));
        let values = |records: &[Value]| {
            records.iter().map(|record| record.pointer(&pointer).cloned()).collect::<Vec<_>>()
        };
        assert_eq!(values(&sweep(&["--fields", leaf])), values(&whole), "{leaf}");
    }
}
