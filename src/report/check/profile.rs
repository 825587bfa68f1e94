//! `profile=modern`, `profile=intermediate/ciphers`: the server breaks a rule of a published guideline.
//!
//! The profiles are those of TLSRef, which were Mozilla's "Server Side TLS" until 2026. Each rule is a
//! condition of its own, so that a record names what its server breaks. That a rule cannot be judged is
//! another condition, with `unknown` at the end of its name, and a profile has both: what nobody looked at is
//! no pass. Neither is met by a target that showed nothing of TLS.

use serde::Deserialize;

use super::{Row, Value};
use crate::names::Group;
use crate::report::record::{Presented, Record};
use crate::tls::enumerate::Support;

pub(super) const ROW: Row = Row {
    name: "profile",
    value: Value::Required("modern"),
    help: "the server breaks a rule of TLSRef's `modern` (or `intermediate`) guideline, or a rule could \
           not be judged",
    make: |value| {
        let mut parts = value.split('/');
        let guideline = parts.next().and_then(text).ok_or_else(unknown_profile)?;
        let guideline: Guideline =
            serde_json::from_str(guideline).map_err(|error| error.to_string())?;
        let rules = || format!("its rules are {}", RULES.map(|(name, _)| name).join(", "));
        let name = parts.next().ok_or_else(rules)?;
        let (_, judge) = RULES.into_iter().find(|(rule, _)| *rule == name).ok_or_else(rules)?;
        let wanted = match parts.next() {
            None => Outcome::Broken,
            Some(UNKNOWN) => Outcome::Unknown,
            Some(_) => return Err(format!("behind a rule stands {UNKNOWN} or nothing")),
        };
        Ok(Box::new(move |record| {
            // `error` speaks of servers that showed nothing.
            let showed_something = record.tls.is_some() || record.enumeration.is_some();
            showed_something && judge(&guideline.configuration, record) == wanted
        }))
    },
};

/// Every profile by name: a file each.
const PROFILES: [(&str, &str); 2] = [
    ("modern", include_str!("profiles/modern.json")),
    ("intermediate", include_str!("profiles/intermediate.json")),
];

/// Every rule, by its key in the guideline.
const RULES: [(&str, Rule); 8] = [
    ("tls_versions", tls_versions),
    ("ciphers", ciphers),
    ("tls_curves", tls_curves),
    ("certificate_types", certificate_types),
    ("certificate_curves", certificate_curves),
    ("certificate_signatures", certificate_signatures),
    ("rsa_key_size", rsa_key_size),
    ("maximum_certificate_lifespan", maximum_certificate_lifespan),
];

const UNKNOWN: &str = "unknown";

type Rule = fn(&Configuration, &Record) -> Outcome;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Kept,
    Broken,
    Unknown,
}

/// A profile as its file has it.
#[derive(Debug, Deserialize)]
struct Guideline {
    configuration: Configuration,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    tls_versions: Vec<String>,
    ciphers: Ciphers,
    /// Those of TLS 1.3.
    ciphersuites: Vec<String>,
    tls_curves: Vec<String>,
    certificate_types: Vec<String>,
    certificate_curves: Vec<String>,
    certificate_signatures: Vec<String>,
    rsa_key_size: Option<u32>,
    maximum_certificate_lifespan: i64,
}

#[derive(Debug, Deserialize)]
struct Ciphers {
    iana: Vec<String>,
}

/// The conditions for which a word of `--fail-on` stands: all the rules of a profile, or the word itself.
pub(super) fn expand(word: &str) -> Vec<String> {
    let profile = word.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case(ROW.name));
    match profile.filter(|(_, profile)| text(profile).is_some()) {
        None => vec![word.to_owned()],
        Some(_) => RULES
            .iter()
            .flat_map(|(rule, _)| [format!("{word}/{rule}"), format!("{word}/{rule}/{UNKNOWN}")])
            .collect(),
    }
}

fn text(profile: &str) -> Option<&'static str> {
    PROFILES.iter().find(|(name, _)| *name == profile).map(|(_, text)| *text)
}

fn unknown_profile() -> String {
    format!("the profiles are {}", PROFILES.map(|(name, _)| name).join(" and "))
}

/// What was found of a rule: whether anything breaks it, and otherwise whether everything was seen.
fn outcome(is_broken: bool, is_whole: bool) -> Outcome {
    match (is_broken, is_whole) {
        (true, _) => Outcome::Broken,
        (false, true) => Outcome::Kept,
        (false, false) => Outcome::Unknown,
    }
}

fn has(list: &[String], name: &str) -> bool {
    list.iter().any(|known| known == name)
}

fn tls_versions(rules: &Configuration, record: &Record) -> Outcome {
    let agreed = record.tls.as_ref().and_then(|tls| tls.version.as_deref());
    let is_agreed_broken = agreed.is_some_and(|version| !has(&rules.tls_versions, version));
    let Some(report) = &record.enumeration else {
        return outcome(is_agreed_broken, false);
    };
    let prohibited =
        report.versions.iter().filter(|version| !has(&rules.tls_versions, &version.version.name()));
    let supports: Vec<_> =
        prohibited.map(|version| version.support).chain([report.ssl2.support]).collect();
    let is_broken = is_agreed_broken || supports.contains(&Support::Supported);
    outcome(is_broken, !supports.contains(&Support::Unknown))
}

