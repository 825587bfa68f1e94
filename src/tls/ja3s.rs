//! JA3S, the fingerprint of a ServerHello.
//!
//! Defined by the program of its authors (<https://github.com/salesforce/ja3>, BSD-3-Clause): the
//! MD5 of `version,suite,extensions` in decimal, the extensions in their order and separated by
//! hyphens. The version is the field of that name, which TLS 1.3 leaves at TLS 1.2. Unlike JA3, it
//! counts GREASE like everything else.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};

use crate::tls::hello::ServerHello;

/// The JA3S of a ServerHello.
pub fn of_hello(hello: &ServerHello) -> [u8; 16] {
    Md5::digest(text(hello)).into()
}

fn text(hello: &ServerHello) -> String {
    let mut text = format!("{},{},", hello.legacy_version.0, hello.suite.0);
    for (place, extension) in hello.extensions.iter().enumerate() {
        let hyphen = if place > 0 { "-" } else { "" };
        // Into memory, so it does not fail.
        _ = write!(text, "{hyphen}{extension}");
    }
    text
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::names::{Suite, Version};

    /// The digests are what `printf TEXT | md5sum` prints.
    #[test]
    fn digests_are_those_of_the_texts() {
        for (version, suite, extensions, expected, digest) in [
            (771, 4865, &[51, 43][..], "771,4865,51-43", "eb1d94daa7e0344597e756a1fb6e7054"),
            (771, 4866, &[43, 51], "771,4866,43-51", "15af977ce25de452b96affa2addb1036"),
            (769, 47, &[], "769,47,", "18e962e106761869a61045bed0e81c2c"),
        ] {
            let hello = ServerHello {
                extensions: extensions.to_vec(),
                ..ServerHello::made_up(Version(version), Suite(suite))
            };
            assert_eq!(text(&hello), expected);
            assert_eq!(HEXLOWER.encode(&of_hello(&hello)), digest, "{expected}");
        }
    }
}
