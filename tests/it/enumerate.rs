//! `--enumerate`: what a server speaks, held against what sslscan says of it.

mod drops;

use std::collections::BTreeSet;

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm};
use serde_json::Value;
use tlsweep::names::{self, Group};

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::peer::Spec;
use crate::support::programs::{Program, Server, shown};
use crate::support::script::Step::{
    self, Fin, Handshake, Handshake12, Hold, IfHello, ReadHello, Relay, Say,
};
use crate::support::script::{CLOSE_NOTIFY, fatal, hear, send, warning};
use crate::support::servers::{
    Files, serve_gnutls, serve_haproxy, serve_nginx, serve_openssl, serve_weak_openssl,
};
use crate::support::tls::Msg;

/// What one of the two found.
#[derive(Debug, Default)]
struct Table {
    /// Version and suite, each version's in the order in which they were found.
    suites: Vec<(String, String)>,
    versions: BTreeSet<String>,
    groups: BTreeSet<String>,
    curves: BTreeSet<String>,
}

impl Table {
    fn of_sslscan(sslscan: &Program, server: &Server) -> Self {
        let target = format!("localhost:{}", server.addr.port());
        // A busy machine needs longer than the default for a group of 8192 bits.
        let flags = ["--ipv4", "--xml=-", "--no-heartbleed", "--timeout=60"];
        let output = sslscan.run([&flags[..], &[&target]].concat());
        assert!(output.status.success(), "{}", shown(&output));
        let xml = String::from_utf8(output.stdout).unwrap();
        let mut table = Self::default();
        for line in xml.lines().map(str::trim) {
            let attribute = |name: &str| {
                let (_, rest) = line.split_once(&format!(" {name}=\""))?;
                rest.split_once('"').map(|(value, _)| value.to_owned())
            };
            let number = || {
                let id = attribute("id").unwrap();
                u16::from_str_radix(id.trim_start_matches("0x"), 16).unwrap()
            };
            let version = || match attribute("sslversion").unwrap().as_str() {
                "TLSv1" => "TLSv1.0".to_owned(),
                version => version.to_owned(),
            };
            if line.starts_with("<protocol ") && attribute("enabled").as_deref() == Some("1") {
                let kind =
                    if attribute("type").as_deref() == Some("tls") { "TLSv" } else { "SSLv" };
                table.versions.insert(format!("{kind}{}", attribute("version").unwrap()));
            } else if line.starts_with("<cipher ") {
                table.suites.push((version(), names::Suite(number()).to_string()));
            } else if line.starts_with("<group ") {
                let groups =
                    if version() == "TLSv1.3" { &mut table.groups } else { &mut table.curves };
                groups.insert(Group(number()).to_string());
            }
        }
        table
    }

    fn of_tlsweep(enumeration: &Value) -> Self {
        let mut table = Self::default();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let words = |list: &Value| list.as_array().unwrap().iter().map(word).collect();
        for version in enumeration["versions"].as_array().unwrap() {
            let name = word(&version["version"]);
            assert_ne!(version["support"], "unknown", "{enumeration:#}");
            assert_eq!(version["complete"], true, "{enumeration:#}");
            if version["support"] == "supported" {
                table.versions.insert(name.clone());
            }
            for suite in version["suites"].as_array().into_iter().flatten() {
                table.suites.push((name.clone(), word(&suite["suite"])));
            }
        }
        assert_eq!(enumeration["groups_complete"], true, "{enumeration:#}");
        assert_eq!(enumeration["curves_complete"], true, "{enumeration:#}");
        table.groups = words(&enumeration["groups"]);
        table.curves = words(&enumeration["curves"]);
        table
    }

    fn in_order(&self, version: &str) -> Vec<&str> {
        let of = self.suites.iter().filter(|(of, _)| of == version);
        let suites = of.map(|(_, suite)| suite.as_str());
        let is_in_order = |suite: &&str| !LISTED_LAST_BY_SSLSCAN.iter().any(|w| suite.contains(w));
        suites.filter(is_in_order).collect()
    }
}

/// For what its own OpenSSL does not have, sslscan makes hellos of its own, and lists what comes of
/// them behind the rest: there its order is not the server's.
const LISTED_LAST_BY_SSLSCAN: [&str; 2] = ["_3DES_", "_RC4_"];

