//! `--version`, and what the program was built from: the build script, `src/build.rs`, notes it.

use std::fmt::Write as _;

use tlsweep::cert::Roots;
use tlsweep::report::build::{Build, RootsInUse};

/// The version of the program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A version of webpki-roots, and the day on which it was published (`pubtime` in the index of
/// crates.io).
const ROOTS_PUBLISHED: (&str, &str) = ("1.0.10", "2026-10-19");

/// What the program was built from.
pub(crate) fn build() -> Build {
    let webpki_roots = option_env!("TLSWEEP_WEBPKI_ROOTS");
    Build {
        commit: option_env!("TLSWEEP_COMMIT"),
        target: option_env!("TLSWEEP_TARGET"),
        rustls: option_env!("TLSWEEP_RUSTLS"),
        aws_lc_rs: option_env!("TLSWEEP_AWS_LC_RS"),
        aws_lc_sys: option_env!("TLSWEEP_AWS_LC_SYS"),
        webpki_roots,
        roots_published: published(webpki_roots),
    }
}

/// The day on which this version of webpki-roots was published. It is known only for the version in
/// [`ROOTS_PUBLISHED`].
fn published(version: Option<&str>) -> Option<&'static str> {
    let (known, day) = ROOTS_PUBLISHED;
    (version == Some(known)).then_some(day)
}

/// `tlsweep 0.1.0`
pub(crate) fn line() -> String {
    format!("tlsweep {VERSION}")
}

/// The version, and below it a line for each fact of the build, as `name: value`.
pub(crate) fn in_full() -> String {
    let mut text = line();
    let Build { commit, target, rustls, aws_lc_rs, aws_lc_sys, webpki_roots, roots_published } =
        build();
    let facts = [
        ("commit", commit),
        ("target", target),
        ("rustls", rustls),
        ("aws-lc-rs", aws_lc_rs),
        ("aws-lc-sys", aws_lc_sys),
        ("webpki-roots", webpki_roots),
        ("roots published", roots_published),
    ];
    let roots = RootsInUse::of(&Roots::built_in());
    let counted = [("roots", roots.count.to_string()), ("roots sha256", roots.sha256)];
    let facts = facts.map(|(name, fact)| (name, fact.unwrap_or("not known").to_owned()));
    for (name, fact) in facts.into_iter().chain(counted) {
        // Writing to a String cannot fail.
        let _written = write!(text, "\n{name}: {fact}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_of_the_roots_is_that_of_the_version_in_use() {
        assert_eq!(
            build().webpki_roots,
            Some(ROOTS_PUBLISHED.0),
            "look up the day of this version"
        );
        assert_eq!(build().roots_published, Some(ROOTS_PUBLISHED.1));
        for other in [None, Some("1.0.1"), Some("1.0.100"), Some("")] {
            assert_eq!(published(other), None, "{other:?}");
        }
    }
}
