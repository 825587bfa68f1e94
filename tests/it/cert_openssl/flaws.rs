//! Certificates that are malformed or unusual.

use std::fmt;

use tlsweep::cert::Problem::{self, BadEncoding, UnsupportedVersion};

use crate::support::certs::{children, element};
use crate::support::draft::{NULL, SEQUENCE, critical, generalized, oid, plain, utc};

/// What is done to the fields of a certificate before it is signed.
pub(super) struct Flaw {
    what: &'static str,
    pub(super) surgery: fn(&mut Vec<Vec<u8>>),
    pub(super) openssl: OpenSsl,
}

/// What OpenSSL makes of it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum OpenSsl {
    /// It finds it as bad, or as good, as we do.
    Agrees,
    /// It passes over it, and we have this problem.
    Forgives(Problem),
    /// It finds no issuer, and we do not mind.
    Minds,
}

use OpenSsl::{Agrees, Forgives, Minds};

impl fmt::Debug for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

const fn flaw(what: &'static str, surgery: fn(&mut Vec<Vec<u8>>), openssl: OpenSsl) -> Flaw {
    Flaw { what, surgery, openssl }
}

pub(super) static FLAWS: [Flaw; 14] = [
    flaw("a field too many", |fields| fields.push(NULL.to_vec()), Agrees),
    flaw("zeros before the serial number", |fields| fields[1] = vec![2, 2, 0, 1], Agrees),
    flaw("a negative serial number", |fields| fields[1] = vec![2, 1, 0xff], Agrees),
    flaw("fractions of a second", |fields| end(fields, generalized("20900101000000.5Z")), Agrees),
    flaw("no seconds", |fields| end(fields, utc("4901010000Z")), Agrees),
    flaw("something behind the key", |fields| behind_the_key(fields), Agrees),
    flaw("junk for distribution points", |fields| add(fields, plain("2.5.29.31", b"junk")), Agrees),
    flaw("junk for a policy", |fields| add(fields, plain("2.5.29.33", b"junk")), Agrees),
    flaw("an unknown extension", |fields| add(fields, plain("1.2.3", b"junk")), Agrees),
    flaw("a critical one", |fields| add(fields, critical("1.2.3", b"junk")), Agrees),
    flaw(
        "two unknown ones",
        |fields| {
            add(fields, plain("1.2.3", b""));
            add(fields, plain("1.2.3", b""))
        },
        Forgives(BadEncoding),
    ),
    flaw("critical by the number one", |fields| critical_by_one(fields), Forgives(BadEncoding)),
    flaw(
        "version 2",
        |fields| fields[0] = element(0xa0, &[vec![2, 1, 1]]),
        Forgives(UnsupportedVersion),
    ),
    flaw("the key identifier of somebody else", |fields| other_issuer(fields), Minds),
];

fn end(fields: &mut [Vec<u8>], until: Vec<u8>) {
    let from = children(&fields[4]).remove(0);
    fields[4] = element(SEQUENCE, &[from, until]);
}

fn behind_the_key(fields: &mut [Vec<u8>]) {
    let mut parts = children(&fields[6]);
    parts.push(NULL.to_vec());
    fields[6] = element(SEQUENCE, &parts);
}

/// Changes the list of extensions.
fn extensions(fields: &mut [Vec<u8>], change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let last = fields.last_mut().unwrap();
    let mut extensions = children(&children(last)[0]);
    change(&mut extensions);
    *last = element(0xa3, &[element(SEQUENCE, &extensions)]);
}

fn add(fields: &mut [Vec<u8>], extension: Vec<u8>) {
    extensions(fields, |extensions| extensions.push(extension));
}

fn critical_by_one(fields: &mut [Vec<u8>]) {
    add(fields, element(SEQUENCE, &[oid("1.3.6.1.5.5.7.1.1"), vec![1, 1, 1], vec![4, 2, 0x30, 0]]));
}

fn other_issuer(fields: &mut [Vec<u8>]) {
    const AUTHORITY: &str = "2.5.29.35";
    extensions(fields, |extensions| {
        extensions.retain(|extension| children(extension)[0] != oid(AUTHORITY));
        let key = element(0x80, &[b"somebody".into()]);
        extensions.push(plain(AUTHORITY, &element(SEQUENCE, &[key])));
    });
}