/// Suite by suite, both say the same.
fn compare(server: &Server, key: &SignatureAlgorithm) {
    let Some(sslscan) = Program::find("sslscan") else {
        return;
    };
    let theirs = Table::of_sslscan(&sslscan, server);
    let target = format!("localhost:{}", server.addr.port());
    let outcome = Tlsweep::json().args(["--enumerate", "--timeout", "100s"]).sweep([target]);
    let enumeration = outcome.only_record()["enumeration"].clone();
    let ours = Table::of_tlsweep(&enumeration);
    assert!(!ours.suites.is_empty(), "{enumeration:#}");
    let set = |table: &Table| BTreeSet::from_iter(table.suites.clone());
    let [only_ours, only_theirs] = [(&ours, &theirs), (&theirs, &ours)]
        .map(|(one, other)| set(one).difference(&set(other)).cloned().collect::<Vec<_>>());
    assert!(
        only_ours.is_empty() && only_theirs.is_empty(),
        "only ours: {only_ours:#?}, only sslscan's: {only_theirs:#?}"
    );
    assert_eq!(ours.versions, theirs.versions);
    assert_eq!(ours.groups, theirs.groups);
    // sslscan looks at the curves of TLS 1.2 alone, with suites that authenticate and encrypt, and
    // offers each curve alone, which rules out a certificate on another.
    let is_usual = |(version, suite): &(String, String)| {
        version == "TLSv1.2" && !suite.contains("_anon_") && !suite.contains("_NULL_")
    };
    if *key == PKCS_RSA_SHA256 && ours.suites.iter().any(is_usual) {
        assert_eq!(ours.curves, theirs.curves);
    }
    for version in enumeration["versions"].as_array().unwrap() {
        if version["order"] == "server" {
            let name = version["version"].as_str().unwrap();
            assert_eq!(ours.in_order(name), theirs.in_order(name));
        }
    }
}

/// Every configuration with every kind of key; the last one printed is the one that differs.
fn compare_all(
    configurations: &[&str],
    keys: &[&'static SignatureAlgorithm],
    serve: impl Fn(&Files, &str) -> Server,
) {
    for key in keys {
        let files = Files::with_key(key);
        for configuration in configurations {
            eprintln!("{configuration}");
            compare(&serve(&files, configuration), key);
        }
    }
}

#[test]
fn nginx() {
    let Some(nginx) = Program::find("nginx") else {
        return;
    };
    let configurations = [
        "",
        "ssl_protocols TLSv1.3;",
        "ssl_protocols TLSv1.2; ssl_ciphers HIGH; ssl_prefer_server_ciphers on;",
        "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers ALL:@SECLEVEL=0; ssl_ecdh_curve prime256v1:secp521r1;",
    ];
    compare_all(
        &configurations,
        &[&PKCS_ECDSA_P256_SHA256, &PKCS_RSA_SHA256],
        |files, directives| serve_nginx(&nginx, files, directives),
    );
}

#[test]
fn openssl() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let configurations = [
        "-serverpref",
        "-tls1",
        "-tls1_1 -cipher AES128-SHA:DHE-RSA-AES256-SHA:ECDHE-RSA-AES128-SHA -serverpref",
        "-tls1_2 -cipher kRSA",
        "-tls1_2 -cipher kDHE",
        "-tls1_2 -cipher aNULL:eNULL",
        "-no_tls1_3 -groups X448:P-521",
        "-tls1_3 -ciphersuites TLS_AES_128_CCM_8_SHA256:TLS_CHACHA20_POLY1305_SHA256 -groups ffdhe2048",
    ];
    compare_all(&configurations, &[&PKCS_RSA_SHA256], |files, flags| {
        let flags: Vec<_> = flags.split(' ').collect();
        serve_weak_openssl(&openssl, files, &flags)
    });
    compare_all(&["-tls1_2", "-serverpref"], &[&PKCS_ECDSA_P256_SHA256], |files, flag| {
        serve_openssl(&openssl, files, &[flag])
    });
}

#[test]
fn gnutls() {
    let Some(gnutls) = Program::find("gnutls-serv") else {
        return;
    };
    let configurations = [
        "NORMAL",
        "SECURE256:%SERVER_PRECEDENCE",
        "NORMAL:+VERS-TLS1.0:+VERS-TLS1.1:+3DES-CBC:+ARCFOUR-128:+MD5:+DHE-RSA:%SERVER_PRECEDENCE",
        "NONE:+VERS-TLS1.2:+CIPHER-ALL:+MAC-ALL:+RSA:+SIGN-ALL:+COMP-NULL",
    ];
    compare_all(&configurations, &[&PKCS_RSA_SHA256], |files, priority| {
        serve_gnutls(&gnutls, files, priority, &[])
    });
}

