//! Whatever a record says, it is one line in every format, whole, and safe to print.

#![no_main]

use std::cell::RefCell;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tlsweep::cert::{
    Certificate, CrlStatus, CrliteStatus, Ocsp, Problem, Revocation, RevokedBy, Signature, Status,
    Trust, Trusted, Verdict,
};
use tlsweep::failure::{Failure, Kind, Stage};
use tlsweep::feed::input::{Line, Place};
use tlsweep::names::{self, AlertDescription, Group, Suite};
use tlsweep::probe::{Ech, EchConfigOf, EchStatus, Https, HttpsStatus, Quic, QuicStatus};
use tlsweep::report::changed::{Changed, Field};
use tlsweep::report::check::Checks;
use tlsweep::report::enumeration::{Report, Shown};
use tlsweep::report::output::{FORMATS, Format, Layout};
use tlsweep::report::record::{Chain, Record, Starttls, Tls, milliseconds};
use tlsweep::report::schema::{Fields, leaves};
use tlsweep::tls::drain::{End, ReadEnd};
use tlsweep::tls::enumerate::{Order, Support};
use tlsweep_fuzz::script::Script;
use tlsweep_fuzz::text::assert_harmless;

/// The formats, made once: a schema stands behind the columns of CSV.
struct Formats {
    /// Columns of CSV, of all fields and of a few.
    columns: (usize, usize),
    /// By name: all fields, then a few.
    plain: Vec<(&'static str, Box<dyn Format>, Box<dyn Format>)>,
    aligned: Box<dyn Format>,
    checks: Checks,
}

const FEW: &str = "target,tag,error,tls.alpn,chain,starttls,ms.total";

thread_local! {
    static FORMATS_MADE: RefCell<Formats> = RefCell::new(Formats::new());
}

impl Formats {
    fn new() -> Self {
        let all = Layout { no_header: true, ..Layout::default() };
        let few = Layout { fields: Some(Fields::parse(FEW).unwrap()), ..all.clone() };
        let aligned = Layout { width: Some(|| WIDTH), coloured: true, ..Layout::default() };
        let conditions = ["error,untrusted,expires-in=30d,min-tls=1.3,weak,no-pq,no-staple"];
        let text = FORMATS.iter().find(|(name, _)| *name == "text").unwrap().1;
        Self {
            columns: (leaves().len(), few.fields.as_ref().unwrap().names().len()),
            plain: FORMATS.map(|(name, make)| (name, make(&all), make(&few))).into(),
            aligned: text(&aligned),
            checks: Checks::parse(conditions).unwrap(),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let script = &mut Script::new(data);
    let mut record = record(script);
    FORMATS_MADE.with_borrow_mut(|formats| {
        if script.flag() {
            record.failed_checks = Some(formats.checks.met_by(&record));
        }
        for (name, all, few) in &mut formats.plain {
            if *name == "detail" {
                block(&mut **all, &record).lines().for_each(assert_harmless);
                continue;
            }
            let line = line(&mut **all, &record);
            assert_harmless(&line.replace('\t', ""));
            let narrow = self::line(&mut **few, &record);
            assert_harmless(&narrow.replace('\t', ""));
            match *name {
                "text" => assert_eq!(line.matches('\t').count(), 8, "{line:?}"),
                "json" => check_json(&line, &narrow, &record),
                "csv" => {
                    assert_eq!((cells(&line), cells(&narrow)), formats.columns);
                }
                other => panic!("say here what a line of {other} must be"),
            }
        }
        for line in block(&mut *formats.aligned, &record).lines() {
            let uncoloured = ["\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"]
                .iter()
                .fold(line.to_owned(), |line, colour| line.replace(colour, ""));
            assert_harmless(&uncoloured);
        }
    });
});

/// Columns of the terminal.
const WIDTH: usize = 80;

/// The lines of `record`.
fn block(format: &mut dyn Format, record: &Record) -> String {
    let mut out = Vec::new();
    format.append(record, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The line of `record`, without its end.
fn line(format: &mut dyn Format, record: &Record) -> String {
    let mut out = Vec::new();
    format.append(record, &mut out).unwrap();
    let line = String::from_utf8(out).unwrap();
    let line = line.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line:?}");
    line.to_owned()
}

fn check_json(line: &str, narrow: &str, record: &Record) {
    let read: Record = serde_json::from_str(line).unwrap();
    assert_eq!(read, *record);
    let narrow: serde_json::Value = serde_json::from_str(narrow).unwrap();
    let whole: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(narrow["target"], whole["target"]);
    assert_eq!(narrow.get("error"), whole.get("error"));
    assert_eq!(narrow.get("chain"), whole.get("chain"));
    assert_eq!(narrow.get("host"), None);
}

fn cells(line: &str) -> usize {
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.has_headers(false).from_reader(line.as_bytes());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1, "{line:?}");
    rows[0].len()
}

fn record(script: &mut Script<'_>) -> Record {
    let place = Place { line: script.u64(), number: script.u64() };
    let line = Line { place, text: Ok(String::new()) };
    let mut record = Record::of_line(&line, failure(script), SystemTime::UNIX_EPOCH);
    record.target = script.text();
    record.tag = script.option(Script::text);
    record.host = script.option(Script::text);
    record.port = script.option(Script::u16);
    record.sni = script.option(Script::text);
    record.addr = script.option(address);
    record.time = (SystemTime::UNIX_EPOCH + Duration::from_millis(script.u64())).into();
    record.ok = script.flag();
    if record.ok {
        record.error = None;
    }
    record.tls = script.option(tls).map(Box::new);
    record.cert = script.option(certificate).map(Into::into);
    record.chain = script.option(chain).map(Box::new);
    record.trust = script.option(trust).map(Box::new);
    record.ocsp = script.option(ocsp).map(Box::new);
    record.starttls = script.option(starttls).map(Box::new);
    record.enumeration = script.option(enumeration).map(Box::new);
    record.jarm = script.option(Script::text);
    record.quic = script.option(quic);
    record.https = script.option(https).map(Box::new);
    record.ech = script.option(ech).map(Box::new);
    record.revocation = script.option(revocation).map(Box::new);
    record.read = script.option(read).map(Box::new);
    record.sent = script.option(Script::u64);
    record.received = script.option(Script::u64);
    record.ms.resolve = script.option(time);
    record.ms.handshake = script.option(time);
    record.ms.total = time(script);
    record.attempts = script.option(number);
    record.failed_checks = script.option(texts);
    record.changed = script.option(changed).map(Box::new);
    record
}

fn changed(script: &mut Script<'_>) -> Changed {
    match script.flag() {
        true => Changed::new_target(),
        false => Changed::of(
            Field::ALL.into_iter().filter_map(|field| Some((field, script.option(Script::text)?))),
        ),
    }
}

fn texts(script: &mut Script<'_>) -> Vec<String> {
    script.list(Script::text)
}

fn number(script: &mut Script<'_>) -> u32 {
    script.u64() as u32
}

fn time(script: &mut Script<'_>) -> f64 {
    milliseconds(Duration::from_micros(script.u64() >> script.byte() % 64))
}

fn address(script: &mut Script<'_>) -> IpAddr {
    match script.flag() {
        true => Ipv6Addr::from_bits(u128::from(script.u64()) << 64 | 1).into(),
        false => number(script).to_be_bytes().into(),
    }
}

/// The value that serde reads from this JSON. There is no other way to one of a struct to which fields
/// may be added.
fn read_as<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The value that serde reads from one of these words.
fn word<T: DeserializeOwned>(script: &mut Script<'_>, words: &[&str]) -> T {
    read_as(words[script.below(words.len())].into())
}

fn failure(script: &mut Script<'_>) -> Failure {
    let stage: Stage = word(script, &["input", "resolve", "connect", "handshake", "local"]);
    let kind: Kind = word(script, &["alert", "eof", "not_tls", "timeout", "interrupted"]);
    read_as(json!({
        "stage": stage,
        "kind": kind,
        "alert": script.option(|script| AlertDescription(script.byte())),
        "detail": script.text(),
        "evidence": script.option(Script::text),
    }))
}

fn tls(script: &mut Script<'_>) -> Tls {
    let mut tls = Tls::default();
    tls.version = script.option(Script::text).map(Into::into);
    tls.cipher = script.option(Script::text).map(Into::into);
    tls.group = script.option(Script::text).map(Into::into);
    let postures = &["hybrid", "post_quantum", "classical", "draft"];
    tls.key_exchange = script.option(|script| word(script, postures));
    tls.ja3s = script.option(Script::text);
    tls.alpn = script.option(Script::text);
    tls.signature = script.option(Script::text).map(Into::into);
    tls.signature_unchecked = script.option(Script::text);
    tls.hello_retry = script.option(Script::flag);
    tls
}

fn certificate(script: &mut Script<'_>) -> Certificate {
    let mut cert = Certificate::default();
    cert.subject = script.option(Script::text);
    cert.issuer = script.option(Script::text);
    cert.names = script.option(texts);
    cert.addresses = script.option(texts);
    cert.other_names = script.option(texts);
    cert.not_after = script.option(Script::text);
    cert.days_left = script.option(|script| script.u64() as i64);
    cert.serial = script.option(Script::text);
    cert.key_bits = script.option(number);
    cert.ocsp_urls = script.option(texts);
    cert.extended_key_usage = script.option(texts);
    cert.version = script.option(Script::byte);
    cert.pem = script.option(Script::text);
    cert
}

fn chain(script: &mut Script<'_>) -> Chain {
    read_as(json!({
        "length": script.u16(),
        "considered": script.option(Script::u16),
        "sha256": texts(script),
        "certificates": script.option(|script| script.list(certificate)),
    }))
}

fn trust(script: &mut Script<'_>) -> Trust {
    let problem = |script: &mut Script<'_>| Problem::ALL[script.below(Problem::ALL.len())];
    let problems = script.list(problem);
    let verdict = problems
        .first()
        .map_or(Verdict::Trusted(Trusted::Trusted), |&gravest| Verdict::Untrusted(gravest));
    read_as(json!({
        "verdict": verdict,
        "problems": problems,
        "name_ok": script.option(Script::flag),
        "anchor": script.option(Script::text),
        "not_after": script.option(Script::text),
        "days_left": script.option(Script::u16),
        "not_evaluated": texts(script),
        "revoked_by": script.option(|script| word::<RevokedBy>(script, &["staple", "crl", "crlite"])),
    }))
}

fn revocation(script: &mut Script<'_>) -> Revocation {
    let words = &["good", "revoked", "not_covered"];
    let of_filters = &["good", "revoked", "not_covered", "not_enrolled"];
    read_as(json!({
        "crl": script.option(|script| word::<CrlStatus>(script, words)),
        "crlite": script.option(|script| word::<CrliteStatus>(script, of_filters)),
    }))
}

fn quic(script: &mut Script<'_>) -> Quic {
    let status: QuicStatus = word(script, &["shown", "not_shown", "refused"]);
    read_as(json!({ "status": status, "versions": texts(script) }))
}

fn https(script: &mut Script<'_>) -> Https {
    let record = |script: &mut Script<'_>| {
        json!({
            "owner": script.option(Script::text),
            "priority": script.u16(),
            "target": script.text(),
            "mandatory": texts(script),
            "alpn": texts(script),
            "no_default_alpn": script.option(Script::flag),
            "port": script.option(Script::u16),
            "ipv6hint": [Ipv6Addr::LOCALHOST],
            "ech_public_names": script.option(texts),
            "ignored": script.option(Script::text),
        })
    };
    let status: HttpsStatus = word(script, &["found", "none", "malformed", "unknown"]);
    read_as(json!({
        "status": status,
        "name": script.text(),
        "records": script.list(record),
        "records_count": script.option(Script::u16),
        "error": script.option(Script::text),
    }))
}

fn ech(script: &mut Script<'_>) -> Ech {
    let offered = |script: &mut Script<'_>| {
        json!({
            "config_id": script.option(Script::byte),
            "public_name": script.option(Script::text),
            "version": script.option(Script::text),
        })
    };
    let words = &["accepted", "rejected_with_retry", "rejected", "not_shown", "unknown"];
    let status: EchStatus = word(script, words);
    let config: EchConfigOf = word(script, &["https_record", "made_up"]);
    read_as(json!({
        "status": status,
        "config": config,
        "public_name": script.text(),
        "retry_configs": script.list(offered),
        "retry_configs_count": script.option(Script::u16),
        "error": script.option(Script::text),
    }))
}

