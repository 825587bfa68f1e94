//! HTTPS records of every form (RFC 9460).

use serde_json::{Value, json};

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::dns::NameServer;
use crate::support::dns::https::{
    ALPN, ECH, IPV4_HINT, IPV6_HINT, MANDATORY, NO_DEFAULT_ALPN, PORT, alias, service,
};
use crate::support::peer::Spec;
use crate::support::script::Step::{Handshake, Hold};
use crate::support::script::{hear, send};

/// A record of a name: `@` stands for the name that is asked for, which has the port in front.
type Zone<'a> = Vec<(&'a str, Vec<u8>)>;

/// What a sweep of `name` says of its HTTPS records.
fn https(name: &str, zone: Zone<'_>) -> Value {
    let peer = Spec::good().start();
    let asked = format!("_{}._https.{name}", peer.addr.port());
    let zone = zone.into_iter().map(|(owner, data)| match owner {
        "@" => (asked.as_str(), data),
        owner => (owner, data),
    });
    let names = NameServer::with_https(zone);
    let outcome = Tlsweep::json()
        .args(["--ech", "--resolver", &names.address(), "--resolve-timeout", "2s"])
        .sweep([format!("{name}:{}", peer.addr.port())]);
    let record = outcome.only_record();
    assert!(verdict(record).starts_with("ok"), "{record:#}");
    let mut https = record["https"].clone();
    let name = https.as_object_mut().unwrap().remove("name");
    assert_eq!(name, Some(asked.into()), "{record:#}");
    https
}