#[test]
fn haproxy() {
    let Some(haproxy) = Program::find("haproxy") else {
        return;
    };
    let configurations = [
        "",
        "no-tlsv13 curves P-384",
        "ssl-min-ver TLSv1.0 ciphers ALL:@SECLEVEL=0",
        "ssl-min-ver TLSv1.2 ciphers ECDHE+AESGCM:ECDHE+CHACHA20 prefer-client-ciphers",
    ];
    compare_all(&configurations, &[&PKCS_RSA_SHA256], |files, options| {
        serve_haproxy(&haproxy, files, options)
    });
}

/// The enumeration of a server that does something else with such hellos than the one behind it.
fn enumerate_behind(instead: Step) -> Option<Value> {
    Some(sweep_behind(instead)?["enumeration"].clone())
}

fn sweep_behind(instead: Step) -> Option<Value> {
    let openssl = Program::find("openssl")?;
    let files = Files::with_key(&PKCS_RSA_SHA256);
    let flags = ["-cipher", "AES128-SHA:AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256"];
    let server = serve_weak_openssl(&openssl, &files, &flags);
    let peer = Spec::script([instead, Relay(server.addr)]).start();
    let outcome = Tlsweep::json()
        .args(["--enumerate", "--handshake-timeout", "3s", "--timeout", "100s"])
        .sweep([peer.target()]);
    Some(outcome.only_record().clone())
}

fn version<'a>(enumeration: &'a Value, name: &str) -> &'a Value {
    let mut versions = enumeration["versions"].as_array().unwrap().iter();
    versions.find(|version| version["version"] == name).unwrap()
}

fn suites(version: &Value) -> BTreeSet<&str> {
    let suites = version["suites"].as_array().into_iter().flatten();
    suites.map(|suite| suite["suite"].as_str().unwrap()).collect()
}

const OF_TLS12: [&str; 3] = [
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
];

/// supported_versions with TLS 1.3 and nothing else.
const ONLY_TLS13: &[u8] = &[0, 43, 0, 3, 2, 3, 4];

/// Behind the headers of the record and of the message stands the version (RFC 6101, 5.6.1.2).
fn is_of_ssl3(hello: &[u8]) -> bool {
    hello.get(9..11) == Some(&[3, 0])
}

