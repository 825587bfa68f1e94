//! Any input becomes numbered lines; any line a target or a bad line that is safe to repeat.

#![no_main]

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use tlsweep::failure::{Failure, Kind, Stage};
use tlsweep::feed::input::{BadLine, ECHO_LIMIT, Input, LINE_LIMIT, Line, Place};
use tlsweep::feed::target::{Host, Sni, Target};
use tlsweep::report::record::Record;
use tlsweep_fuzz::text::assert_harmless;

fuzz_target!(|data: &[u8]| {
    let (step, data) = data.split_first().unwrap_or((&0, data));
    let mut input = data.to_vec();
    if step & 0x80 != 0 {
        // Lines about as long as a line may be.
        let filling = LINE_LIMIT - data.len().min(LINE_LIMIT) / 2;
        input.splice(0..0, std::iter::repeat_n(b'x', filling));
    }
    let lines = read(&input, usize::MAX);
    assert_eq!(read(&input, usize::from(step & 0x7f) + 1), lines);
    if !is_encoded(&input) {
        compare(&input, &lines);
    }
    for line in &lines {
        assert!(line.text.as_ref().is_ok_and(|text| !text.contains('\n')) || line.text.is_err());
        check(line);
    }

    let argument = OsString::from_vec(data.to_vec());
    let stdin = || -> Box<dyn Read + Send> { unreachable!("nobody asked for it") };
    let input = Input::open(vec![argument], &[], stdin).unwrap();
    // An argument has a line whatever is in it; a blank one is no target.
    let [line] = &drained(input)[..] else { panic!("an argument is a line") };
    assert_eq!((line.place.line, line.place.number), (1, 1));
    match &line.text {
        Ok(text) if text.is_empty() => assert!(text.parse::<Target>().is_err()),
        _ => check(line),
    }
});

/// Whether the beginning says that this is UTF-16, gzip or zstd, which is decoded first.
fn is_encoded(input: &[u8]) -> bool {
    let marks: [&[u8]; 4] =
        [&[0xff, 0xfe], &[0xfe, 0xff], &[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];
    marks.iter().any(|mark| input.starts_with(mark))
}

/// Reads `input` as stdin, at most `step` bytes at once.
fn read(input: &[u8], step: usize) -> Vec<Line> {
    struct Steps(io::Cursor<Vec<u8>>, usize);
    impl Read for Steps {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.1);
            self.0.read(&mut buffer[..length])
        }
    }
    let stdin =
        || -> Box<dyn Read + Send> { Box::new(Steps(io::Cursor::new(input.to_vec()), step)) };
    let opened = Input::open(Vec::new(), &["-".into()], stdin).unwrap();
    drained(opened)
}

/// What is torn or damaged in an archive is an error behind the lines that were whole.
fn drained(input: Input) -> Vec<Line> {
    let mut lines = Vec::new();
    let taken = input.send_to(|line: u64, text: Result<&str, Box<BadLine>>| {
        let place = Place { line, number: lines.len() as u64 + 1 };
        lines.push(Line { place, text: text.map(str::to_owned) });
        true
    });
    if let Err(error) = taken {
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("data is"), "{error}: {cause}");
    }
    lines
}

/// Does the same by other means: which lines there are, and what is in them.
fn compare(input: &[u8], lines: &[Line]) {
    let mut lines = lines.iter();
    for (number, line) in (1..).zip(input.split(|&byte| byte == b'\n')) {
        let mut kept = line.get(..=LINE_LIMIT).unwrap_or(line);
        while let Some(rest) = kept.strip_prefix(b"\xef\xbb\xbf") {
            kept = rest;
        }
        let is_long = line.len() > LINE_LIMIT;
        let trimmed = kept.trim_ascii();
        if trimmed.is_empty() && !is_long || trimmed.first() == Some(&b'#') {
            continue;
        }
        let found = lines.next().unwrap();
        assert_eq!(found.place.line, number);
        match str::from_utf8(trimmed) {
            Ok(text) if !is_long => assert_eq!(found.text.as_deref(), Ok(text)),
            _ => assert!(found.text.is_err()),
        }
    }
    assert_eq!(lines.next(), None);
}

fn check(line: &Line) {
    let failure = Failure::new(Stage::Input, Kind::InvalidTarget, "no target");
    let record = Record::of_line(line, failure, SystemTime::UNIX_EPOCH);
    assert!(record.target.chars().count() <= ECHO_LIMIT);
    assert_harmless(&record.target);
    let text = match &line.text {
        Ok(text) => text,
        Err(bad) => {
            assert_eq!(bad.echo, record.target);
            assert!(bad.reason.len() < 100);
            return assert_harmless(&bad.reason);
        }
    };
    assert!(!text.is_empty() && text.len() <= LINE_LIMIT);
    match text.parse::<Target>() {
        Ok(target) => check_target(&target, text),
        Err(error) => {
            assert!(!error.0.is_empty() && error.0.len() < 200);
            assert_harmless(&error.0);
        }
    }
}

fn check_target(target: &Target, line: &str) {
    assert_eq!(Some(target.text.as_str()), line.trim().split(',').next().map(str::trim));
    assert_ne!(target.port, Some(0));
    assert_ne!(target.tag.as_deref(), Some(""));
    check_host(&target.host);
    if let Sni::Name(name) = &target.sni {
        check_host(&Host::Name(name.clone()));
    }

    let plain = match (&target.host, target.port) {
        (Host::Address(address), Some(port)) => {
            std::net::SocketAddr::new(*address, port).to_string()
        }
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_string(),
    };
    let again: Target = plain.parse().unwrap();
    assert_eq!((&again.host, again.port), (&target.host, target.port), "{plain}");

    let identity = target.server_name(&Sni::Unsaid);
    assert_eq!(
        identity.sent.is_some(),
        match target.sni {
            Sni::Name(_) => true,
            Sni::Nothing => false,
            Sni::Unsaid => matches!(target.host, Host::Name(_)),
        }
    );
}

fn check_host(host: &Host) {
    let text = host.to_string();
    assert!(!text.is_empty() && text.len() <= 253 && text.is_ascii(), "{text:?}");
    assert_harmless(&text);
    if let Host::Name(_) = host {
        let labels: Vec<_> = text.split('.').collect();
        assert!(labels.iter().all(|l| (1..=63).contains(&l.len())), "{text:?}");
        assert_eq!(text, text.to_ascii_lowercase());
    }
}
