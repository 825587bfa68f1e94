//! Which name a target stands for, and whether the certificate is for it: addresses, labels of other
//! alphabets, final dots, case.

use std::net::IpAddr;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tlsweep::cert::pem;

use crate::support::certs::{Entity, server};
use crate::support::cmd::Tlsweep;
use crate::support::served::showing;
use crate::support::x509;

/// What a line asks for: the SNI that is sent, the name for OpenSSL, and whether it is there.
type Asked = (&'static str, Option<&'static str>, &'static str, bool);

const OF_SNI: [Asked; 12] = [
    ("a.test", Some("a.test"), "a.test", true),
    ("A.Test", Some("a.test"), "A.Test", true),
    ("bücher.test", Some("xn--bcher-kva.test"), "xn--bcher-kva.test", true),
    ("BÜCHER.test", Some("xn--bcher-kva.test"), "xn--bcher-kva.test", true),
    ("xn--bcher-kva.test", Some("xn--bcher-kva.test"), "xn--bcher-kva.test", true),
    ("a_b.test", Some("a_b.test"), "a_b.test", true),
    ("www.wild.test", Some("www.wild.test"), "www.wild.test", true),
    ("wild.test", Some("wild.test"), "wild.test", false),
    ("x.www.wild.test", Some("x.www.wild.test"), "x.www.wild.test", false),
    ("b.test", Some("b.test"), "b.test", false),
    // The dot is no part of the SNI (RFC 6066, section 3), nor of the name.
    ("a.test.", Some("a.test"), "a.test", true),
    ("www.wild.test.", Some("www.wild.test"), "www.wild.test", true),
];

const OF_HOST: [(&str, &str, bool); 6] = [
    ("127.0.0.1", "127.0.0.1", true),
    ("127.0.0.2", "127.0.0.2", false),
    ("[::1]", "::1", true),
    ("[0:0:0:0:0:0:0:1]", "::1", true),
    // An IPv4 address in IPv6 is reached over IPv4, but the name is the one that was asked for.
    ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1", false),
    ("localhost", "localhost", false),
];

#[test]
fn names_of_targets_are_looked_for_as_by_openssl() {
    let root = Entity::root("root");
    let names = ["a.test", "xn--bcher-kva.test", "a_b.test", "*.wild.test", "127.0.0.1", "::1"];
    let leaf = root.issue(server(&names));
    let chain = [leaf.der.clone()];
    let serve = || showing(&chain, &leaf.key.serialize_der()).unwrap();
    let v4 = serve().on_all_of_loopback().start();
    let v6 = serve().on_v6().start();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(&file, pem(&root.der)).unwrap();

    let port_of = |host: &str| match host.starts_with("[::1") || host.starts_with("[0:") {
        true => v6.addr.port(),
        false => v4.addr.port(),
    };
    let of_sni = OF_SNI.map(|(sni, sent, name, is_right)| {
        (format!("127.0.0.1:{},{sni}", v4.addr.port()), json!(sent), name, is_right)
    });
    let of_host = OF_HOST.map(|(host, name, is_right)| {
        let sent = name.parse::<IpAddr>().is_err().then_some(name);
        (format!("{host}:{}", port_of(host)), json!(sent), name, is_right)
    });
    let all = of_sni.into_iter().chain(of_host).collect::<Vec<_>>();
    let outcome = Tlsweep::json()
        .args(["--roots", file.path().to_str().unwrap()])
        .sweep(all.iter().map(|(line, ..)| line));
    outcome.assert_complete();
    for (number, (line, sni, name, is_right)) in all.iter().enumerate() {
        let is_of = |record: &&Value| record["line"] == number + 1;
        let record = outcome.records.iter().find(is_of).unwrap();
        assert_eq!(record.get("sni").unwrap_or(&Value::Null), sni, "{line}: {record:#}");
        assert_eq!(record["trust"]["name_ok"], *is_right, "{line}: {record:#}");
        let problems = if *is_right { json!([]) } else { json!(["name_mismatch"]) };
        assert_eq!(record["trust"]["problems"], problems, "{line}");
        if let Some(openssl) = x509::verify(&chain, std::slice::from_ref(&root.der), name) {
            assert_eq!(openssl.is_ok(), *is_right, "{name}: {openssl:?}");
        }
    }
}

#[test]
fn addresses_with_zones_and_of_other_spellings_are_refused() {
    for (line, why) in [
        ("[::1%lo]:443", "zone"),
        ("[fe80::1%25eth0]:443", "zone"),
        ("127.1:443", "unless it is an address"),
        ("0x7f000001:443", "unless it is an address"),
    ] {
        let outcome = Tlsweep::json().sweep([line]);
        let record = outcome.only_record();
        assert_eq!(record["error"]["kind"], "invalid_target", "{line}: {record:#}");
        let detail = record["error"]["detail"].as_str().unwrap();
        assert!(detail.contains(why), "{line}: {detail}");
    }
}
