//! A block of lines for people about each target.

use std::io;

use crate::cert::{Certificate, CrlStatus, CrliteStatus, Ocsp};
use crate::escape::escaped;
use crate::failure::Failure;
use crate::plural::{count, days_left};
use crate::probe::{Ech, Https, Quic, SignatureSchemes};
use crate::report::changed::Changed;
use crate::report::enumeration::Report;
use crate::report::output::advice::{CAUSES, PROBLEMS};
use crate::report::output::text::{Colours, explained, names};
use crate::report::output::{Format, Layout};
use crate::report::record::Record;
use crate::report::width::{NARROWEST, wrapped};
use crate::tls::enumerate::{Order, Support, Version};

/// Where what is said of something begins.
const INDENT: usize = 16;
/// Where nothing tells how wide the terminal is.
const WIDTH: usize = 100;
/// On a narrower terminal a label has a line of its own.
const NARROW: usize = 40;
/// What is said of something is then indented by this.
const NARROW_INDENT: usize = 4;

struct Detail {
    width: Option<fn() -> usize>,
    colours: Colours,
}

pub(super) fn format(layout: &Layout) -> Box<dyn Format> {
    Box::new(Detail { width: layout.width, colours: Colours(layout.coloured) })
}

impl Format for Detail {
    fn begin(&self, lines: &mut Vec<u8>) {
        if lines.starts_with(b"\n") {
            lines.remove(0);
        }
    }

    fn append(&self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        out.push(b'\n');
        let width = self.width.map_or(WIDTH, |columns| columns()).max(NARROWEST);
        let mut block = Block { width, colours: self.colours, text: String::new() };
        block.title(record);
        if let Some(failure) = &record.error {
            block.failure(failure, record);
        }
        block.verdict(record);
        if let Some(changed) = record.changed.as_deref() {
            block.changed(changed);
        }
        if let Some(met) = record.failed_checks.as_ref().filter(|met| !met.is_empty()) {
            block.row("fails", &met.join(" "));
        }
        block.session(record);
        if let Some(cert) = record.cert.as_deref() {
            block.certificate(cert);
        }
        block.chain(record);
        if let Some(report) = record.enumeration.as_deref() {
            block.enumeration(report);
        }
        let ja3s = record.tls.as_ref().and_then(|tls| tls.ja3s.as_ref());
        block.optional_row("JA3S", ja3s);
        block.optional_row("JARM", record.jarm.as_ref());
        block.optional_row("QUIC", record.quic.as_ref().map(Quic::line).as_ref());
        block.optional_row("HTTPS record", record.https.as_deref().map(Https::line).as_ref());
        block.optional_row("ECH", record.ech.as_deref().map(Ech::line).as_ref());
        block.times(record);
        out.extend_from_slice(block.text.as_bytes());
        Ok(())
    }
}

/// The lines about a target.
struct Block {
    width: usize,
    colours: Colours,
    text: String,
}

impl Block {
    fn title(&mut self, record: &Record) {
        let mut title = escaped(&record.target);
        if let Some(address) = record.addr.filter(|it| !record.target.contains(&it.to_string())) {
            title.push_str(&format!(" at {address}"));
        }
        if let Some(name) = record.sni.as_ref().filter(|name| !record.target.contains(*name)) {
            title.push_str(&format!(" as {}", escaped(name)));
        }
        for line in wrapped(&title, self.width) {
            self.text.push_str(&(self.colours.bold(&line) + "\n"));
        }
    }

    /// Something and what it is, on as many lines as it takes.
    fn row(&mut self, label: &str, value: &str) {
        self.coloured_row(label, value, None);
    }

    fn coloured_row(&mut self, label: &str, value: &str, colour: Option<&'static str>) {
        let label = &escaped(label);
        let is_narrow = self.width < NARROW;
        let indent = if is_narrow { NARROW_INDENT } else { INDENT };
        if is_narrow && !label.is_empty() {
            self.text.push_str(&format!("  {label}\n"));
        }
        for (place, line) in wrapped(&escaped(value), self.width - indent).iter().enumerate() {
            let line = self.colours.with(line, colour);
            let label = if place == 0 && !is_narrow { label } else { "" };
            let label_width = indent - 4;
            self.text.push_str(&format!("  {label:<label_width$}  {line}\n"));
        }
    }

