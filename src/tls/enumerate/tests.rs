use super::*;
use crate::names::{self, AlertDescription, Group, Suite};
use crate::tls::hello::{Alert, KeyExchange, Parameters, ServerHello};
use Support::{NotSupported, Supported, Unknown};

const TLS_1_3: u16 = names::Version::TLS_1_3.0;

/// A server that answers offers as its settings say.
#[derive(Clone)]
struct Server {
    versions: &'static [u16],
    suites: &'static [u16],
    groups: &'static [u16],
    server_order: bool,
    /// More than so many suites it calls an illegal parameter.
    most: usize,
    /// What it says to a version that it does not speak.
    refusal: AlertDescription,
    compression: u8,
    /// The curve of its certificate, without which it refuses.
    curve: Option<u16>,
    silent: fn(&Offer) -> bool,
}

const OLD: Server = Server {
    versions: &[0x0301, 0x0302, 0x0303],
    suites: &[0xc02f, 0x009e, 0xc013, 0x002f, 0x000a],
    groups: &[23, 24],
    server_order: true,
    most: usize::MAX,
    refusal: AlertDescription::PROTOCOL_VERSION,
    compression: 0,
    curve: None,
    silent: |_| false,
};

const NEW: Server = Server {
    versions: &[0x0303, 0x0304],
    suites: &[0x1301, 0x1302, 0xc02b, 0xc02c],
    groups: &[4588, 29, 23],
    ..OLD
};

impl Server {
    fn answer(&self, offer: &Offer) -> Result<Answer, AlertDescription> {
        let offered: Vec<u16> = offer.suites.iter().map(|suite| suite.0).collect();
        let groups: Vec<u16> = offer.groups.iter().map(|group| group.0).collect();
        if offer.suites.len() > self.most {
            return Err(AlertDescription::ILLEGAL_PARAMETER);
        }
        let speaks = |version: &u16| match offer.version.0 {
            TLS_1_3 => *version == TLS_1_3,
            highest => *version <= highest,
        };
        let version = *self.versions.iter().rev().find(|v| speaks(v)).ok_or(self.refusal)?;
        let best = self.versions.last();
        if offered.contains(&FALLBACK_SCSV.0) && best > Some(&version) {
            return Err(AlertDescription::INAPPROPRIATE_FALLBACK);
        }
        if self.curve.is_some_and(|curve| version < TLS_1_3 && !groups.contains(&curve)) {
            return Err(AlertDescription::HANDSHAKE_FAILURE);
        }
        let fits = |suite: &u16| {
            let tls13 = suite >> 8 == 0x13;
            tls13 == (version == TLS_1_3)
        };
        let group = groups.iter().find(|group| self.groups.contains(group));
        let curves = |suite: &u16| group.is_some() || !names_curve(*suite);
        let (first, second) = if self.server_order {
            (self.suites, offered.as_slice())
        } else {
            (offered.as_slice(), self.suites)
        };
        let suite = *first
            .iter()
            .find(|suite| second.contains(suite) && fits(suite) && curves(suite))
            .ok_or(AlertDescription::HANDSHAKE_FAILURE)?;
        let hello = ServerHello {
            legacy_version: names::Version(version.min(0x0303)),
            random: [0; 32],
            session_id_length: 0,
            suite: Suite(suite),
            compression: self.compression,
            extensions: vec![0xff01],
            selected_version: (version == TLS_1_3).then_some(names::Version(version)),
            key_share_group: group.filter(|_| version == TLS_1_3).map(|group| Group(*group)),
            alpn: None,
            sct_list: None,
        };
        if version == TLS_1_3 {
            return Ok(Answer { retry: Some(hello), ..Answer::default() });
        }
        let parameters = match suite {
            0x009e => Some(Parameters::Dh { prime_bits: 2048 }),
            suite if names_curve(suite) => {
                group.map(|group| Parameters::Ecdh { group: Group(*group) })
            }
            _ => None,
        };
        Ok(Answer {
            hello: Some(hello),
            key_exchange: parameters
                .map(|parameters| KeyExchange { parameters, signature_scheme: None }),
            ..Answer::default()
        })
    }

