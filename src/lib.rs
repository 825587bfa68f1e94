//! A mass TLS handshake scanner: one line in, one line out.
//!
//! The `tlsweep` command is a thin shell around this library. The library itself never touches the
//! command line, stdout, stderr, the environment or the wall clock.
//!
//! # A sweep of three targets
//!
//! A [`Line`] goes in, and its [`Record`]s come out: one, or one for each address where
//! [`Config::all_addresses`](config::Config::all_addresses) is set. A target that cannot be reached has
//! a record too, and so has a line that is no target. Every wait has a deadline, so every line comes
//! to its end.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::SystemTime;
//!
//! use tlsweep::config::Config;
//! use tlsweep::{Clock, Line, Permits, Prober, Review, Roots, Scan};
//! use tokio::task::JoinSet;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
//! # let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! # let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
//! # let server = rustls::ServerConfig::builder_with_provider(provider)
//! #     .with_safe_default_protocol_versions()?
//! #     .with_no_client_auth()
//! #     .with_single_cert(vec![made.cert.der().clone()], key)?;
//! # let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let good = listener.local_addr()?.to_string();
//! # tokio::spawn(async move {
//! #     let (stream, _) = listener.accept().await.unwrap();
//! #     let mut session = acceptor.accept(stream).await.unwrap();
//! #     tokio::io::AsyncWriteExt::shutdown(&mut session).await.unwrap();
//! # });
//! # let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
//! # let targets = [good.as_str(), closed.as_str(), "no target at all"];
//! # let mut results = Vec::new();
//! let config = Config::default();
//! let permits = Permits::new(config.concurrency);
//! let prober = Prober::new(config, Roots::built_in(), Clock::start(SystemTime::now()))?;
//! let scan = Arc::new(Scan::new(prober, Review::default()));
//!
//! let mut sweep = JoinSet::new();
//! for (number, target) in (1..).zip(targets) {
//!     // Waits while as many targets as `config.concurrency` are in flight.
//!     let mut permit = permits.acquire().await;
//!     let (scan, line) = (Arc::clone(&scan), Line::new(number, target));
//!     sweep.spawn(async move { scan.records(&line, &mut permit).await });
//! }
//! while let Some(records) = sweep.join_next().await {
//!     for record in records? {
//!         let verdict = record.trust.as_ref().map_or("-", |trust| trust.verdict.as_str());
//!         println!("{}  {}  {verdict}", record.target, record.result());
//! #       results.push((record.number, record.result(), verdict.to_owned()));
//!     }
//! }
//! # results.sort();
//! # let expected = [(1_u64, "ok", "self_signed"), (2, "connect/refused", "-"), (3, "input/invalid_target", "-")];
//! # assert_eq!(results, expected.map(|(number, result, verdict)| (number, result.to_owned(), verdict.to_owned())));
//! # Ok(())
//! # }
//! ```
//!
//! With a good server that has a certificate of its own making, a closed port and a line that is no
//! target, this prints:
//!
//! ```text
//! 127.0.0.1:4433  ok  self_signed
//! 127.0.0.1:4434  connect/refused  -
//! no target at all  input/invalid_target  -
//! ```
//!
//! A record implements `Serialize` and `Deserialize`: as JSON it is the line that the command writes,
//! and what the command wrote can be read back. A sweep needs a tokio runtime with I/O and time; one
//! thread is enough.
//!
//! # What is stable
//!
//! Versions follow [semantic versioning](https://semver.org). The interface is what this
//! documentation shows. Items that it does not show are for the command, the benches and the tests
//! alone, and change without notice. While the version is 0.x, a minor version may change the
//! interface as well, and its changelog says what.
//!
//! Enums and structs of a record are `#[non_exhaustive]` where words or fields will be added: a `match`
//! needs an arm for the words of tomorrow. The structs of [`config`] are not, so that they can be
//! written as literals. End them with `..Config::default()` and the like, because a new setting is a
//! minor version. Types of rustls 0.23 and rustls-pki-types 1 are part of the interface, and so is
//! tokio 1 as the runtime.
//!
//! # How it is built
//!
//! ```text
//!  file / stdin / arguments
//!    │ feed::input      lines; one that is too long becomes a record, not a crash
//!    │ feed::selection  ranges ──► lines with numbers; shards, order, what is already done
//!    ▼
//!  feed::queue (bounded) ──► sweep: one task and one permit for each line
//!                       │ probe            the work on a line; probe::parse asks feed::target
//!                       │  ├ addresses     dial::resolve: a name ──► addresses
//!                       │  ├ plan          which connection to make next, from those made so far
//!                       │  ├ connection    makes one connection:
//!                       │  │   dial::connect    address ──► TcpStream, watched by dial::tap
//!                       │  │   dial::starttls   plain text until both agree to TLS
//!                       │  │   tls::handshake   TcpStream ──► Session; accepts any certificate
//!                       │  │   tls::drain       Session ──► ReadEnd; goodbye first, then to the end
//!                       │  ├ judge         cert: chain ──► facts, verdict; after the clock has stopped
//!                       │  └ follow        facts that need more connections, or a datagram (dial::udp)
//!                       ▼
//!                     report::record       any step may end in failure::Failure instead
//!    ┌──────────────────┘
//!    ▼ report::output::queue (bounded): the task encodes its record, then releases its permit
//!  report::output       text, detail, json, csv; one thread owns stdout
//! ```
//!
//! Modules stand in the order in which data passes through them. A module imports only modules
//! above it.

