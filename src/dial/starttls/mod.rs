//! Plaintext dialogues that end in TLS.
//!
//! Nothing here does I/O. A [`Conversation`] is given what the peer sent, in pieces of any size,
//! and says what to do next. Each protocol is one file and one row of a table. The command line's
//! parser, the help and the choice by port come from that table.

mod conversation;
mod dialogue;
mod lines;
mod protocol;

mod ftp;
mod imap;
mod irc;
mod ldap;
mod lmtp;
mod mssql;
mod mysql;
mod nntp;
mod pop3;
mod postgres;
mod rdp;
mod sieve;
mod smtp;
mod xmpp;

#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;

pub use crate::limits::{BANNER_LIMIT, PLAINTEXT_LIMIT};
pub use conversation::Conversation;
pub use dialogue::Step;
use dialogue::{Dialogue, broken, rejected};
pub use protocol::Protocol;

/// Every protocol that can turn to TLS.
pub const PROTOCOLS: &[Protocol] = &[
    ftp::PROTOCOL,
    imap::PROTOCOL,
    irc::PROTOCOL,
    ldap::PROTOCOL,
    lmtp::PROTOCOL,
    mssql::PROTOCOL,
    mysql::PROTOCOL,
    nntp::PROTOCOL,
    pop3::PROTOCOL,
    postgres::PROTOCOL,
    rdp::PROTOCOL,
    sieve::PROTOCOL,
    smtp::PROTOCOL,
    xmpp::CLIENT,
    xmpp::SERVER,
];

/// The name by which we greet: it is a name, as servers ask for, and resolves nowhere.
const OUR_NAME: &str = "tlsweep.invalid";
