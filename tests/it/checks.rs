//! `--fail-on`, `--roots` and what else the command line says about certificates.

use std::fs;

use rustls::version::TLS12;
use serde_json::json;
use tempfile::TempDir;
use tlsweep::cert::pem;

use crate::support::certs::{Entity, Pki, example, valid};
use crate::support::cmd::{Outcome, Tlsweep};
use crate::support::peer::{Peer, Spec, server_config};
use crate::support::pki::GOOD;
use crate::support::served::showing;

/// A trusted server, an expired one, an unknown one, one of TLS 1.2 and nobody at all.
struct Street {
    dir: TempDir,
    good: Peer,
    expired: Peer,
    stranger: Peer,
    old: Peer,
    nobody: Peer,
    pki: Pki,
}

impl Street {
    fn new() -> Self {
        let pki = Pki::new();
        let expired = pki.ca.issue(valid(example(), 2021, 2022));
        let stranger = Entity::self_signed(example());
        let shop = |leaf: &Entity| {
            let chain = [leaf.der.clone(), pki.ca.der.clone()];
            showing(&chain, &leaf.key.serialize_der()).unwrap().start()
        };
        let [good, expired, stranger] = [&pki.leaf, &expired, &stranger].map(shop);
        let old = Spec::served(server_config(&GOOD, &[&TLS12])).start();
        let nobody = Spec::refusing().start();
        Self { dir: TempDir::new().unwrap(), good, expired, stranger, old, nobody, pki }
    }

