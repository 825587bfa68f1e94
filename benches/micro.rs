//! What happens once per target outside the handshake: parse, classify, encode.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic")]

use std::hint::black_box;
use std::time::SystemTime;

use criterion::{Criterion, criterion_group, criterion_main};
use tlsweep::failure::{Failure, Stage};
use tlsweep::feed::input::Place;
use tlsweep::feed::target::Target;
use tlsweep::report::output::{FORMATS, Layout};
use tlsweep::report::record::{Record, Tls};
use tlsweep::report::status::Status;

fn parse(c: &mut Criterion) {
    for line in ["192.0.2.1:443", "www.example.com:8443,other.example.com,tag", "bücher.example"] {
        c.bench_function(&format!("parse {line}"), |b| {
            b.iter(|| black_box(line).parse::<Target>().unwrap());
        });
    }
}

fn classify(c: &mut Criterion) {
    let error = std::io::Error::from_raw_os_error(libc::ECONNREFUSED);
    c.bench_function("classify refused", |b| {
        b.iter(|| Failure::from_io(Stage::Connect, black_box(&error)));
    });
}

fn encode(c: &mut Criterion) {
    let target: Target = "www.example.com,,tag".parse().unwrap();
    let record =
        Record::of_target(Place { line: 1, number: 1 }, &target, 443, SystemTime::UNIX_EPOCH);
    for (name, make) in FORMATS {
        let mut format = make(&Layout::default());
        let mut line = Vec::new();
        c.bench_function(&format!("encode {name}"), |b| {
            b.iter(|| {
                line.clear();
                format.append(black_box(&record), &mut line).unwrap();
            });
        });
    }
}

fn count(c: &mut Criterion) {
    let target: Target = "www.example.com,,tag".parse().unwrap();
    let place = Place { line: 1, number: 1 };
    let mut record = Record::of_target(place, &target, 443, SystemTime::UNIX_EPOCH);
    record.ok = true;
    record.attempts = Some(1);
    record.ms.connect = Some(0.4);
    record.ms.handshake = Some(3.1);
    record.tls = Some(Tls {
        version: Some("TLSv1.3".to_owned()),
        group: Some("X25519MLKEM768".to_owned()),
        ..Tls::default()
    });
    let records = [record];
    let status = Status::default();
    c.bench_function("count", |b| b.iter(|| status.count(black_box(&records))));
}

criterion_group!(benches, parse, classify, encode, count);
criterion_main!(benches);
