//! The counters of a sweep in the text format of Prometheus (exposition format 0.0.4).

use std::fmt::Display;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::report::latency::Latency;
use crate::report::status::{Moment, Status};
use crate::report::watched::{Seen, Watched};

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

/// The metrics of a sweep; `ended` with its exit code once it is over, and those of each target that is
/// `watched`.
pub fn exposition(
    status: &Status,
    moment: &Moment,
    ended: Option<u8>,
    watched: Option<&Watched>,
) -> String {
    let summary = status.summary();
    let counts = status.counts_of(&summary);
    let mut text = Exposition(String::new());

    let results = [("ok", counts.ok), ("failed", counts.failed)];
    let results = results.map(|(result, n)| ([("result", result)], n));
    text.family("targets_total", COUNTER, "Targets that are done.", results);
    let failures = summary.by.iter();
    let failures =
        failures.map(|((stage, kind), n)| ([("stage", stage.word()), ("kind", kind.word())], *n));
    text.family("failures_total", COUNTER, "Failures by stage and kind.", failures);
    let connections = summary.connections.iter().flat_map(|(version, groups)| {
        let labels = |group| [("version", version.as_str()), ("group", group)];
        groups.iter().map(move |(group, n)| (labels(group), *n))
    });
    let help = "Servers by the version and the key-exchange group that they chose.";
    text.family("connections_total", COUNTER, help, connections);
    let verdicts = summary.verdicts.iter().map(|(verdict, n)| ([("verdict", *verdict)], *n));
    text.family("verdicts_total", COUNTER, "Chains by the verdict on them.", verdicts);
    let help = "Servers that speak only what tlsweep does not.";
    text.family("legacy_servers_total", COUNTER, help, [([], summary.legacy)]);
    let checks = summary.failed_checks.iter().map(|(check, n)| ([("check", check.as_str())], *n));
    text.family("failed_checks_total", COUNTER, "Conditions that targets met.", checks);

    text.latency("connect", "Time to a connection.", &summary.ms.connect);
    text.latency("handshake", "Time of a complete handshake.", &summary.ms.handshake);
    text.latency("target", "Time for a target that was dialled.", &summary.ms.total);

    let process = moment.process;
    text.family("in_flight", GAUGE, "Targets in work.", [([], counts.in_flight)]);
    let help = "Lookups of names that wait or are in flight.";
    text.family("resolver_queue", GAUGE, help, [([], process.resolver_queue)]);
    let help = "Memory that is resident.";
    text.family("resident_memory_bytes", GAUGE, help, process.rss.map(|n| ([], n)));
    text.family("open_fds", GAUGE, "Open descriptors.", process.descriptors.map(|n| ([], n)));
    let start = seconds(moment.time - moment.elapsed);
    text.family("start_time_seconds", GAUGE, "When the sweep began.", [([], start)]);
    let update = [([], seconds(moment.time))];
    text.family("last_update_time_seconds", GAUGE, "When this was written.", update);
    let ended = ended.map(|code| ([], code));
    text.family("exit_code", GAUGE, "Of the sweep, once it is over.", ended);
    if let Some(watched) = watched {
        text.targets(watched);
    }
    text.0
}

struct Exposition(String);

impl Exposition {
    /// A metric and its samples; nothing when there are none.
    fn family<'a, const LABELS: usize>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'a str, &'a str); LABELS], impl Display)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_some() {
            self.head(name, kind, help);
        }
        for (labels, value) in samples {
            self.sample(name, labels, value);
        }
    }

    fn sample<'a>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: impl Display,
    ) {
        let labels =
            labels.into_iter().map(|(label, value)| format!("{label}=\"{}\"", quoted(value)));
        let labels = labels.collect::<Vec<_>>().join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        self.0.push_str(&format!("tlsweep_{name}{labels} {value}\n"));
    }

    fn targets(&mut self, watched: &Watched) {
        type Value = fn(Seen) -> Option<u64>;
        let families: [(&str, &str, Value); 3] = [
            ("target_up", "Whether the handshake completed.", |seen| seen.is_up.map(u64::from)),
            (
                "target_not_after_timestamp_seconds",
                "When the path of the certificate ends.",
                |seen| seen.not_after,
            ),
            ("target_verdict", "The verdict on the chain, which is a label.", |seen| {
                seen.verdict.map(|_| 1)
            }),
        ];
        for (name, help, value) in families {
            let mut is_first = true;
            for (labels, seen) in watched.rows() {
                let Some(value) = value(seen) else { continue };
                if std::mem::take(&mut is_first) {
                    self.head(name, GAUGE, help);
                }
                let verdict = seen.verdict.filter(|_| name == "target_verdict");
                let labels = labels.iter().map(|(label, value)| (*label, value.as_str()));
                self.sample(name, labels.chain(verdict.map(|word| ("verdict", word))), value);
            }
        }
        let left_out = [([], watched.left_out())];
        let help = "Targets beyond the first 10,000, which have no metrics of their own.";
        self.family("targets_left_out", GAUGE, help, left_out);
    }

    fn latency(&mut self, step: &str, help: &str, latency: &Latency) {
        let name = format!("{step}_duration_seconds");
        self.head(&name, "histogram", help);
        for (end, count) in latency.at_most() {
            self.0.push_str(&format!("tlsweep_{name}_bucket{{le=\"{end}\"}} {count}\n"));
        }
        let (count, sum) = (latency.count(), latency.sum() / 1000.0);
        self.0.push_str(&format!(
            "tlsweep_{name}_bucket{{le=\"+Inf\"}} {count}\n\
             tlsweep_{name}_sum {sum}\n\
             tlsweep_{name}_count {count}\n"
        ));
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.0.push_str(&format!("# HELP tlsweep_{name} {help}\n# TYPE tlsweep_{name} {kind}\n"));
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A label's value as it stands between quotation marks.
fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