    /// The root of the good ones as a file.
    fn roots(&self) -> String {
        self.file("root.pem", pem(&self.pki.root.der))
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn targets(&self) -> [String; 5] {
        [&self.good, &self.expired, &self.stranger, &self.old, &self.nobody]
            .map(|peer| format!("{},example.com", peer.target()))
    }

    /// What each of them met, in the order of `targets`.
    fn failed(&self, conditions: &[&str]) -> Vec<Vec<String>> {
        let mut run = Tlsweep::json().args(["--roots", &self.roots(), "-c", "1"]);
        for condition in conditions {
            run = run.args(["--fail-on", condition]);
        }
        let outcome = run.sweep(self.targets());
        let met = outcome.records.iter().map(|record| {
            let met = record["failed_checks"].as_array().expect("conditions were given");
            met.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
        });
        let met = met.collect::<Vec<Vec<String>>>();
        let any = met.iter().any(|met| !met.is_empty());
        assert_eq!(outcome.code, Some(i32::from(any)), "{conditions:?}: {}", outcome.stderr);
        met
    }
}

#[test]
fn conditions_are_met_by_those_they_speak_of() {
    let street = Street::new();
    let key = tlsweep::cert::Certificate::new(&street.pki.leaf.der).spki_sha256.unwrap();
    let pin = format!("pin={key}");
    let none: &[&str] = &[];
    for (condition, [good, expired, stranger, old, nobody]) in [
        ("error", [none, &[], &[], &[], &["error"]]),
        ("untrusted", [&[], &["untrusted"], &["untrusted"], &["untrusted"], &[]]),
        ("expired", [&[], &["expired"], &[], &[], &[]]),
        ("expires-in=30d", [&[], &["expires-in=30d"], &[], &[], &[]]),
        ("name_mismatch", [&[], &[], &[], &["name-mismatch"], &[]]),
        ("self-signed", [&[], &[], &["self-signed"], &[], &[]]),
        ("unknown_issuer", [&[], &[], &[], &["unknown-issuer"], &[]]),
        ("weak", [&[], &[], &[], &[], &[]]),
        ("min-tls=1.3", [&[], &[], &[], &["min-tls=1.3"], &[]]),
        ("no-pq", [&[], &[], &[], &["no-pq"], &[]]),
        ("no-staple", [&["no-staple"], &["no-staple"], &["no-staple"], &["no-staple"], &[]]),
        (&pin, [&[], &["pin"], &["pin"], &["pin"], &[]]),
        ("expired,error", [&[], &["expired"], &[], &[], &["error"]]),
    ] {
        assert_eq!(
            street.failed(&[condition]),
            [good, expired, stranger, old, nobody],
            "{condition}"
        );
    }
    let all = street.failed(&["error", "untrusted,expired"]);
    assert_eq!(all[1], ["untrusted", "expired"]);
    assert_eq!(all[4], ["error"]);
}

#[test]
fn what_was_met_stands_in_the_line_and_in_the_summary() {
    let street = Street::new();
    let run = || Tlsweep::new().args(["--roots", &street.roots(), "-c", "1"]);
    let outcome = run().args(["--fail-on", "untrusted,expired,error"]).sweep(street.targets());
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let notes = outcome.text().lines().map(|line| line.split('\t').nth(8).unwrap());
    let notes = notes.collect::<Vec<_>>();
    assert_eq!(notes[0], "-");
    assert!(notes[1].contains("fails untrusted expired"), "{notes:?}");
    assert!(notes[4].contains("fails error"), "{notes:?}");
    for count in ["3 untrusted", "1 expired", "1 error"] {
        assert!(outcome.stderr.contains(count), "{count}: {}", outcome.stderr);
    }

    let outcome = run().sweep(street.targets());
    outcome.assert_complete();
    assert!(!outcome.text().contains("fails"), "{}", outcome.text());
    let outcome = run().args(["--fail-on", "revoked"]).sweep(street.targets());
    outcome.assert_complete();
    assert!(!outcome.stderr.contains("met"), "{}", outcome.stderr);
}

#[test]
fn conditions_do_not_need_the_fields_to_be_written() {
    let street = Street::new();
    let outcome = Tlsweep::json_fields("target,failed_checks")
        .args(["--roots", &street.roots(), "--fail-on", "expired,no-staple,min-tls=1.3"])
        .sweep([format!("{},example.com", street.expired.target())]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert_eq!(outcome.records[0]["failed_checks"], json!(["expired", "no-staple"]));
}

fn assert_usage(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stdout.is_empty(), "{}", outcome.text());
    for word in words {
        assert!(outcome.stderr.contains(word), "no {word:?} in {}", outcome.stderr);
    }
}

#[test]
fn a_bad_condition_is_refused_with_a_hint() {
    for (condition, words) in [
        ("untrustd", ["untrustd", "untrusted"]),
        ("self_singed", ["self_singed", "self-signed"]),
        ("expired,bogus-name", ["bogus-name", "did you mean"]),
        ("expires-in", ["expires-in", "expires-in=30d"]),
        ("min-tls=2", ["min-tls=2", "1.3"]),
        ("pin=zz", ["zz", "64"]),
        ("", ["--fail-on", "did you mean"]),
    ] {
        assert_usage(&Tlsweep::new().args(["--fail-on", condition]).run("127.0.0.1:1\n"), &words);
    }
}

#[test]
fn a_roots_file_without_roots_is_refused() {
    let street = Street::new();
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    for (name, content, reason) in [
        ("empty.pem", "", "no certificate"),
        ("junk.pem", "junk\n", "no certificate"),
        ("key.pem", &street.pki.leaf.key.serialize_pem(), "no certificate"),
        ("broken.pem", broken, "certificate 1"),
        ("cut.pem", "-----BEGIN CERTIFICATE-----\nMAA=\n", "certificate 1"),
    ] {
        let file = street.file(name, content);
        let outcome = Tlsweep::new().args(["--roots", &file]).run("127.0.0.1:1\n");
        assert_usage(&outcome, &[name, reason]);
        // One good file does not make up for it.
        let both = ["--roots", &street.roots(), "--roots", &file];
        assert_usage(&Tlsweep::new().args(both).run("127.0.0.1:1\n"), &[name, reason]);
    }
    let missing = street.dir.path().join("missing.pem");
    let outcome = Tlsweep::new().args(["--roots", missing.to_str().unwrap()]).run("");
    assert_usage(&outcome, &["missing.pem", "No such file"]);
}

#[test]
fn roots_replace_and_add_up() {
    let street = Street::new();
    let other = Pki::new();
    let chain = [other.leaf.der.clone(), other.ca.der.clone()];
    let peer = showing(&chain, &other.leaf.key.serialize_der()).unwrap().start();
    let other = street.file("other.pem", pem(&other.root.der));
    let ours = street.roots();
    let both =
        street.file("both.pem", [&ours, &other].map(|f| fs::read_to_string(f).unwrap()).concat());
    let verdicts = |args: &[&str]| {
        let run = Tlsweep::json().args(["-c", "1"]).args(args);
        let targets = [&street.good, &peer].map(|peer| format!("{},example.com", peer.target()));
        let outcome = run.sweep(targets);
        outcome.assert_complete();
        let of =
            |record: &serde_json::Value| record["trust"]["verdict"].as_str().unwrap().to_owned();
        outcome.records.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&[]), ["unknown_issuer", "unknown_issuer"]);
    assert_eq!(verdicts(&["--roots", &both]), ["trusted", "trusted"]);
    assert_eq!(verdicts(&["--roots", &ours, "--roots", &other]), ["trusted", "trusted"]);
}

