//! An OCSP staple made from fields that the fuzzer chooses, and who can have signed it.

use crate::family::{Member, Paths, member};
use crate::forge::{answer, element, response, tag};
use crate::keys::Keys;
use crate::oracle::{basic, holds};
use crate::script::Script;

/// A response, and what it was made from.
pub struct Stapled {
    pub der: Vec<u8>,
    delegates: Vec<Member>,
    says_revoked: bool,
}

/// The most bytes of a staple: what the handshake has room for beside a chain.
const STAPLE_LIMIT: usize = 36_000;

impl Stapled {
    /// The staple that the script describes for this leaf.
    pub fn new(script: &mut Script<'_>, keys: &Keys, leaf: &Member) -> Self {
        let mut says_revoked = false;
        let mut answers = Vec::new();
        for _ in 0..script.byte() % 20 {
            let kind = script.byte();
            let serial = if kind & 1 == 0 { &leaf.serial } else { &vec![2] };
            let issuer = if kind & 2 == 0 { leaf.issuer() } else { leaf.subject() };
            let key = keys.of(script.below(256));
            let since = element(tag::GENERALIZED_TIME, &[b"20260101000000Z"]);
            let (status, is_revoked) = match kind & 0x0c {
                0x04 => (element(tag::context(1), &[&since]), true),
                0x08 => (vec![0x82, 0], false),
                _ => (vec![0x80, 0], false),
            };
            says_revoked |= is_revoked && *serial == leaf.serial;
            let times = if kind & 0x70 == 0x70 { 400 } else { 1 };
            answers.extend(vec![answer(serial, &issuer, key, &status); times]);
        }
        let delegates = (0..script.byte() % 6)
            .map(|_| member(script, keys, 0, 4_000))
            .take_while(|delegate| delegate.der.len() < STAPLE_LIMIT / 6)
            .collect::<Vec<_>>();
        let (name, key) = match delegates.get(script.below(8)) {
            Some(delegate) => (delegate.subject(), delegate.key(keys)),
            None => (leaf.issuer(), keys.of(script.below(256))),
        };
        let room = STAPLE_LIMIT / 2 / answers.first().map_or(1, Vec::len);
        answers.truncate(room);
        let certificates = delegates.iter().map(|delegate| delegate.der.clone());
        let mut der = response(&name, key, &answers, &certificates.collect::<Vec<_>>());
        if script.byte() % 8 == 7 {
            script.mutate(&mut der);
        }
        Self { der, delegates, says_revoked }
    }

    /// Whether somebody signed it who may: a key that signed the leaf, or one that such a key gave the
    /// right to.
    pub fn is_genuine(&self, paths: &Paths<'_>) -> bool {
        let Some(basic) = basic(&self.der) else { return false };
        let issuers = paths.roots.iter().chain(paths.chain.iter().skip(1));
        let mut keys = issuers.map(|issuer| issuer.key(paths.keys));
        keys.any(|issuer| {
            let authorised =
                |delegate: &&Member| delegate.may_answer(paths.now) && holds(&delegate.der, issuer);
            let mut delegates = self.delegates.iter().filter(authorised);
            holds(&paths.chain[0].der, issuer)
                && (holds(basic, issuer)
                    || delegates.any(|delegate| holds(basic, delegate.key(paths.keys))))
        })
    }

    pub fn says_revoked(&self) -> bool {
        self.says_revoked
    }
}
