//! The limits of every wait.

use std::time::Duration;

use clap::Args;
use clap::parser::ValueSource;
use tlsweep::config::LIMITS;
use tlsweep::deadline::Limits;

use super::values::Span;

/// How long the demo waits for its silent server.
const DEMO_HANDSHAKE: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
#[command(next_help_heading = "Deadlines")]
pub(crate) struct Deadlines {
    /// Longest time from a name to its addresses
    #[arg(long, value_name = "TIME", default_value_t = Span(LIMITS.resolve))]
    resolve_timeout: Span,

    /// Longest time for one address to accept the connection
    #[arg(long, value_name = "TIME", default_value_t = Span(LIMITS.connect))]
    connect_timeout: Span,

    /// Longest time for the plaintext dialogue before TLS, in total
    #[arg(long, value_name = "TIME", default_value_t = Span(LIMITS.starttls))]
    starttls_timeout: Span,

    /// Longest time for the handshake, in total
    #[arg(long, value_name = "TIME", default_value_t = Span(LIMITS.handshake))]
    handshake_timeout: Span,

    /// Longest time for what the peer sends after the handshake, in total
    #[arg(long, value_name = "TIME", default_value_t = Span(LIMITS.read))]
    read_timeout: Span,

    /// Longest time for a target, all attempts and steps
    #[arg(long, value_name = "TIME", default_value_t = Span(LIMITS.total))]
    timeout: Span,
}

impl Deadlines {
    /// The demo's silent server should not make it slow.
    pub(super) fn shorten_for_demo(&mut self, matches: &clap::ArgMatches) {
        if matches.value_source("handshake_timeout") == Some(ValueSource::DefaultValue) {
            self.handshake_timeout = Span(DEMO_HANDSHAKE);
        }
    }

    /// The limits of the waits.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            resolve: self.resolve_timeout.0,
            connect: self.connect_timeout.0,
            starttls: self.starttls_timeout.0,
            handshake: self.handshake_timeout.0,
            read: self.read_timeout.0,
            total: self.timeout.0,
        }
    }
}