fn holds(hello: &[u8], bytes: &[u8]) -> bool {
    hello.windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn silence_to_a_version_is_not_a_refusal_of_it() {
    let silent = IfHello(|hello| holds(hello, ONLY_TLS13), vec![ReadHello, Hold]);
    let Some(enumeration) = enumerate_behind(silent) else {
        return;
    };
    assert_eq!(version(&enumeration, "TLSv1.3")["support"], "unknown", "{enumeration:#}");
    assert_eq!(version(&enumeration, "TLSv1.3")["complete"], false, "{enumeration:#}");
    assert_eq!(enumeration["groups_complete"], false, "{enumeration:#}");
    assert_eq!(version(&enumeration, "SSLv3")["support"], "not_supported", "{enumeration:#}");
    let tls12 = version(&enumeration, "TLSv1.2");
    assert_eq!(suites(tls12), BTreeSet::from(OF_TLS12), "{enumeration:#}");
    assert_eq!(tls12["complete"], true, "{enumeration:#}");
}

#[test]
fn a_close_or_an_alert_is_a_refusal() {
    for refusal in [vec![ReadHello, Fin], vec![ReadHello, fatal(70), Fin]] {
        let refusing = IfHello(|hello| holds(hello, ONLY_TLS13), refusal);
        let Some(enumeration) = enumerate_behind(refusing) else {
            return;
        };
        let tls13 = version(&enumeration, "TLSv1.3");
        assert_eq!(tls13["support"], "not_supported", "{enumeration:#}");
        assert_eq!(suites(version(&enumeration, "TLSv1.2")).len(), 3, "{enumeration:#}");
    }
}

/// Without the suite that it prefers, this server says nothing more; to SSL 3.0 it says nothing.
#[test]
fn silence_in_the_middle_leaves_a_list_that_is_not_whole() {
    // The suites are the first place where these two bytes can stand.
    let silent = IfHello(
        |hello| {
            let can_be_tls12 = !holds(hello, ONLY_TLS13);
            is_of_ssl3(hello) || can_be_tls12 && !holds(hello, &[0xc0, 0x2f])
        },
        vec![ReadHello, Hold],
    );
    let Some(enumeration) = enumerate_behind(silent) else {
        return;
    };
    let tls12 = version(&enumeration, "TLSv1.2");
    assert_eq!(tls12["support"], "supported", "{enumeration:#}");
    assert_eq!(tls12["complete"], false, "{enumeration:#}");
    assert_eq!(suites(tls12), BTreeSet::from([OF_TLS12[0]]), "{enumeration:#}");
    assert_eq!(version(&enumeration, "SSLv3")["support"], "unknown", "{enumeration:#}");
    assert_eq!(version(&enumeration, "TLSv1.3")["support"], "supported", "{enumeration:#}");
}

#[test]
fn a_server_that_says_nothing_is_not_enumerated() {
    let peer = Spec::script([Hold]).start();
    let outcome = Tlsweep::json()
        .args(["--enumerate", "--handshake-timeout", "300ms"])
        .sweep([peer.target()]);
    let record = outcome.only_record();
    assert_eq!(verdict(record), "handshake/timeout", "{record:#}");
    assert!(record.get("enumeration").is_none(), "not looked: {record:#}");
    assert_eq!(record["attempts"], 2, "{record:#}");
}

/// One answer to whatever it is asked, offered or not.
#[test]
fn a_server_that_chooses_what_was_not_offered_is_not_asked_for_ever() {
    let peer = Spec::script([Handshake12, warning(CLOSE_NOTIFY), Hold]).start();
    let outcome = Tlsweep::json()
        .args(["--enumerate", "--handshake-timeout", "4s", "--timeout", "20s"])
        .sweep([peer.target()]);
    let record = outcome.only_record();
    assert!(record["attempts"].as_u64().unwrap() < 100, "{record:#}");
    assert!(record["enumeration"]["versions"].is_array(), "{record:#}");
}

/// Only the hello of the whole handshake is: it has a key share.
fn is_post_quantum(hello: &[u8]) -> bool {
    hello.len() > 1200
}

#[test]
fn a_server_that_stalls_after_its_hello_is_enumerated() {
    let stalls = vec![ReadHello, Say(Msg::ServerHello12), Hold];
    let Some(record) = sweep_behind(IfHello(is_post_quantum, stalls)) else {
        return;
    };
    assert_eq!(verdict(&record), "handshake/timeout", "{record:#}");
    let tls12 = version(&record["enumeration"], "TLSv1.2");
    assert_eq!(suites(tls12), BTreeSet::from(OF_TLS12), "{record:#}");
    assert_eq!(version(&record["enumeration"], "TLSv1.3")["support"], "supported", "{record:#}");
}

#[test]
fn the_limit_of_the_target_ends_it_and_the_rest_is_unknown() {
    // Only the whole handshake is answered: its hello alone has a post-quantum share.
    let silent = IfHello(|hello| !is_post_quantum(hello), vec![ReadHello, Hold]);
    let peer = Spec::script([silent, Handshake, warning(CLOSE_NOTIFY), Hold]).start();
    let outcome = Tlsweep::json()
        .args(["--enumerate", "--per-host", "2", "--timeout", "8s"])
        .sweep([peer.target()]);
    let record = outcome.only_record();
    assert_eq!(record["ok"], true, "{record:#}");
    let total = record["ms"]["total"].as_f64().unwrap();
    assert!((8_000.0..20_000.0).contains(&total), "{record:#}");
    assert_eq!(peer.accepted(), 1 + 2, "no more at once than allowed");
    let versions = record["enumeration"]["versions"].as_array().unwrap();
    for version in versions {
        assert_eq!(version["support"], "unknown", "{record:#}");
        assert_eq!(version["complete"], false, "{record:#}");
    }
    assert_eq!(record["enumeration"]["compression"], "unknown", "{record:#}");
    assert_eq!(record["enumeration"]["fallback_scsv"], "unknown", "{record:#}");
}

#[test]
fn behind_starttls_every_hello_has_its_dialogue() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_RSA_SHA256);
    let flags = ["-tls1_2", "-cipher", "AES128-SHA:AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256"];
    let server = serve_weak_openssl(&openssl, &files, &flags);
    let peer = Spec::script([
        send("220 mx.example.com ESMTP\r\n"),
        hear("EHLO tlsweep.invalid\r\n"),
        send("250-mx.example.com\r\n250 STARTTLS\r\n"),
        hear("STARTTLS\r\n"),
        send("220 Go ahead\r\n"),
        Relay(server.addr),
    ]);
    let peer = peer.start();
    let target = format!("smtp://{}", peer.addr);
    let outcome = Tlsweep::json().args(["--enumerate"]).sweep([&target]);
    let enumeration = &outcome.only_record()["enumeration"];
    let tls12 = version(enumeration, "TLSv1.2");
    assert_eq!(suites(tls12), BTreeSet::from(OF_TLS12), "{enumeration:#}");
    assert_eq!(version(enumeration, "TLSv1.3")["support"], "not_supported", "{enumeration:#}");

    let outcome = Tlsweep::new().args(["--enumerate"]).sweep([&target]);
    assert!(outcome.assert_complete().text().contains("suites: TLSv1.2 3;"), "{}", outcome.text());
}