fn ciphers(rules: &Configuration, record: &Record) -> Outcome {
    let is_broken =
        |suite: &str| !has(&rules.ciphers.iana, suite) && !has(&rules.ciphersuites, suite);
    let agreed = record.tls.as_ref().and_then(|tls| tls.cipher.as_deref());
    let is_agreed_broken = agreed.is_some_and(is_broken);
    let Some(report) = &record.enumeration else {
        return outcome(is_agreed_broken, false);
    };
    let mut suites = report.versions.iter().flat_map(|version| &version.suites);
    let is_broken = is_agreed_broken || suites.any(|accepted| is_broken(&accepted.suite.name()));
    let mut versions = report.versions.iter();
    outcome(is_broken, versions.all(|known| known.complete && known.support != Support::Unknown))
}

fn tls_curves(rules: &Configuration, record: &Record) -> Outcome {
    let allowed: Vec<_> =
        rules.tls_curves.iter().filter_map(|name| Group::of_any_name(name)).collect();
    let agreed = record.tls.as_ref().and_then(|tls| tls.group.as_deref());
    let is_agreed_broken = agreed
        .is_some_and(|name| Group::of_any_name(name).is_none_or(|group| !allowed.contains(&group)));
    let Some(report) = &record.enumeration else {
        return outcome(is_agreed_broken, false);
    };
    let mut groups = report.groups.iter().chain(&report.curves);
    let is_broken = is_agreed_broken || groups.any(|group| !allowed.contains(group));
    outcome(is_broken, report.groups_complete && report.curves_complete)
}

/// Judges every certificate that was shown: `None` when a certificate does not say, or when the server does not
/// have its key.
fn certificates(record: &Record, is_broken: impl Fn(Presented<'_>) -> Option<bool>) -> Outcome {
    let judge = |presented: Presented<'_>| match presented.signature_verified {
        Some(false) => None,
        _ => is_broken(presented),
    };
    let judged: Vec<_> =
        record.presented().filter(|presented| presented.cert.is_some()).map(judge).collect();
    let is_whole = record.enumeration.as_ref().is_some_and(|report| report.certificates_complete);
    let is_known = !judged.is_empty() && judged.iter().all(Option::is_some);
    outcome(judged.contains(&Some(true)), is_whole && is_known)
}

fn certificate_types(rules: &Configuration, record: &Record) -> Outcome {
    certificates(record, |presented| {
        let key = match presented.cert?.key.as_deref()? {
            "EC" => "ecdsa",
            "RSA" => "rsa",
            other => other,
        };
        Some(!has(&rules.certificate_types, key))
    })
}

fn certificate_curves(rules: &Configuration, record: &Record) -> Outcome {
    let allowed: Vec<_> =
        rules.certificate_curves.iter().filter_map(|name| Group::of_any_name(name)).collect();
    certificates(record, |presented| {
        let cert = presented.cert?;
        if cert.key.as_deref()? != "EC" {
            return Some(false);
        }
        let curve = Group::of_any_name(cert.key_curve.as_deref()?);
        Some(curve.is_none_or(|group| !allowed.contains(&group)))
    })
}

fn certificate_signatures(rules: &Configuration, record: &Record) -> Outcome {
    certificates(record, |presented| {
        let algorithm = presented.cert?.signature_algorithm.as_deref()?;
        Some(!has(&rules.certificate_signatures, algorithm))
    })
}

fn rsa_key_size(rules: &Configuration, record: &Record) -> Outcome {
    certificates(record, |presented| {
        let cert = presented.cert?;
        match rules.rsa_key_size {
            Some(least) if cert.key.as_deref()? == "RSA" => Some(cert.key_bits? < least),
            _ => Some(false),
        }
    })
}

fn maximum_certificate_lifespan(rules: &Configuration, record: &Record) -> Outcome {
    certificates(record, |presented| {
        Some(presented.cert?.lifetime_days? > rules.maximum_certificate_lifespan)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Suite;

    #[test]
    fn profiles_are_read_and_their_names_are_known() {
        for (name, text) in PROFILES {
            let guideline: Guideline = serde_json::from_str(text).unwrap();
            let Configuration { tls_curves, certificate_curves, ciphers, ciphersuites, .. } =
                guideline.configuration;
            for curve in tls_curves.iter().chain(&certificate_curves) {
                assert!(Group::of_any_name(curve).is_some(), "{name}: {curve}");
            }
            for suite in ciphers.iana.iter().chain(&ciphersuites) {
                assert!(Suite::all().any(|known| known.name() == *suite), "{name}: {suite}");
            }
            let file: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(file["name"], name);
            assert_eq!(file["version"], "6.0");
            assert_eq!(file["date"], "2026-04-06");
        }
    }

    #[test]
    fn a_profile_stands_for_all_its_rules() {
        let words = expand("profile=modern");
        assert_eq!(words.len(), 2 * RULES.len());
        assert!(words.contains(&"profile=modern/ciphers".to_owned()));
        assert!(words.contains(&"profile=modern/ciphers/unknown".to_owned()));
        for word in ["profile=old", "profile=modern/ciphers", "error"] {
            assert_eq!(expand(word), [word]);
        }
    }
}