#[cfg(not(target_os = "linux"))]
compile_error!("tlsweep supports Linux alone: it uses options of its sockets and its /proc");

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "tlsweep supports x86-64 and aarch64 alone: graviola is made for no other processor"
);

// Modules that are not part of the interface are public for the command, the benches and the tests.
// `RUSTDOCFLAGS="--cfg internals" cargo doc` documents them as well.
mod bytes;
#[cfg_attr(not(internals), doc(hidden))]
pub mod escape;
#[cfg_attr(not(internals), doc(hidden))]
pub mod limits;
pub mod names;
#[cfg_attr(not(internals), doc(hidden))]
pub mod plural;
#[cfg_attr(not(internals), doc(hidden))]
pub mod signature;

#[cfg_attr(not(internals), doc(hidden))]
pub mod manual;

mod certificate_count;
mod greeting;

pub mod failure;

#[cfg_attr(not(internals), doc(hidden))]
pub mod deadline;

#[cfg_attr(not(internals), doc(hidden))]
pub mod feed;

#[cfg_attr(not(internals), doc(hidden))]
pub mod pace;

#[cfg_attr(not(internals), doc(hidden))]
pub mod quic;

#[cfg_attr(not(internals), doc(hidden))]
pub mod dial;

#[cfg_attr(not(internals), doc(hidden))]
pub mod tls;

#[cfg_attr(not(internals), doc(hidden))]
pub mod cert;

pub mod config;

#[cfg_attr(not(internals), doc(hidden))]
pub mod probe;

#[cfg_attr(not(internals), doc(hidden))]
pub mod report;

#[cfg_attr(not(internals), doc(hidden))]
pub mod sweep;

#[cfg_attr(not(internals), doc(hidden))]
pub mod scan;

// What an embedder needs of the modules above.
#[doc(inline)]
pub use cert::{Roots, RootsError};
#[doc(inline)]
pub use deadline::Clock;
#[doc(inline)]
pub use feed::input::{BadLine, Line, Place};
#[doc(inline)]
pub use pace::permit::{Permit, Permits};
#[doc(inline)]
pub use probe::{Prober, follow_up_flags};
#[doc(inline)]
pub use report::check::{Checks, InvalidCheck};
#[doc(inline)]
pub use report::record::Record;
#[doc(inline)]
pub use report::review::Review;
#[doc(inline)]
pub use scan::Scan;

/// The types of the fields of a [`Record`].
pub mod record {
    #[doc(inline)]
    pub use crate::cert::{
        Certificate, CrlStatus, CrliteStatus, Problem, Revocation, RevokedBy, Trust, Trusted,
        Verdict,
    };
    #[doc(inline)]
    pub use crate::probe::{
        Ech, EchConfigOf, EchRetryConfig, EchStatus, Https, HttpsRecord, HttpsStatus, Quic,
        QuicStatus,
    };
    #[doc(inline)]
    pub use crate::report::changed::{Changed, ChangedCert, ChangedTls, ChangedTrust};
    #[doc(inline)]
    pub use crate::report::record::{Chain, Milliseconds, Starttls, Tls, VERSION};
    #[doc(inline)]
    pub use crate::report::timestamp::Timestamp;
    #[doc(inline)]
    pub use crate::tls::drain::{End, ReadEnd};
    #[doc(inline)]
    pub use crate::tls::posture::Posture;

    /// What `enumeration` holds.
    pub mod enumeration {
        #[doc(inline)]
        pub use crate::probe::{Protocols, Resumption, SignatureSchemes, Ssl2};
        #[doc(inline)]
        pub use crate::report::enumeration::{Report, Shown};
        #[doc(inline)]
        pub use crate::tls::enumerate::{Accepted, Order, Support, Version};
    }

    /// What `ocsp` holds.
    pub mod ocsp {
        #[doc(inline)]
        pub use crate::cert::{Ocsp, Signature, Status};
    }
}
