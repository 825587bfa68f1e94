//! No line of output is longer than its limit, whatever a peer puts into every text at once.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use rustls_pki_types::{CertificateDer, ServerName};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tlsweep::cert::{Judge, Presented, Roots, Wanted};
use tlsweep::escape::cut;
use tlsweep::failure::{Failure, Kind, Reason, Stage, evidence};
use tlsweep::feed::input::Place;
use tlsweep::feed::target::Target;
use tlsweep::limits::{
    BANNER_LIMIT, DETAIL_LIMIT, ECH_CONFIGS_LIMIT, FOLLOW_UPS_LINE_LIMIT, HTTPS_RECORDS_LIMIT,
    HTTPS_VALUES_LIMIT, MAX_KEPT_CERTIFICATES, MESSAGE_LIMIT, NAME_LIMIT, OUTPUT_LINE_LIMIT,
    PEM_LINE_LIMIT, QUIC_VERSIONS_LIMIT, TEXT_LIMIT,
};
use tlsweep::names::{self, AlertDescription, Group, Suite};
use tlsweep::probe::{Ech, EchConfigOf, EchStatus, Https, HttpsStatus};
use tlsweep::report::enumeration::Report;
use tlsweep::report::output::{FORMATS, Layout};
use tlsweep::report::record::Record;
use tlsweep::tls::enumerate::{Order, Support};
use tlsweep::tls::handshake::Versions;
use tlsweep::tls::schemes::SchemeSet;
use tlsweep::tls::ssl2::CIPHER_KINDS;

use crate::support::certs::{HELD, element};

/// Characters that take more room in a line than in a certificate: in JSON, in CSV, or in both.
const FILLERS: [&str; 8] = ["\0", "\u{1b}", "\"", "\\", "\u{85}", "\u{202e}", "\u{e0001}", "x"];

const COMMON_NAME: [u8; 3] = [0x55, 4, 3];

/// Certificates that are full of `filler` in all places, or in one of them.
struct Maker {
    filler: &'static str,
    /// Bytes of text in each place.
    name: usize,
    alternative_names: usize,
    urls: usize,
    purposes: usize,
    numbers: usize,
}

impl Maker {
    fn text(&self, bytes: usize) -> Vec<u8> {
        self.filler.repeat(bytes / self.filler.len()).into_bytes()
    }

    fn name(&self) -> Vec<u8> {
        let text = element(0x0c, &[self.text(self.name)]);
        let attribute = element(0x30, &[element(6, &[COMMON_NAME.to_vec()]), text]);
        element(0x30, &[element(0x31, &[attribute])])
    }

    fn oid(&self) -> Vec<u8> {
        element(6, &[vec![0x2a; 1 + self.numbers]])
    }

    fn urls(&self) -> Vec<Vec<u8>> {
        (0..self.urls / 100).map(|_| element(0x86, &[self.text(100)])).collect()
    }

