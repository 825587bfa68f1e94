//! `--metrics-targets`: metrics of each target.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::cmd::Tlsweep;
use crate::support::exposition::Exposition;
use crate::support::peer::Spec;
use crate::support::pki::CA;

#[test]
fn each_target_says_whether_it_is_up_when_it_ends_and_its_verdict() {
    let dir = TempDir::new().unwrap();
    let (good, refusing) = (Spec::good().start(), Spec::refusing().start());
    let roots = CA.write_to(&dir);
    let metrics = dir.path().join("metrics.prom");
    let (target, closed) = (good.target(), refusing.target());
    let odd = r#"no "target" \ at all"#;
    let outcome = Tlsweep::json()
        .args([Path::new("--roots"), &roots, Path::new("--metrics"), &metrics])
        .args(["--metrics-targets", "-c", "1"])
        .sweep([target.clone(), format!("{target},,a \"tag\""), closed.clone(), odd.to_owned()]);
    outcome.assert_complete();
    let metrics = Exposition::parse(&fs::read_to_string(&metrics).unwrap());
    let end = outcome.records[0]["trust"]["not_after"].as_str().unwrap();
    let end = humantime::parse_rfc3339(end).unwrap().duration_since(std::time::UNIX_EPOCH);
    let of =
        |name: &str, labels: &str| metrics.value(&format!("tlsweep_target_{name}{{{labels}}}"));
    let good = format!("target={target:?}");
    assert_eq!(of("up", &good), 1.0);
    assert_eq!(of("up", &format!("target={target:?},tag={:?}", "a \"tag\"")), 1.0);
    assert_eq!(of("up", &format!("target={closed:?}")), 0.0);
    assert_eq!(of("not_after_timestamp_seconds", &good), end.unwrap().as_secs_f64());
    let verdict = outcome.records[0]["trust"]["verdict"].as_str().unwrap();
    assert_eq!(of("verdict", &format!("{good},verdict={verdict:?}")), 1.0);
    assert_eq!(metrics.count("tlsweep_target_up"), 4);
    assert_eq!(metrics.count("tlsweep_target_verdict"), 2);
    assert_eq!(metrics.value("tlsweep_targets_left_out"), 0.0);
}

#[test]
fn there_are_none_unless_asked_for_and_of_ten_thousand_at_most() {
    let dir = TempDir::new().unwrap();
    let metrics = dir.path().join("metrics.prom");
    let lines: String = (0..10_002).map(|n| format!("no-port-{n}:0\n")).collect();
    let plain = Tlsweep::json().args([Path::new("--metrics"), &metrics]);
    plain.run(lines.as_str()).assert_complete();
    let none = Exposition::parse(&fs::read_to_string(&metrics).unwrap());
    assert_eq!(none.count("tlsweep_target_up"), 0);
    let asked = Tlsweep::json().args([Path::new("--metrics"), &metrics]);
    let outcome = asked.args(["--metrics-targets"]).run(lines.as_str());
    assert_eq!(outcome.assert_complete().records.len(), 10_002);
    let all = Exposition::parse(&fs::read_to_string(&metrics).unwrap());
    assert_eq!(all.count("tlsweep_target_up"), 10_000);
    assert_eq!(all.value("tlsweep_targets_left_out"), 2.0);
}
