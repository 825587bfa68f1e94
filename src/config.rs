//! The validated settings of a sweep. Every default is a named constant.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

#[doc(inline)]
pub use crate::cert::{CrlError, Crlite, CrliteError, Crls, Wanted};
#[doc(inline)]
pub use crate::deadline::Limits;
#[doc(inline)]
pub use crate::dial::resolve::Families;
#[doc(inline)]
pub use crate::dial::starttls::{PROTOCOLS, Protocol};
#[doc(inline)]
pub use crate::feed::exclude::{Exclusions, InvalidEntry, SPECIAL};
#[doc(inline)]
pub use crate::feed::target::Sni;
#[doc(inline)]
pub use crate::pace::limiter::DialLimits;
#[doc(inline)]
pub use crate::tls::drain::Goodbye;
#[doc(inline)]
pub use crate::tls::handshake::{Alpn, Offer};
#[doc(inline)]
pub use crate::tls::schemes::Versions;

/// The port of targets that name none.
pub const PORT: u16 = 443;
/// Targets that are dialled at once.
pub const CONCURRENCY: NonZero<usize> = NonZero::new(1000).unwrap();
/// Lookups in flight, apart from the dials.
pub const LOOKUPS: NonZero<usize> = NonZero::new(512).unwrap();
/// The limits of the waits.
pub const LIMITS: Limits = Limits {
    resolve: Duration::from_secs(5),
    connect: Duration::from_secs(5),
    starttls: Duration::from_secs(10),
    handshake: Duration::from_secs(10),
    read: Duration::from_secs(2),
    total: Duration::from_secs(30),
};
/// The longest limit that can be set.
#[doc(hidden)]
pub const LIMIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest that a sweep can be told to last: a Julian year, which is what `1year` means.
#[doc(hidden)]
pub const MAX_TIME_MAX: Duration = Duration::from_secs(31_557_600);
/// Bytes read off the wire after the handshake.
pub const READ_LIMIT: u64 = 64 * 1024;
/// How long dials in flight may take to finish once the sweep is asked to stop.
pub const GRACE: Duration = Duration::from_secs(5);
/// Connections to one server at once, for the follow-ups.
pub const PER_HOST: NonZero<usize> = NonZero::new(4).unwrap();
/// Lines that wait between the input and the tasks.
#[doc(hidden)]
pub const LINE_QUEUE: usize = 4096;
/// Dials at once that it takes to give another core something to do.
#[doc(hidden)]
pub const DIALS_OF_A_LOOP: usize = 32;

/// What a sweep is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// Targets that are dialled at once.
    pub concurrency: NonZero<usize>,
    /// Lookups in flight.
    pub lookups: NonZero<usize>,
    /// The limits of the waits.
    pub limits: Limits,
    /// The port of targets that name none.
    pub port: u16,
    /// What must not be dialled.
    pub exclude: Exclusions,
    /// The server name of lines that name none.
    pub sni: Sni,
    /// What the hello offers.
    pub offer: Offer,
    /// Which targets greet in plain text.
    pub starttls: Starttls,
    /// Whether to ask servers that rustls cannot speak to what they speak.
    pub legacy: bool,
    /// The flags of the follow-ups that are wanted.
    pub follow_ups: Vec<&'static Flag>,
    /// Connections to one server at once, for the follow-ups.
    pub per_host: NonZero<usize>,
    /// Connections to silent peers that may stay open while others to the same peers are made. Where there
    /// are no more, the silent one is closed first.
    pub standbys: usize,
    /// Revocation lists to look into.
    pub crls: Arc<Crls>,
    /// Filters of revocations to ask.
    pub crlite: Arc<Crlite>,
    /// What to work out of a chain.
    pub wanted: Wanted,
    /// When to say `close_notify`.
    pub goodbye: Goodbye,
    /// Bytes read off the wire after the handshake.
    pub read_limit: u64,
    /// The address to dial from.
    pub source: Option<IpAddr>,
    /// How often, and how many at once, networks and hosts may be dialled.
    pub dial_limits: DialLimits,
    /// Tries after the first, for failures that may be gone a moment later.
    pub retries: u32,
    /// Whether every address of a name has a record of its own.
    pub all_addresses: bool,
    /// The name servers; none: the system's.
    pub resolvers: Vec<SocketAddr>,
    /// The addresses that are wanted.
    pub families: Families,
    /// How long what is in flight may take to finish once the sweep is asked to stop.
    pub grace: Duration,
}

impl Default for Config {
    /// The defaults of the command line.
    fn default() -> Self {
        Self {
            concurrency: CONCURRENCY,
            lookups: LOOKUPS,
            limits: LIMITS,
            port: PORT,
            exclude: Exclusions::default(),
            sni: Sni::default(),
            offer: Offer::default(),
            starttls: Starttls::Never,
            legacy: true,
            follow_ups: Vec::new(),
            per_host: PER_HOST,
            standbys: CONCURRENCY.get(),
            crls: Arc::default(),
            crlite: Arc::default(),
            wanted: Wanted::default(),
            goodbye: Goodbye::First,
            read_limit: READ_LIMIT,
            source: None,
            dial_limits: DialLimits::default(),
            retries: 0,
            all_addresses: false,
            resolvers: Vec::new(),
            families: Families::default(),
            grace: GRACE,
        }
    }
}

/// A flag of the command line that asks for facts that need connections of their own. Each stands in the
/// row of its provider, and the command line takes it from there.
#[derive(Debug, Eq, PartialEq)]
pub struct Flag {
    /// The flag without its dashes.
    pub name: &'static str,
    /// What it does, for `--help`.
    pub help: &'static str,
    /// Whether it uses one socket at a time for each target.
    pub is_one_by_one: bool,
}

/// Which targets greet in plain text before TLS, but for those whose URL says so.
#[derive(Clone, Copy, Debug, Default)]
pub enum Starttls {
    /// None.
    #[default]
    Never,
    /// Those at a port where a protocol of the table is expected.
    ByPort,
    /// All of them, in this protocol.
    Always(&'static Protocol),
}