    fn certificate(&self, number: usize) -> CertificateDer<'static> {
        let algorithm = element(0x30, &[self.oid()]);
        let key = element(0x30, &[element(0x30, &[self.oid()]), element(3, &[vec![0, 1]])]);
        let time = |text: &str| element(0x18, &[text.as_bytes().to_vec()]);
        let extension = |id: &[u8], value: Vec<u8>| {
            element(0x30, &[element(6, &[id.to_vec()]), element(4, &[value])])
        };
        let names = (0..self.alternative_names / 40).map(|_| element(0x82, &[self.text(40)]));
        let access = |method: u8| {
            let method = element(6, &[vec![0x2b, 6, 1, 5, 5, 7, 0x30, method]]);
            self.urls().into_iter().map(move |url| element(0x30, &[method.clone(), url]))
        };
        let point = element(0xa0, &[element(0xa0, &self.urls())]);
        let purposes = (0..self.purposes / 20).map(|number| {
            let number = u8::try_from(number % 128).unwrap();
            element(6, &[[vec![0x2a; 19], vec![number]].concat()])
        });
        let extensions = [
            extension(&[0x55, 0x1d, 17], element(0x30, &names.collect::<Vec<_>>())),
            extension(
                &[0x2b, 6, 1, 5, 5, 7, 1, 1],
                element(0x30, &access(1).chain(access(2)).collect::<Vec<_>>()),
            ),
            extension(&[0x55, 0x1d, 31], element(0x30, &[element(0x30, &[point])])),
            extension(&[0x55, 0x1d, 37], element(0x30, &purposes.collect::<Vec<_>>())),
            extension(&[0x55, 0x1d, 15], element(3, &[vec![0, 0xff, 0xff]])),
        ];
        let serial = [&number.to_be_bytes()[..], &vec![7; self.numbers]].concat();
        let tbs = element(
            0x30,
            &[
                element(0xa0, &[element(2, &[vec![2]])]),
                element(2, &[serial]),
                algorithm.clone(),
                self.name(),
                element(0x30, &[time("20200101000000Z"), time("20900101000000Z")]),
                self.name(),
                key,
                element(0xa3, &[element(0x30, &extensions)]),
            ],
        );
        element(0x30, &[tbs, algorithm, element(3, &[vec![0; 9]])]).into()
    }
}

/// An OCSP response by a responder of this name.
fn staple(name: Vec<u8>) -> Vec<u8> {
    let time = element(0x18, &[b"20260101000000Z".to_vec()]);
    let data = element(0x30, &[element(0xa1, &[name]), time, element(0x30, &[])]);
    let algorithm = element(0x30, &[element(6, &[vec![0x2a]])]);
    let basic = element(0x30, &[data, algorithm, element(3, &[vec![0; 9]])]);
    let id = element(6, &[vec![0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]]);
    let bytes = element(0x30, &[id, element(4, &[basic])]);
    element(0x30, &[element(0x0a, &[vec![0]]), element(0xa0, &[bytes])])
}