    /// The findings with this many probes under way at once, and how many it took.
    fn enumerate(&self, at_once: usize) -> (Findings, usize) {
        let mut enumeration = Enumeration::new();
        let mut under_way = Vec::new();
        let mut count = 0;
        loop {
            while under_way.len() < at_once
                && let Some(probe) = enumeration.next_probe()
            {
                under_way.push(probe);
            }
            let Some(probe) = under_way.pop() else {
                return (enumeration.into_findings(), count);
            };
            count += 1;
            assert!(count < 2000, "an enumeration must end");
            if (self.silent)(&probe.offer) {
                enumeration.settle(&probe, Outcome::Silent);
                continue;
            }
            let answer = self.answer(&probe.offer).unwrap_or_else(|description| Answer {
                alert: Some(Alert { level: 2, description }),
                ..Answer::default()
            });
            enumeration.settle(&probe, Outcome::Answered(&answer));
        }
    }
}

fn names_curve(suite: u16) -> bool {
    Suite(suite).name().contains("_ECDHE_")
}

fn supports(findings: &Findings) -> Vec<Support> {
    let versions = findings.versions.iter();
    versions.map(|version| version.support).collect()
}

fn suites(findings: &Findings, version: usize) -> Vec<u16> {
    let suites = findings.versions[version].suites.iter();
    suites.map(|accepted| accepted.suite.0).collect()
}

#[test]
fn a_server_of_old() {
    let (findings, count) = OLD.enumerate(4);
    assert_eq!(supports(&findings), [NotSupported, Supported, Supported, Supported, NotSupported]);
    for version in 1..=3 {
        assert_eq!(suites(&findings, version), OLD.suites);
        assert!(findings.versions[version].complete);
        assert_eq!(findings.versions[version].order, Some(Order::Server));
    }
    assert_eq!(findings.versions[3].suites[1].dh_bits, Some(2048));
    assert_eq!(findings.curves.list, [23, 24].map(Group));
    assert!(findings.groups.list.is_empty() && findings.groups.complete);
    assert_eq!(findings.fallback_scsv, Supported);
    assert_eq!(findings.compression, NotSupported);
    assert_eq!(findings.secure_renegotiation, Supported);
    assert_eq!(findings.extended_master_secret, NotSupported);
    assert!(count < 45, "{count}");
}

#[test]
fn a_server_of_today() {
    let (findings, count) = NEW.enumerate(4);
    assert_eq!(
        supports(&findings),
        [NotSupported, NotSupported, NotSupported, Supported, Supported]
    );
    assert_eq!(suites(&findings, 3), [0xc02b, 0xc02c]);
    assert_eq!(suites(&findings, 4), [0x1301, 0x1302]);
    assert_eq!(findings.groups.list, [4588, 29, 23].map(Group));
    assert_eq!(findings.curves.list, [29, 23].map(Group));
    assert!(count < 30, "{count}");
}

#[test]
fn concurrency_makes_no_difference() {
    for server in [OLD, NEW] {
        assert_eq!(server.enumerate(1), server.enumerate(4));
    }
}

#[test]
fn the_client_s_order_is_told_from_the_server_s() {
    let server = Server { server_order: false, ..OLD };
    let (findings, _) = server.enumerate(4);
    assert_eq!(findings.versions[3].order, Some(Order::Client));
    assert_eq!(suites(&findings, 3).len(), OLD.suites.len());
}

/// Of ARIA and with a pre-shared key, among those that everybody has.
const OF_ALL_KINDS: Server =
    Server { suites: &[0xc061, 0x008d, 0xc02f, 0x008c, 0x002f, 0xc051], ..OLD };

#[test]
fn suites_of_all_kinds_take_a_hello_each() {
    let (findings, count) = OF_ALL_KINDS.enumerate(4);
    for version in 1..=3 {
        assert_eq!(suites(&findings, version), OF_ALL_KINDS.suites);
    }
    // For each version: the suites, what is left of all, their order. SSL 3.0 and TLS 1.3, the
    // curves, the groups of TLS 1.3, the fallback.
    assert_eq!(count, 3 * (6 + 1 + 1) + 2 + (2 + 1) + 1 + 1);
}

#[test]
fn a_server_that_cannot_take_all_is_asked_in_parts_which_are_sorted() {
    for server in [
        Server { most: 128, ..OF_ALL_KINDS },
        Server { silent: |offer| offer.suites.len() > 128, ..OF_ALL_KINDS },
    ] {
        let (findings, _) = server.enumerate(4);
        for version in 1..=3 {
            assert_eq!(suites(&findings, version), server.suites);
            assert!(findings.versions[version].complete);
        }
        assert_eq!(findings.versions[4].support, NotSupported);
    }
}

