//! The reference: chapters in Markdown, which GitHub shows, the man page contains, and tests hold against the code.

/// One chapter of the reference.
#[derive(Clone, Copy, Debug)]
pub struct Chapter {
    /// Its file in `src/manual`, without the ending.
    pub name: &'static str,
    /// Its text: Markdown with tables.
    pub text: &'static str,
}

macro_rules! chapters {
    ($($name:literal)*) => {
        /// All chapters, in the order in which they are read.
        pub const CHAPTERS: &[Chapter] =
            &[$(Chapter { name: $name, text: include_str!(concat!($name, ".md")) }),*];
    };
}

chapters! {
    "targets"
    "results"
    "verdicts"
    "hello"
    "starttls"
    "enumeration"
    "fingerprints"
    "quic"
    "ech"
    "politeness"
    "files"
    "recipes"
    "machines"
    "watching"
    "deadlines"
    "limits"
    "exit-codes"
    "costs"
}