    fn optional_row(&mut self, label: &str, value: Option<&String>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.row(label, value);
        }
    }

    fn failure(&mut self, failure: &Failure, record: &Record) {
        let result = record.result();
        self.coloured_row("failed", &result, self.colours.of("result", &result));
        self.row("reason", &failure.detail);
        let port = record.port.map(|port| format!(" to port {port}")).unwrap_or_default();
        let dials = match record.attempts.unwrap_or_default() {
            0 => "nothing was dialled".to_owned(),
            dials => count(dials, "connection") + &port,
        };
        self.row("tried", &format!("{dials}, {:.0} ms", record.ms.total));
        self.optional_row("seen", failure.evidence.as_ref());
        let cause = CAUSES.iter().find(|(word, _)| *word == result);
        if let Some((_, cause)) = cause {
            self.row("likely", cause);
        }
    }

    fn verdict(&mut self, record: &Record) {
        let Some(trust) = record.trust.as_deref() else { return };
        let verdict = trust.verdict.as_str();
        self.coloured_row("verdict", verdict, self.colours.of("verdict", verdict));
        for problem in &trust.problems {
            let word = problem.as_str();
            let fact = explained(*problem, record);
            match PROBLEMS.iter().find(|(known, ..)| *known == word) {
                Some((_, meaning, remedy)) => {
                    let fact = fact.strip_prefix(word).unwrap_or_default();
                    self.row("problem", &format!("{meaning}{fact}"));
                    self.row("", &format!("to do: {remedy}"));
                }
                None => self.row("problem", &fact),
            }
        }
    }

    /// What differs from the baseline.
    fn changed(&mut self, changed: &Changed) {
        if changed.new == Some(true) {
            self.row("changed", "the baseline does not have this target");
        }
        for (place, (field, earlier)) in changed.fields().enumerate() {
            let label = if place == 0 { "changed" } else { "" };
            self.row(label, &format!("{}, which was {earlier}", field.name()));
        }
    }

    fn session(&mut self, record: &Record) {
        if let Some(starttls) = record.starttls.as_deref() {
            let banner = starttls.banner.iter().map(|banner| format!(", which greets: {banner}"));
            self.row("STARTTLS", &(starttls.protocol.clone() + &banner.collect::<String>()));
        }
        let Some(tls) = record.tls.as_deref() else { return };
        let version = tls.version.iter().chain(&tls.cipher).cloned().collect::<Vec<_>>();
        if !version.is_empty() {
            self.row("protocol", &version.join(", "));
        }
        let posture = tls.key_exchange.map(|posture| posture.as_str().replace('_', "-").into());
        let group = tls.group.iter().cloned().chain(posture).collect::<Vec<_>>();
        self.optional_row("key exchange", Some(&group.join(", ")));
        self.optional_row("ALPN", tls.alpn.as_ref());
        match (&tls.signature, &tls.signature_unchecked) {
            (Some(scheme), Some(why)) => {
                self.row("signature", &format!("{scheme}, unchecked: {why}"))
            }
            (Some(scheme), None) => self.row("signature", scheme),
            _ => {}
        }
        if tls.pq_intolerant == Some(true) {
            self.row("intolerant", "it answers only a hello without post-quantum groups");
        }
        if tls.client_cert_requested == Some(true) {
            self.row("client", "it asked for a certificate of the client");
        }
        // Most servers have nothing to say to a client that says nothing.
        if let Some(read) =
            record.read.as_ref().filter(|read| read.bytes > 0 || read.alert.is_some())
        {
            self.row("afterwards", &read.words());
        }
    }

    fn certificate(&mut self, cert: &Certificate) {
        self.optional_row("subject", cert.subject.as_ref());
        self.optional_row("issuer", cert.issuer.as_ref());
        self.optional_row("names", names(cert, 8).as_ref());
        if let (Some(from), Some(to)) = (&cert.not_before, &cert.not_after) {
            let left = cert.days_left.map(|days| days.to_string()).unwrap_or_default();
            let days = cert.days_left.map(|days| format!(", {}", days_left(days)));
            let value = format!("{} to {}{}", date(from), date(to), days.unwrap_or_default());
            self.coloured_row("valid", &value, self.colours.of("days", &left));
        }
        if let Some(key) = cert.key_and_size() {
            let signed =
                cert.signature_algorithm.as_ref().map(|name| format!(", signed with {name}"));
            self.row("key", &(key + &signed.unwrap_or_default()));
        }
        self.optional_row("serial", cert.serial.as_ref());
        self.optional_row("SHA-256", cert.sha256.as_ref());
        self.optional_row("pin", cert.spki_sha256.as_ref());
    }

    fn chain(&mut self, record: &Record) {
        if let Some(chain) = record.chain.as_deref() {
            self.row("chain", &count(chain.length as u64, "certificate"));
            for cert in chain.certificates.iter().flatten().skip(1) {
                let name = cert.subject.as_deref().unwrap_or("a certificate that cannot be read");
                let end = cert.not_after.as_deref().map(|time| format!("until {}, ", date(time)));
                self.row("", &format!("{}{name}", end.unwrap_or_default()));
            }
        }
        self.optional_row("root", record.trust.as_ref().and_then(|trust| trust.anchor.as_ref()));
        // The leaf alone has its own row.
        let leaf_end = record.cert.as_ref().and_then(|cert| cert.not_after.as_ref());
        if let Some(trust) = record.trust.as_deref()
            && let (Some(end), Some(days)) = (&trust.not_after, trust.days_left)
            && leaf_end != Some(end)
        {
            let value = format!("ends {}, {}", date(end), days_left(days));
            self.coloured_row("path", &value, self.colours.of("days", &days.to_string()));
        }
        let revocation = record.revocation.as_ref();
        let lists = revocation.and_then(|it| it.crl).map(CrlStatus::as_str);
        let filters = revocation.and_then(|it| it.crlite).map(CrliteStatus::as_str);
        for (status, source) in [(lists, "--crl"), (filters, "--crlite")] {
            let said = status.map(|word| format!("{source}: {}", word.replace('_', " ")));
            self.optional_row("revocation", said.as_ref());
        }
        if let Some(staple) = record.ocsp.as_deref() {
            self.staple(staple);
        }
    }

    fn staple(&mut self, staple: &Ocsp) {
        let status = serde_json::to_value(staple.status);
        let status = status.ok().and_then(|word| word.as_str().map(str::to_owned));
        let end = staple.next_update.as_deref().map(|time| format!(", until {time}"));
        self.row("staple", &format!("{}{}", status.unwrap_or_default(), end.unwrap_or_default()));
    }

    fn times(&mut self, record: &Record) {
        let ms = &record.ms;
        let steps = [
            ("name", ms.resolve),
            ("connect", ms.connect),
            ("STARTTLS", ms.starttls),
            ("handshake", ms.handshake),
        ];
        let steps = steps.into_iter().filter_map(|(step, took)| Some((step, took?)));
        let mut words: Vec<_> = steps.map(|(step, took)| format!("{step} {took:.1}")).collect();
        if record.error.is_none() || !words.is_empty() {
            words.push(format!("in all {:.1} ms", ms.total));
            self.row("times", &words.join(", "));
        }
        if let (Some(sent), Some(received)) = (record.sent, record.received) {
            self.row("bytes", &format!("{sent} sent, {received} received"));
        }
    }

    fn enumeration(&mut self, report: &Report) {
        for version in report.versions.iter().rev() {
            self.version(version);
        }
        self.row("SSLv2", answer(report.ssl2.support));
        for suite in &report.ssl2.suites {
            self.coloured_row("", &format!("{suite}  weak"), self.colours.of("verdict", "weak"));
        }
        for (label, list, is_whole) in [
            ("groups", &report.groups, report.groups_complete),
            ("curves", &report.curves, report.curves_complete),
        ] {
            let names: Vec<_> = list.iter().map(|group| group.name().into_owned()).collect();
            self.list(label, &names, is_whole);
        }
        for (place, shown) in report.certificates.iter().enumerate() {
            let verdict = shown.trust.as_ref().map(|trust| trust.verdict.as_str());
            let colour = self.colours.of("verdict", verdict.unwrap_or("bad_signature"));
            let label = if place == 0 { "certificates" } else { "" };
            self.coloured_row(label, &shown.line(), colour);
        }
        if !report.certificates_complete {
            let label = if report.certificates.is_empty() { "certificates" } else { "" };
            self.row(label, "perhaps more: it fell silent, or speaks no suite that tlsweep does");
        }
        if let Some(schemes) = &report.signature_schemes {
            self.signature_schemes(schemes);
        }
        if let Some(alpn) = &report.alpn {
            self.list("ALPN choices", &alpn.protocols, alpn.complete);
        }
        if let Some(resumption) = &report.resumption {
            self.answers(
                "resumption",
                &[
                    ("TLSv1.3 ticket", resumption.tls13_psk),
                    ("TLSv1.3 early data", resumption.early_data),
                    ("TLSv1.2 ticket", resumption.tls12_ticket),
                    ("TLSv1.2 session id", resumption.tls12_id),
                ],
            );
        }
        self.answers(
            "features",
            &[
                ("extended master secret", report.extended_master_secret),
                ("fallback SCSV", report.fallback_scsv),
                ("secure renegotiation", report.secure_renegotiation),
                ("renegotiation by the client", report.client_renegotiation),
                ("compression", report.compression),
            ],
        );
    }

    fn signature_schemes(&mut self, schemes: &SignatureSchemes) {
        let versions = [
            ("TLSv1.3", &schemes.tls13, schemes.tls13_complete),
            ("TLSv1.2", &schemes.tls12, schemes.tls12_complete),
        ];
        let versions = versions.into_iter().filter(|(_, list, _)| !list.is_empty());
        for (place, (version, list, is_whole)) in versions.enumerate() {
            let label = if place == 0 { "signatures" } else { "" };
            self.row(label, &format!("{version}: {}", all(list, is_whole)));
        }
    }

    /// What was asked under a label, each with its answer on a line of its own.
    fn answers(&mut self, label: &str, answers: &[(&str, Support)]) {
        let longest = answers.iter().map(|(question, _)| question.len()).max().unwrap_or_default();
        for (place, (question, support)) in answers.iter().enumerate() {
            let label = if place == 0 { label } else { "" };
            self.row(label, &format!("{question:<longest$}  {}", answer(*support)));
        }
    }

    /// A row with the answers that were found one by one; no row when there are none.
    fn list(&mut self, label: &str, list: &[String], is_whole: bool) {
        if !list.is_empty() {
            self.row(label, &all(list, is_whole));
        }
    }

    fn version(&mut self, version: &Version) {
        let name = version.version.name();
        if version.support != Support::Supported {
            return self.row(&name, answer(version.support));
        }
        let order = match version.order {
            Some(Order::Server) => ", in the server's order",
            Some(Order::Client) => ", in the client's order",
            None => "",
        };
        let suites = count(version.suites.len() as u64, "suite");
        self.row(&name, &format!("{suites}{order}"));
        for accepted in &version.suites {
            let mut text = accepted.suite.to_string();
            text.extend(accepted.group.iter().map(|group| format!(" {group}")));
            text.extend(accepted.dh_bits.iter().map(|bits| format!(" DH {bits}")));
            text.extend(accepted.rsa_bits.iter().map(|bits| format!(" RSA {bits}")));
            let is_weak =
                accepted.suite.is_weak() || accepted.dh_bits.is_some_and(|bits| bits < 2048);
            let colour = if is_weak { self.colours.of("verdict", "weak") } else { None };
            self.coloured_row("", &(text + if is_weak { "  weak" } else { "" }), colour);
        }
    }
}

/// The answers that were found one by one, and whether there may be more.
fn all(list: &[String], is_whole: bool) -> String {
    list.join(", ") + if is_whole { "" } else { " and perhaps more: it fell silent" }
}

fn answer(support: Support) -> &'static str {
    match support {
        Support::Supported => "yes",
        Support::NotSupported => "no",
        Support::Unknown => "unknown",
    }
}

fn date(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}
