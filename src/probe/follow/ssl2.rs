//! `--enumerate`: whether a server still speaks SSL 2.0, and with which ciphers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::enumeration::ENUMERATE;
use super::questions::Questions;
use super::{Facts, Follow, Row};
use crate::probe::{Attempt, Bytes, Speech};
use crate::tls::enumerate::Support;
use crate::tls::ssl2;

pub(super) const ROW: Row = Row {
    topic: "SSL 2.0",
    flag: &ENUMERATE,
    make: |_start| Box::new(Asking::default()),
    without_tls: |_facts| {},
};

/// SSL 2.0, which is prohibited (RFC 6176).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ssl2 {
    /// Whether the server speaks it.
    pub support: Support,
    /// Its kinds of ciphers by the names of the draft, such as `SSL_CK_RC4_128_WITH_MD5`, in the server's
    /// order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<String>,
}

#[derive(Default)]
struct Asking {
    questions: Questions,
    /// Whether the refusal was a close.
    by_close: bool,
    found: Option<Ssl2>,
}

impl Follow for Asking {
    fn next(&mut self) -> Option<Speech> {
        if self.found.is_some() || !self.questions.may_begin() {
            return None;
        }
        self.questions.begin();
        Some(Speech::Raw(Box::new(Bytes {
            what: "a hello of SSL 2.0",
            question: ssl2::hello(),
            limit: ssl2::LONGEST_RECORD,
            is_whole: ssl2::is_whole,
            is_choice: |answer| ssl2::ciphers(answer).is_some(),
        })))
    }

    fn settle(&mut self, _number: usize, attempt: &Attempt) {
        self.questions.end();
        if let Some(ciphers) = ssl2::ciphers(&attempt.first_read) {
            let suites = ciphers.into_iter().map(ssl2::cipher_kind).collect();
            self.found = Some(Ssl2 { support: Support::Supported, suites });
        } else if attempt.is_refused()
            || attempt.result.is_ok()
                && attempt.alert().is_none()
                && ssl2::is_whole(&attempt.first_read)
        {
            // Whoever answers in another protocol does not speak this one.
            self.found = Some(Ssl2 { support: Support::NotSupported, suites: Vec::new() });
            self.by_close = attempt.is_refusal;
        } else {
            self.questions.unanswered();
        }
    }

    fn doubt_closes(&mut self) {
        if self.by_close {
            self.found = None;
        }
    }

    fn into_facts(self: Box<Self>, facts: &mut Facts) {
        facts.ssl2 = self.found;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::names::content_type::ALERT;
    use crate::probe::{Dial, Patience};

    #[test]
    fn an_overloaded_server_that_says_goodbye_has_not_refused() {
        const INTERNAL_ERROR: u8 = 80;
        const PROTOCOL_VERSION: u8 = 70;
        for (alert, support) in
            [(INTERNAL_ERROR, None), (PROTOCOL_VERSION, Some(Support::NotSupported))]
        {
            let mut asking = Asking::default();
            let dial = Dial {
                address: (Ipv4Addr::LOCALHOST, 443).into(),
                speech: asking.next().unwrap(),
                patience: Patience::Whole,
            };
            let mut attempt = Attempt::new(&dial, Ok(()));
            attempt.first_read = vec![ALERT, 3, 3, 0, 2, 2, alert, ALERT, 3, 3, 0, 2, 1, 0];
            asking.settle(0, &attempt);
            assert_eq!(asking.found.map(|found| found.support), support, "{alert}");
        }
    }
}