fn ocsp(script: &mut Script<'_>) -> Ocsp {
    let status: Status = word(script, &["good", "revoked", "malformed", "try_later"]);
    let signature =
        |script: &mut Script<'_>| -> Signature { word(script, &["valid", "invalid", "unchecked"]) };
    read_as(json!({
        "status": status,
        "produced_at": script.option(Script::text),
        "this_update": script.option(Script::text),
        "next_update": script.option(Script::text),
        "revoked_at": script.option(Script::text),
        "responder": script.option(Script::text),
        "current": script.option(Script::flag),
        "signature": script.option(signature),
        "responses_count": script.option(Script::u16),
    }))
}

fn starttls(script: &mut Script<'_>) -> Starttls {
    read_as(json!({ "protocol": script.text(), "banner": script.option(Script::text) }))
}

fn enumeration(script: &mut Script<'_>) -> Report {
    let support = |script: &mut Script<'_>| -> Support {
        word(script, &["supported", "not_supported", "unknown"])
    };
    let group = |script: &mut Script<'_>| Group(script.u16());
    let accepted = |script: &mut Script<'_>| {
        json!({
            "suite": Suite(script.u16()),
            "group": script.option(group),
            "dh_bits": script.option(Script::u16),
        })
    };
    let version = |script: &mut Script<'_>| {
        json!({
            "version": names::Version(script.u16()),
            "support": support(script),
            "suites": script.list(accepted),
            "order": script.option(|script| word::<Order>(script, &["client", "server"])),
            "complete": script.flag(),
        })
    };
    let schemes = |script: &mut Script<'_>| {
        json!({
            "tls12": texts(script),
            "tls12_complete": script.flag(),
            "tls13": texts(script),
            "tls13_complete": script.flag(),
        })
    };
    let resumption = |script: &mut Script<'_>| {
        json!({
            "tls12_id": support(script),
            "tls12_ticket": support(script),
            "tls13_psk": support(script),
            "early_data": support(script),
            "early_data_size": script.option(Script::u16),
        })
    };
    let protocols =
        |script: &mut Script<'_>| json!({ "protocols": texts(script), "complete": script.flag() });
    read_as(json!({
        "versions": script.list(version),
        "curves": script.list(group),
        "curves_complete": script.flag(),
        "groups": script.list(group),
        "groups_complete": script.flag(),
        "compression": support(script),
        "fallback_scsv": support(script),
        "secure_renegotiation": support(script),
        "extended_master_secret": support(script),
        "certificates": script.list(shown),
        "certificates_complete": script.flag(),
        "signature_schemes": script.option(schemes),
        "alpn": script.option(protocols),
        "resumption": script.option(resumption),
        "client_renegotiation": support(script),
        "ssl2": { "support": support(script), "suites": texts(script) },
    }))
}

fn shown(script: &mut Script<'_>) -> Shown {
    read_as(json!({
        "signature": script.option(Script::text),
        "signature_verified": script.option(Script::flag),
        "signature_unchecked": script.option(Script::text),
        "cert": certificate(script),
        "chain_length": script.u16(),
        "trust": script.option(trust),
    }))
}

fn read(script: &mut Script<'_>) -> ReadEnd {
    let end: End = word(script, &["close_notify", "eof", "alert", "timeout", "limit"]);
    read_as(json!({
        "bytes": script.u64(),
        "end": end,
        "alert": script.option(|script| AlertDescription(script.byte())),
    }))
}