fn chains(filler: &'static str) -> Vec<Vec<CertificateDer<'static>>> {
    let none = Maker { filler, name: 0, alternative_names: 0, urls: 0, purposes: 0, numbers: 0 };
    let everywhere = |bytes: usize| Maker {
        filler,
        name: bytes / 9,
        alternative_names: bytes / 9,
        urls: bytes / 9,
        purposes: bytes / 9,
        numbers: bytes / 27,
    };
    let of = |maker: Maker, count: usize| {
        let chain = (0..count).map(|number| maker.certificate(number)).collect::<Vec<_>>();
        assert!(chain.iter().map(|der| der.len() + 3).sum::<usize>() <= MESSAGE_LIMIT);
        chain
    };
    let most = 54_000;
    vec![
        of(Maker { name: most / 2, ..none }, 1),
        of(Maker { alternative_names: most, ..none }, 1),
        of(Maker { urls: most / 3, ..none }, 1),
        of(Maker { purposes: most, ..none }, 1),
        of(Maker { numbers: most / 4, ..none }, 1),
        of(everywhere(most), 1),
        of(everywhere(most / 12), 12),
        of(everywhere(most / 2 / MAX_KEPT_CERTIFICATES), MAX_KEPT_CERTIFICATES),
        of(everywhere(0), 200),
    ]
}

/// A record in which every text is as long as a peer or a line of input can make it.
fn record(chain: &[CertificateDer<'_>], filler: &'static str, wanted: Wanted) -> Record {
    let tag = filler.repeat(100);
    let target = format!("https://{}.example/{},,{tag}.", "n".repeat(60), "p".repeat(1000));
    let target: Target = target.parse().unwrap();
    let name = ServerName::try_from("www.example.com").unwrap();
    let long = Maker { filler, name: 20_000, ..Maker::nothing() }.name();
    let ocsp = staple(long);
    let presented = Presented { chain, name: Some(&name), ocsp: &ocsp, proof: &HELD };
    let examined = Judge::new(Roots::default()).examine(presented, SystemTime::now(), wanted);
    let mut record = Record::of_target(
        Place { line: u64::MAX, number: u64::MAX },
        &target,
        443,
        SystemTime::now(),
    );
    record.set_examined(examined);
    let error = json!({
        "stage": Stage::Handshake,
        "kind": Kind::Protocol,
        "alert": AlertDescription(43),
        "detail": filler.repeat(10_000),
        "evidence": evidence(&[0; 100]),
    });
    record.error = Some(Failure::from(read_as::<Reason>(error)));
    record.sni = Some("s".repeat(253));
    record.addr = Some([0xffff; 8].into());
    record.tls = Some(Box::default());
    record.tls.as_mut().unwrap().alpn = Some([0; 255].escape_ascii().to_string());
    let banner = tlsweep::escape::escaped_lossy(&[0x85; 9_000], BANNER_LIMIT);
    record.starttls = Some(read_as(json!({ "protocol": "postgres", "banner": banner })));
    record
}

/// The value that serde reads from this JSON. There is no other way to one of a struct to which fields
/// may be added.
fn read_as<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

impl Maker {
    const fn nothing() -> Self {
        Self { filler: "", name: 0, alternative_names: 0, urls: 0, purposes: 0, numbers: 0 }
    }
}

#[test]
fn no_line_is_longer_than_its_limit() {
    let mut longest = [(0, ""); 2];
    for filler in FILLERS {
        for chain in chains(filler) {
            for (chain_wanted, pem) in [(false, false), (true, false), (false, true), (true, true)]
            {
                let wanted = Wanted { chain: chain_wanted, pem, ..Wanted::default() };
                let record = record(&chain, filler, wanted);
                let facts = record.chain.as_ref().unwrap();
                assert_eq!(facts.length, chain.len());
                assert_eq!(facts.sha256.len(), chain.len().min(MAX_KEPT_CERTIFICATES));
                assert!(!chain_wanted || !pem || !facts.certificates.as_ref().unwrap().is_empty());
                let limit = if pem { PEM_LINE_LIMIT } else { OUTPUT_LINE_LIMIT };
                for (name, make) in FORMATS {
                    let format = make(&Layout { no_header: true, ..Layout::default() });
                    let mut line = Vec::new();
                    format.append(&record, &mut line).unwrap();
                    let count = chain.len();
                    assert!(
                        line.len() <= limit,
                        "{} bytes of {name}, {filler:?}, {count} certificates, {wanted:?}",
                        line.len()
                    );
                    let of_kind = &mut longest[usize::from(pem)];
                    *of_kind = (*of_kind).max((line.len(), name));
                }
            }
        }
    }
    // The limits are not far above what can be reached.
    assert!(longest[0].0 > OUTPUT_LINE_LIMIT * 3 / 4, "{longest:?}");
    assert!(longest[1].0 > PEM_LINE_LIMIT * 2 / 5, "{longest:?}");
    println!("the longest lines: {longest:?}");
}

/// Everything that a server could be found to speak: every suite in every version over the group with the
/// longest name, and with each kind of key a certificate that is full of `filler`.
fn enumeration(filler: &'static str) -> Report {
    let every_group: Vec<_> = (0..=u16::MAX)
        .map(Group)
        .filter(|group| group.name().chars().any(char::is_alphabetic))
        .collect();
    let longest = *every_group.iter().max_by_key(|group| group.name().len()).unwrap();
    let suites: Vec<_> =
        Suite::all().map(|suite| json!({ "suite": suite, "group": longest })).collect();
    let versions = (0x0300..=0x0304).map(|number| {
        json!({
            "version": names::Version(number),
            "support": Support::NotSupported,
            "suites": suites,
            "order": Order::Client,
            "complete": false,
        })
    });
    // A line with PEM has room for the certificate, which follow-ups show without.
    let wanted = Wanted { chain: true, pem: true, ..Wanted::default() };
    let chain = &chains(filler)[5];
    let facts = record(chain, filler, wanted);
    let mut cert = facts.chain.unwrap().certificates.unwrap().remove(0);
    cert.pem = None;
    let shown = json!({
        "signature": "ecdsa_brainpoolP256r1tls13_sha256",
        "signature_unchecked": "x".repeat(100),
        "cert": cert,
        "chain_length": chain.len(),
        "trust": facts.trust,
    });
    // A server that chooses a scheme is not offered that of the same key again; the last answer may be
    // one more.
    let mut left = SchemeSet::usable(Versions::Both);
    let mut certificates = vec![shown.clone()];
    while let Some(scheme) = left.iter().next() {
        left = left.without_key_of(scheme);
        certificates.push(shown.clone());
    }
    let schemes = (0..=u16::MAX).map(|number| names::signature_scheme(number).into_owned());
    let schemes: Vec<_> = schemes.filter(|name| !name.starts_with("0x")).collect();
    let protocols: Vec<_> = names::application_protocols().collect();
    let kinds: Vec<_> = CIPHER_KINDS.iter().map(|(_, name)| *name).collect();
    let no = Support::NotSupported;
    read_as(json!({
        "versions": versions.collect::<Vec<_>>(),
        "curves": every_group,
        "curves_complete": false,
        "groups": every_group,
        "groups_complete": false,
        "compression": no,
        "fallback_scsv": no,
        "secure_renegotiation": no,
        "extended_master_secret": no,
        "certificates": certificates,
        "certificates_complete": false,
        "signature_schemes": {
            "tls12": schemes,
            "tls12_complete": false,
            "tls13": schemes,
            "tls13_complete": false,
        },
        "alpn": { "protocols": protocols, "complete": false },
        "resumption": {
            "tls12_id": no,
            "tls12_ticket": no,
            "tls13_psk": no,
            "early_data": Support::Supported,
            "early_data_size": u32::MAX,
        },
        "client_renegotiation": no,
        "ssl2": { "support": no, "suites": kinds },
    }))
}

/// As many records as are kept, each with as much as is kept of it.
fn https(filler: &str) -> Https {
    let name = || cut(filler.repeat(1000), NAME_LIMIT);
    let text = || cut(filler.repeat(1000), TEXT_LIMIT);
    let record = json!({
        "owner": Some(name()),
        "priority": u16::MAX,
        "target": name(),
        "mandatory": vec!["key65535".to_owned(); HTTPS_VALUES_LIMIT],
        "alpn": vec![text(); HTTPS_VALUES_LIMIT],
        "no_default_alpn": Some(true),
        "port": Some(u16::MAX),
        "ipv4hint": vec![Ipv4Addr::BROADCAST; HTTPS_VALUES_LIMIT],
        "ipv6hint": vec![Ipv6Addr::from_bits(u128::MAX); HTTPS_VALUES_LIMIT],
        "ech_public_names": Some(vec![name(); HTTPS_VALUES_LIMIT]),
        "ignored": Some("key65535 is mandatory and not known".to_owned()),
    });
    read_as(json!({
        "status": HttpsStatus::Unknown,
        "name": name(),
        "records": vec![record; HTTPS_RECORDS_LIMIT],
        "records_count": Some(usize::MAX),
        "error": Some(cut(filler.repeat(1000), DETAIL_LIMIT)),
    }))
}

fn ech(filler: &str) -> Ech {
    let name = || cut(filler.repeat(1000), NAME_LIMIT);
    let version = Some("0xffff".to_owned());
    let offered = json!({ "config_id": u8::MAX, "public_name": name(), "version": version });
    read_as(json!({
        "status": EchStatus::RejectedWithRetry,
        "config": EchConfigOf::HttpsRecord,
        "public_name": name(),
        "retry_configs": vec![offered; ECH_CONFIGS_LIMIT],
        "retry_configs_count": Some(usize::MAX),
        "error": Some(cut(filler.repeat(1000), DETAIL_LIMIT)),
    }))
}

#[test]
fn what_further_connections_find_has_a_limit_too() {
    let mut longest = (0, "");
    for filler in FILLERS {
        let enumeration = Some(Box::new(enumeration(filler)));
        for chain in chains(filler) {
            let wanted = Wanted { chain: true, pem: true, ..Wanted::default() };
            let without = record(&chain, filler, wanted);
            let versions = vec!["0xffffffff".to_owned(); QUIC_VERSIONS_LIMIT];
            let mut with = without.clone();
            with.enumeration.clone_from(&enumeration);
            with.jarm = Some("f".repeat(62));
            with.quic = Some(read_as(json!({ "status": "shown", "versions": versions })));
            with.https = Some(Box::new(https(filler)));
            with.ech = Some(Box::new(ech(filler)));
            for (name, make) in FORMATS {
                let format = make(&Layout { no_header: true, ..Layout::default() });
                let length = |record: &Record| {
                    let mut line = Vec::new();
                    format.append(record, &mut line).unwrap();
                    line.len()
                };
                let added = length(&with) - length(&without);
                assert!(added <= FOLLOW_UPS_LINE_LIMIT, "{added} bytes of {name}, {filler:?}");
                longest = longest.max((added, name));
            }
        }
    }
    assert!(longest.0 > FOLLOW_UPS_LINE_LIMIT / 2, "{longest:?}");
    println!("what further connections add: {longest:?}");
}

/// What is cut says so: a text and a list by their ends, names and single responses by a count.
#[test]
fn what_is_cut_says_so() {
    let full = Maker {
        filler: "x",
        name: 5_000,
        alternative_names: 20_000,
        urls: 5_000,
        purposes: 5_000,
        numbers: 500,
    };
    let chain = [full.certificate(0)];
    let wanted = Wanted { chain: true, pem: true, ..Wanted::default() };
    let record = record(&chain, "x", wanted);
    let facts = record.cert.unwrap();
    let texts =
        [&facts.subject, &facts.issuer, &facts.serial, &facts.key, &facts.signature_algorithm];
    for text in texts {
        assert!(text.as_ref().unwrap().ends_with('…'), "{text:?}");
    }
    for list in [&facts.ocsp_urls, &facts.issuer_urls, &facts.crl_urls, &facts.extended_key_usage] {
        assert_eq!(list.as_ref().unwrap().last().unwrap(), "…");
    }
    let names = facts.names.as_ref().unwrap();
    assert!(names.len() > 300 && names.len() < 500, "{}", names.len());
    assert_eq!(facts.names_count, Some(500));
    let in_chain = &record.chain.unwrap().certificates.unwrap()[0];
    assert!(in_chain.names.as_ref().unwrap().len() < names.len());
    assert_eq!(in_chain.names_count, Some(500));
    assert!(record.ocsp.unwrap().responder.unwrap().ends_with('…'));
    assert!(record.error.unwrap().detail.ends_with('…'));
}

/// Target and tag belong to the line of input: they are echoed as they are or not taken at all.
#[test]
fn a_line_too_long_to_be_echoed_is_no_target() {
    let is_target = |line: String| line.parse::<Target>().is_ok();
    assert!(is_target(format!("example.com,,{}", "x".repeat(4000))));
    assert!(!is_target(format!("example.com,,{}", "x".repeat(4096))));
    assert!(is_target(format!("example.com,,{}.", "\u{1b}".repeat(600))));
    assert!(!is_target(format!("example.com,,{}.", "\u{1b}".repeat(700))));
    assert!(!is_target(format!("https://example.com/{}", "x".repeat(5000))));
}