#[test]
fn every_parameter() {
    let parameters: [(u16, &[u8]); 8] = [
        (MANDATORY, &[0, 1, 0, 3]),
        (ALPN, b"\x02h3\x02h2"),
        (NO_DEFAULT_ALPN, b""),
        (PORT, &[0x20, 0xfb]),
        (IPV4_HINT, &[192, 0, 2, 1, 192, 0, 2, 2]),
        (ECH, &[0, 0]),
        (IPV6_HINT, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (7, b"/dns-query{?dns}"),
    ];
    let found = https("www.test", vec![("@", service(1, "Svc.Example", &parameters))]);
    let record = json!({
        "priority": 1,
        "target": "svc.example",
        "mandatory": ["alpn", "port"],
        "alpn": ["h3", "h2"],
        "no_default_alpn": true,
        "port": 8443,
        "ipv4hint": ["192.0.2.1", "192.0.2.2"],
        "ipv6hint": ["2001:db8::1"],
        "ech_public_names": [],
    });
    assert_eq!(found, json!({"status": "found", "records": [record]}));
}

#[test]
fn several_stand_in_the_order_of_preference() {
    let zone = [3, 1, 2].map(|priority| ("@", service(priority, ".", &[])));
    let found = https("www.test", zone.to_vec());
    let records = [1, 2, 3].map(|priority| json!({"priority": priority, "target": "."}));
    assert_eq!(found, json!({"status": "found", "records": records}));
    let many: Zone<'_> = (1..=20).map(|priority| ("@", service(priority, ".", &[]))).collect();
    let found = https("www.test", many);
    assert_eq!(found["records"].as_array().unwrap().len(), 8, "{found:#}");
    assert_eq!(found["records_count"], 20, "{found:#}");
}

#[test]
fn aliases_are_followed() {
    let zone = vec![
        ("@", alias("one.test")),
        // Beside an alias, nothing else counts.
        ("@", service(1, "other.test", &[])),
        ("one.test", alias("two.test")),
        ("two.test", service(1, ".", &[(ALPN, b"\x02h2")])),
    ];
    let found = https("www.test", zone);
    let records = json!([
        {"priority": 0, "target": "one.test"},
        {"owner": "one.test", "priority": 0, "target": "two.test"},
        {"owner": "two.test", "priority": 1, "target": ".", "alpn": ["h2"]},
    ]);
    assert_eq!(found, json!({"status": "found", "records": records}));
}

#[test]
fn an_alias_that_leads_nowhere() {
    let alias_of = |target: &str| vec![("@", alias(target))];
    // The service does not exist (RFC 9460, section 2.5.1).
    let found = https("www.test", vec![("@", service(0, ".", &[]))]);
    assert_eq!(found, json!({"status": "found", "records": [{"priority": 0, "target": "."}]}));
    let records = |target: &str| json!([{"priority": 0, "target": target}]);
    let found = https("www.test", alias_of("one.test"));
    assert_eq!(found, json!({"status": "found", "records": records("one.test")}));
    // What the alias leads to is not known.
    let found = https("www.test", alias_of("https-fails.test"));
    assert_eq!(found["records"], records("https-fails.test"));
    assert_eq!((&found["status"], found["error"].is_string()), (&json!("unknown"), true));
    let circle = vec![("@", alias("one.test")), ("one.test", alias("one.test"))];
    let found = https("www.test", circle);
    assert_eq!(found["status"], "unknown", "{found:#}");
    assert!(found["error"].as_str().unwrap().contains("circle"), "{found:#}");
}

/// A record in AliasMode has no parameters that count.
#[test]
fn records_that_a_client_ignores_say_why() {
    let unknown = (667, &b"x"[..]);
    let zone = vec![
        ("@", service(1, ".", &[(MANDATORY, &[2, 155]), unknown])),
        ("@", service(2, ".", &[(NO_DEFAULT_ALPN, b"")])),
        ("@", service(3, ".", &[(ECH, &[0; 5000])])),
        ("@", service(4, ".", &[unknown])),
    ];
    let found = https("www.test", zone);
    let records = json!([
        {
            "priority": 1, "target": ".", "mandatory": ["key667"],
            "ignored": "key667 is mandatory and not known",
        },
        {
            "priority": 2, "target": ".", "no_default_alpn": true,
            "ignored": "no-default-alpn without alpn",
        },
        {"priority": 3, "target": ".", "ignored": "its ECH configurations have 5000 bytes"},
        {"priority": 4, "target": "."},
    ]);
    assert_eq!(found, json!({"status": "found", "records": records}));
}

/// One malformed record makes a client ignore all of them (RFC 9460, section 2.2).
#[test]
fn malformed_records() {
    let with = |parameters: &[(u16, &[u8])]| service(2, ".", parameters);
    let whole = with(&[(ALPN, b"\x02h2")]);
    let malformed = [
        // A parameter that is mandatory and missing, or mandatory itself, or not in order.
        with(&[(MANDATORY, &[0, 1])]),
        with(&[(MANDATORY, &[0, 0])]),
        with(&[(MANDATORY, &[0, 3, 0, 1]), (ALPN, b"\x02h2"), (PORT, &[1, 187])]),
        with(&[(MANDATORY, b"")]),
        // Parameters twice, and not in order.
        with(&[(PORT, &[1, 187]), (PORT, &[1, 187])]),
        with(&[(PORT, &[1, 187]), (ALPN, b"\x02h2")]),
        // Values of a wrong length.
        with(&[(ALPN, b"")]),
        with(&[(ALPN, b"\x03h2")]),
        with(&[(NO_DEFAULT_ALPN, b"x")]),
        with(&[(PORT, &[1])]),
        with(&[(IPV4_HINT, b"")]),
        with(&[(IPV4_HINT, &[192, 0, 2])]),
        with(&[(IPV6_HINT, &[0x20; 15])]),
        // Cut off.
        whole[..whole.len() - 1].to_vec(),
        whole[..5].to_vec(),
        whole[..1].to_vec(),
    ];
    for data in malformed {
        let zone = vec![("@", service(1, ".", &[])), ("@", data.clone())];
        assert_eq!(https("www.test", zone), json!({"status": "malformed"}), "{data:?}");
    }
}

/// "None" is an answer; that nobody answered is another one.
#[test]
fn none_is_not_the_same_as_no_answer() {
    assert_eq!(https("www.test", vec![]), json!({"status": "none"}));
    for name in ["https-fails.test", "https-silent.test"] {
        let found = https(name, vec![]);
        assert_eq!(found["status"], "unknown", "{found:#}");
        assert!(found["error"].is_string(), "{found:#}");
    }
}

/// The name of the machine itself is not for the DNS (RFC 6761, section 6.3), and a protocol that begins in
/// plain text is not HTTPS.
#[test]
fn what_is_not_looked_up() {
    let peer = Spec::good().start();
    let names = NameServer::start();
    let args = ["--ech", "--resolver", &names.address()];
    let outcome = Tlsweep::json().args(args).sweep([format!("localhost:{}", peer.addr.port())]);
    let record = outcome.records.first().unwrap();
    assert_eq!(record["https"]["status"], "none", "{record:#}");
    assert!(names.asked().is_empty(), "{:?}", names.asked());
    let request = [0, 0, 0, 8, 4, 210, 22, 47];
    let postgres = Spec::script([hear(request), send("S"), Handshake, Hold]).start();
    let target = format!("postgres://www.test:{}", postgres.addr.port());
    let outcome = Tlsweep::json().args(args).sweep([target]);
    let record = outcome.only_record();
    assert_eq!((record.get("https"), &record["ech"]["status"]), (None, &json!("not_shown")));
    let asked = names.asked();
    assert!(!asked.is_empty() && asked.iter().all(|name| name == "www.test"), "{asked:?}");
}
