//! `--enumerate`: every signature scheme that a server signs handshakes with.
//!
//! Up to TLS 1.2 the signature is in plain text, so every scheme that IANA names can be offered. In
//! TLS 1.3 it is encrypted; there, only the schemes that rustls can take part in are offered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::enumeration::ENUMERATE;
use super::questions::Questions;
use super::{Facts, Follow, Row};
use crate::names::{self, Version};
use crate::probe::{Attempt, Speech};
use crate::tls::enumerate::Support;
use crate::tls::handshake::{Hello, Schemes, Tailored, Versions};
use crate::tls::hello::NotOffered;
use crate::tls::legacy::{ClientHello, SIGNATURE_SCHEMES};
use crate::tls::schemes::{SchemeSet, Signer, scheme_of_number};

pub(super) const ROW: Row = Row {
    topic: "signature schemes",
    flag: &ENUMERATE,
    make: |start| {
        let tls13 = SchemeSet::usable(Versions::Tls13).iter().map(u16::from).collect();
        Box::new(Asking {
            hello: start.hello,
            lists: [List::new(SIGNATURE_SCHEMES.to_vec()), List::new(tls13)],
            asked: Vec::new(),
        })
    },
    without_tls: |_facts| {},
};

/// The signature schemes that a server signs handshakes with.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SignatureSchemes {
    /// In TLS 1.2, by their IANA names, in the order in which they were chosen.
    pub tls12: Vec<String>,
    /// Whether that list is whole; else no clear answer came.
    pub tls12_complete: bool,
    /// In TLS 1.3.
    pub tls13: Vec<String>,
    /// Whether that list is whole; else no clear answer came.
    pub tls13_complete: bool,
}

/// The place of TLS 1.2 among the lists.
const TLS12: usize = 0;

/// The signature schemes of one version.
struct List {
    /// What is still to be offered.
    open: Vec<u16>,
    questions: Questions,
    /// Whether the refusal that ended the asking was a close.
    by_close: bool,
    /// By number, in the order in which they were chosen.
    found: Vec<u16>,
    /// Whether the server refused all the others. Otherwise the asking broke off.
    is_complete: bool,
}

struct Asking {
    hello: Hello,
    /// The lists of TLS 1.2 and of TLS 1.3.
    lists: [List; 2],
    /// For each speech, by its number: the place of the list that it asked about.
    asked: Vec<usize>,
}

impl Follow for Asking {
    fn next(&mut self) -> Option<Speech> {
        let mut lists = self.lists.iter_mut().enumerate();
        let (place, list) = lists.find(|(_, list)| list.may_be_asked())?;
        list.questions.begin();
        self.asked.push(place);
        Some(match place {
            TLS12 => Speech::Plain(Box::new(ClientHello::signed_with(list.open.clone()))),
            _ => {
                let schemes = list.open.iter().filter_map(|number| scheme_of_number(*number));
                let schemes = Schemes::Only(schemes.collect());
                let hello = Hello { schemes, ..self.hello };
                Speech::Tailored(Box::new(Tailored::new(hello, Versions::Tls13)))
            }
        })
    }

    fn settle(&mut self, number: usize, attempt: &Attempt) {
        let list = self.asked.get(number).and_then(|place| self.lists.get_mut(*place));
        if let Some(list) = list {
            list.questions.end();
            list.settle(attempt);
        }
    }

    fn doubt_closes(&mut self) {
        for list in &mut self.lists {
            list.is_complete &= !list.by_close;
        }
    }

    fn into_facts(self: Box<Self>, facts: &mut Facts) {
        let [tls12, tls13] = &self.lists;
        // A version that the server does not speak has no signatures.
        let has_none = |version| facts.support_of(version) == Support::NotSupported;
        facts.signature_schemes = Some(Box::new(SignatureSchemes {
            tls12: tls12.names(),
            tls12_complete: tls12.is_complete || has_none(Version::TLS_1_2),
            tls13: tls13.names(),
            tls13_complete: tls13.is_complete || has_none(Version::TLS_1_3),
        }));
    }
}

impl List {
    fn new(open: Vec<u16>) -> Self {
        Self {
            open,
            questions: Questions::default(),
            by_close: false,
            found: Vec::new(),
            is_complete: false,
        }
    }

    fn names(&self) -> Vec<String> {
        self.found.iter().map(|number| names::signature_scheme(*number).into_owned()).collect()
    }

    fn may_be_asked(&self) -> bool {
        !self.is_complete && self.questions.may_begin()
    }

    fn settle(&mut self, attempt: &Attempt) {
        if let Some(scheme) = attempt.seen.signature_scheme.filter(|it| self.open.contains(it)) {
            self.questions.answered();
            self.open.retain(|open| *open != scheme);
            self.found.push(scheme);
            self.is_complete = self.open.is_empty();
            return;
        }
        // It may sign with the same scheme whatever it is offered.
        let not_offered = attempt.answer.as_ref().and_then(|answer| answer.not_offered);
        let signs_the_same = matches!(not_offered, Some(NotOffered::Scheme(scheme))
            if self.found.contains(&scheme));
        // A server that has signed nothing yet may refuse something else, such as every suite.
        let is_refused = attempt.is_refused() && !self.found.is_empty();
        if !signs_the_same && !is_refused {
            self.questions.unanswered();
            return;
        }
        // It may have chosen its certificate before it looked at the schemes, and another certificate would
        // do. So it is asked once more without those that it has shown.
        self.questions.answered();
        let shown = self.found.iter().map(|number| Signer::of_scheme(*number));
        let shown: Vec<_> = shown.collect();
        let asked = self.open.len();
        self.open.retain(|open| !shown.contains(&Signer::of_scheme(*open)));
        self.is_complete = self.open.len() == asked || self.open.is_empty();
        self.by_close |= attempt.is_refusal;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Dial, Patience};
    use crate::tls::hello::Answer;

    /// What comes of a server that signs with this scheme whatever it is offered.
    #[test]
    fn a_server_that_signs_with_one_scheme_is_not_asked_for_ever() {
        let scheme = 0x0201;
        let mut list = List::new(SIGNATURE_SCHEMES.to_vec());
        let mut made = 0;
        while list.may_be_asked() && made < 100 {
            let dial = Dial {
                address: (std::net::Ipv4Addr::LOCALHOST, 443).into(),
                speech: Speech::Plain(Box::new(ClientHello::signed_with(list.open.clone()))),
                patience: Patience::Whole,
            };
            let mut attempt = Attempt::new(&dial, Ok(()));
            if list.open.contains(&scheme) {
                attempt.seen.signature_scheme = Some(scheme);
            } else {
                let not_offered = Some(NotOffered::Scheme(scheme));
                attempt.answer = Some(Box::new(Answer { not_offered, ..Answer::default() }));
            }
            list.questions.begin();
            list.questions.end();
            list.settle(&attempt);
            made += 1;
        }
        assert_eq!((made, list.found), (3, vec![scheme]));
        assert!(list.is_complete);
    }
}
