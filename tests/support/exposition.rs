//! A strict reader of the text format of Prometheus.
//!
//! Stricter than the format: a HELP and a TYPE before every metric, all samples of a metric
//! together, no sample twice, names and units as Prometheus recommends them.

use std::collections::{BTreeMap, BTreeSet};

/// Samples by their names and labels, as they stand there: `name{label="value"}`.
pub(crate) struct Exposition(BTreeMap<String, f64>);

/// Its name, labels and value.
type Sample = (String, Vec<(String, String)>, f64);

#[derive(Default)]
struct Family {
    name: String,
    kind: String,
    samples: Vec<Sample>,
}

impl Exposition {
    pub(crate) fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "a torn last line: {text}");
        let mut families: Vec<Family> = Vec::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a help text");
                assert!(!help.is_empty(), "{line}");
                families.push(Family { name: name.to_owned(), ..Family::default() });
                continue;
            }
            let family = families.last_mut().expect("a HELP before everything else");
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type");
                assert!(name == family.name && family.kind.is_empty(), "{line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                kind.clone_into(&mut family.kind);
            } else {
                assert!(!family.kind.is_empty(), "no TYPE: {line}");
                family.samples.push(sample(line));
            }
        }
        let names: BTreeSet<_> = families.iter().map(|family| &family.name).collect();
        assert_eq!(names.len(), families.len(), "a metric stands twice");
        families.iter().for_each(Family::check);
        let mut all = BTreeMap::new();
        for (name, labels, value) in families.into_iter().flat_map(|family| family.samples) {
            let labels: Vec<_> = labels.iter().map(|(name, v)| format!("{name}={v:?}")).collect();
            let key = match labels.as_slice() {
                [] => name,
                labels => format!("{name}{{{}}}", labels.join(",")),
            };
            assert_eq!(all.insert(key.clone(), value), None, "{key} stands twice");
        }
        Self(all)
    }

    /// The value of a sample that must be there.
    pub(crate) fn value(&self, key: &str) -> f64 {
        *self.0.get(key).unwrap_or_else(|| panic!("{key} is not in {:#?}", self.0.keys()))
    }

    /// The value of a sample, if it is there.
    pub(crate) fn get(&self, key: &str) -> Option<f64> {
        self.0.get(key).copied()
    }

    /// The sum of all samples of this name.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.with(name).map(|(_, value)| value).sum()
    }

    /// How many samples have this name.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.with(name).count()
    }

    fn with(&self, name: &str) -> impl Iterator<Item = (&String, f64)> {
        let is_it = move |key: &str| key.split('{').next() == Some(name);
        self.0.iter().filter(move |(key, _)| is_it(key)).map(|(key, value)| (key, *value))
    }
}

impl Family {
    fn check(&self) {
        let Self { name, kind, samples } = self;
        assert!(is_name(name) && name.starts_with("tlsweep_"), "{name}");
        assert!(!samples.is_empty(), "{name} has no samples");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        if kind != "histogram" {
            assert!(samples.iter().all(|(sample, ..)| sample == name), "{samples:?} under {name}");
            assert!(samples.iter().all(|(.., value)| *value >= 0.0), "{name} is negative");
            return;
        }
        assert!(name.ends_with("_seconds"), "{name} has no unit");
        let (buckets, [sum, count]) = samples.split_last_chunk().expect("a sum and a count");
        assert_eq!((&sum.0, &count.0), (&format!("{name}_sum"), &format!("{name}_count")));
        let mut last = (f64::NEG_INFINITY, 0.0);
        for (bucket, labels, value) in buckets {
            assert_eq!(*bucket, format!("{name}_bucket"));
            let [(le, end)] = labels.as_slice() else { panic!("{labels:?}") };
            let end = end.parse::<f64>().unwrap();
            assert!(le == "le" && end > last.0 && *value >= last.1, "{name}: {buckets:?}");
            last = (end, *value);
        }
        assert_eq!(last, (f64::INFINITY, count.2), "{name}");
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = match series.split_once('{') {
        None => (series, Vec::new()),
        Some((name, labels)) => {
            (name, pairs(labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"))))
        }
    };
    assert!(is_name(name), "{line}");
    (name.to_owned(), labels, value.parse().unwrap_or_else(|error| panic!("{error}: {line}")))
}

/// `name="value",…`, where a backslash may stand before itself, a quote or an n.
fn pairs(mut text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    loop {
        let (name, rest) = text.split_once("=\"").expect("a label");
        assert!(is_name(name) && !name.contains(':'), "{name}");
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next().expect("a closing quote") {
                (end, '"') => break end,
                (_, '\\') => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                    other => panic!("{other:?} is escaped in {rest}"),
                },
                (_, character) => value.push(character),
            }
        };
        pairs.push((name.to_owned(), value));
        match rest[end + 1..].strip_prefix(',') {
            Some(next) => text = next,
            None => {
                assert!(rest[end + 1..].is_empty(), "{rest}");
                return pairs;
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_in = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
    name.chars().all(is_in) && name.starts_with(|c: char| !c.is_ascii_digit())
}