#[test]
fn this_machine_s_roots_are_added() {
    let street = Street::new();
    let roots = street.roots();
    let none = street.file("none.pem", "");
    let sweep = |file: &str, args: &[&str]| {
        let run = Tlsweep::json().env("SSL_CERT_FILE", file).env("SSL_CERT_DIR", "/nowhere");
        run.args(args).sweep([format!("{},example.com", street.good.target())])
    };
    let verdict = |args: &[&str]| sweep(&roots, args).only_record()["trust"]["verdict"].clone();
    assert_eq!(verdict(&[]), "unknown_issuer");
    assert_eq!(verdict(&["--system-roots"]), "trusted");
    let stranger = street.file("stranger.pem", pem(&Entity::root("stranger").der));
    assert_eq!(verdict(&["--roots", &stranger]), "unknown_issuer");
    assert_eq!(verdict(&["--roots", &stranger, "--system-roots"]), "trusted");
    assert_usage(&sweep(&none, &["--system-roots"]), &["--system-roots", "no roots"]);
}

#[test]
fn the_chain_and_its_pem_are_shown_when_asked_for() {
    let street = Street::new();
    let line = format!("{},example.com", street.good.target());
    let sweep = |args: &[&str]| {
        let run = Tlsweep::json().args(["--roots", &street.roots()]).args(args);
        run.sweep([&line]).only_record().clone()
    };
    let record = sweep(&[]);
    assert!(record["chain"].get("certificates").is_none(), "{record:#}");
    assert!(record["cert"].get("pem").is_none(), "{record:#}");

    let record = sweep(&["--chain"]);
    let certificates = record["chain"]["certificates"].as_array().unwrap();
    assert_eq!(certificates.len(), 2, "{record:#}");
    assert_eq!(certificates[0], record["cert"]);
    assert_eq!(certificates[1]["subject"], "CN=intermediate");
    assert_eq!(certificates[1]["ca"], true);

    let record = sweep(&["--pem"]);
    assert_eq!(record["cert"]["pem"], pem(&street.pki.leaf.der));
    assert!(record["chain"].get("certificates").is_none(), "{record:#}");

    let record = sweep(&["--chain", "--pem"]);
    assert_eq!(record["chain"]["certificates"][0]["pem"], pem(&street.pki.leaf.der));
    assert_eq!(record["chain"]["certificates"][1]["pem"], pem(&street.pki.ca.der));

    let csv = Tlsweep::new()
        .args(["--roots", &street.roots(), "--format", "csv", "--fields", "cert.pem", "--pem"])
        .sweep([&line]);
    assert_eq!(csv.assert_complete().text().lines().count(), 2, "{}", csv.text());
}
