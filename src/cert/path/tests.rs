use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use super::*;

const DAY: u64 = 86_400;

/// The problems of a leaf on the day of its issue, when it is valid for so many seconds from then. A
/// built-in root ended in 2019, because its dates do not count; any other ends in 2090.
fn problems(issued: (i32, u8, u8), seconds: u64, is_built_in: bool) -> Vec<Problem> {
    let key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.not_before = date_time_ymd(2010, 1, 1);
    root.not_after =
        if is_built_in { date_time_ymd(2019, 1, 1) } else { date_time_ymd(2090, 1, 1) };
    let der = root.self_signed(&key).unwrap().der().clone();
    let mut leaf = CertificateParams::new(["example.com".to_owned()]).unwrap();
    leaf.not_before = date_time_ymd(issued.0, issued.1, issued.2);
    leaf.not_after = leaf.not_before + Duration::from_secs(seconds);
    let now = leaf.not_before.unix_timestamp();
    let issuer = Issuer::from_params(&root, &key);
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone();

    let mut roots = Roots::default();
    match is_built_in {
        true => roots.add_built_in(&der),
        false => roots.add(&der).unwrap(),
    }
    let (crls, crlite) = Default::default();
    let sources = Sources { crls: &crls, crlite: &crlite };
    Path::find(&[leaf], (&roots, sources), &Algorithms::new(1), now).problems.to_vec()
}

#[test]
fn the_longest_lifetime_is_that_of_the_day_of_issue() {
    for (issued, days) in [
        ((2020, 9, 1), 398),
        ((2026, 3, 14), 398),
        ((2026, 3, 15), 200),
        ((2027, 3, 14), 200),
        ((2027, 3, 15), 100),
        ((2029, 3, 14), 100),
        ((2029, 3, 15), 47),
    ] {
        assert_eq!(problems(issued, days * DAY, true), [], "{issued:?}");
        let longer = problems(issued, days * DAY + 1, true);
        assert_eq!(longer, [Problem::ValidityTooLong], "{issued:?}");
        assert_eq!(
            problems(issued, 2_000 * DAY, false),
            [],
            "{issued:?} under a root of one's own"
        );
    }
    assert_eq!(problems((2020, 8, 31), 825 * DAY, true), []);
}
