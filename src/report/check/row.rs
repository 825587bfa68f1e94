//! What a kind of condition is.

use crate::report::record::Record;

/// One kind of condition.
#[derive(Debug)]
pub struct Row {
    /// The word, before the `=` where there is one.
    pub name: &'static str,
    /// What comes after the `=`.
    pub value: Value,
    /// When it is met, in a few words.
    pub help: &'static str,
    /// Makes the condition from what comes after the `=`.
    pub(super) make: fn(&str) -> Result<Condition, String>,
}

/// What comes after the `=` of a condition, as an example.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// Nothing.
    None,
    /// It may be left out, and so may the `=`.
    Optional(&'static str),
    /// It must be there.
    Required(&'static str),
}

impl Value {
    pub(super) fn takes(self, value: Option<&str>) -> bool {
        match self {
            Self::None => value.is_none(),
            Self::Optional(_) => value.is_none_or(|value| !value.is_empty()),
            Self::Required(_) => value.is_some_and(|value| !value.is_empty()),
        }
    }
}

impl Row {
    /// How the condition is written.
    pub fn usage(&self) -> String {
        match self.value {
            Value::None => self.name.to_owned(),
            Value::Optional(value) => format!("{}[={value}]", self.name),
            Value::Required(value) => format!("{}={value}", self.name),
        }
    }
}

/// Whether a record meets a condition.
pub(super) type Condition = Box<dyn Fn(&Record) -> bool + Send + Sync>;

/// Whether it was observed who the peer says it is: by a certificate, or by a session without one.
pub(super) fn shows_a_peer(record: &Record) -> bool {
    let is_legacy = record.tls.as_ref().is_some_and(|tls| tls.legacy == Some(true));
    record.cert.is_some() || record.chain.is_some() || is_legacy
}