#[test]
fn a_server_that_takes_all_is_asked_for_no_version_in_parts() {
    let server = Server {
        versions: &[0x0303],
        refusal: AlertDescription::HANDSHAKE_FAILURE,
        ..OF_ALL_KINDS
    };
    let (findings, count) = server.enumerate(4);
    assert_eq!(
        supports(&findings),
        [NotSupported, NotSupported, NotSupported, Supported, NotSupported]
    );
    assert_eq!(suites(&findings, 3), server.suites);
    // One hello for each version that it does not speak, and for the groups of TLS 1.3.
    assert_eq!(count, (6 + 1 + 1) + 4 + (2 + 1) + 1);
}

#[test]
fn compression_shows_in_any_answer() {
    let (findings, _) = Server { compression: DEFLATE, ..OLD }.enumerate(4);
    assert_eq!(findings.compression, Supported);
    let (findings, _) = NEW.enumerate(4);
    assert_eq!(findings.compression, NotSupported);
    let (findings, _) = Server { versions: &[0x0304], ..NEW }.enumerate(4);
    assert_eq!(findings.compression, Unknown);
}

#[test]
fn curves_are_found_behind_that_of_the_certificate() {
    let suites = &[0xc02b, 0xc009];
    let server = Server { suites, groups: &[23, 24, 25], curve: Some(23), ..OLD };
    let (findings, _) = server.enumerate(4);
    assert_eq!(findings.curves.list, [23, 24, 25].map(Group));
    assert!(findings.curves.complete);
}

#[test]
fn silence_is_not_a_no() {
    let server = Server { silent: |_| true, ..OLD };
    let (findings, count) = server.enumerate(4);
    assert_eq!(supports(&findings), [Unknown; 5]);
    assert_eq!(findings.compression, Unknown);
    assert_eq!(findings.fallback_scsv, Unknown);
    assert!(!findings.groups.complete && !findings.curves.complete);
    assert_eq!(count, 2 * 7);

    let server = Server {
        silent: |offer| offer.version.0 == 0x0303 && !offer.suites.contains(&Suite(0xc02f)),
        ..OLD
    };
    let (findings, _) = server.enumerate(4);
    assert_eq!(suites(&findings, 3), [0xc02f]);
    assert_eq!(findings.versions[3].support, Supported);
    assert!(!findings.versions[3].complete);
}

#[test]
fn silence_to_one_version_is_not_a_no_although_others_take_everything_at_once() {
    for at_once in 1..=8 {
        let server = Server { silent: |offer| offer.version.0 == 0x0300, ..OLD };
        let (findings, _) = server.enumerate(at_once);
        assert_eq!(
            supports(&findings),
            [Unknown, Supported, Supported, Supported, NotSupported],
            "{at_once} at once"
        );
        assert!(!findings.versions[0].complete);
    }
}

#[test]
fn a_closed_connection_is_a_refusal() {
    let mut enumeration = Enumeration::new();
    while let Some(probe) = enumeration.next_probe() {
        enumeration.settle(&probe, Outcome::Closed);
    }
    let findings = enumeration.into_findings();
    assert_eq!(supports(&findings), [NotSupported; 5]);
}

#[test]
fn a_refusal_of_the_name_says_nothing_of_the_offer() {
    let description = AlertDescription::UNRECOGNIZED_NAME;
    let answer = Answer { alert: Some(Alert { level: 2, description }), ..Answer::default() };
    let mut enumeration = Enumeration::new();
    while let Some(probe) = enumeration.next_probe() {
        enumeration.settle(&probe, Outcome::Answered(&answer));
    }
    assert_eq!(supports(&enumeration.into_findings()), [Unknown; 5]);
}

#[test]
fn an_answer_outside_the_offer_counts_for_nothing() {
    let mut enumeration = Enumeration::new();
    let probe = enumeration.next_probe().unwrap();
    let mut answer = NEW.answer(&probe.offer).unwrap();
    answer.retry.as_mut().unwrap().suite = Suite(0xffff);
    enumeration.settle(&probe, Outcome::Answered(&answer));
    assert_eq!(supports(&enumeration.into_findings())[4], Unknown);
}

#[test]
fn probes_are_hellos() {
    let mut enumeration = Enumeration::new();
    while let Some(probe) = enumeration.next_probe() {
        let bytes = probe.hello().encode(Some("example.com"), &[0; 32]);
        assert_eq!(bytes[0], 22);
        assert!(bytes.len() < 1200, "one segment: {}", bytes.len());
    }
}
