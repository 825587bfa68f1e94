//! A mass TLS handshake scanner: one line in, one line out.
//!
//! The `tlsweep` command is a thin shell around this library, which never touches the command
//! line, stdout, stderr, the environment or the wall clock.
//!
//! ```text
//!  file / stdin / arguments
//!    │ feed::input      numbered lines; a bad line becomes a record, not a crash
//!    ▼
//!  mpsc (bounded) ──► sweep: one permit of the semaphore per task
//!                       │ feed::target     line ──► Target
//!                       │ dial::resolve    Target ──► addresses
//!                       │ dial::connect    addresses ──► TcpStream, watched by dial::tap
//!                       │ tls::handshake   TcpStream ──► Session; accepts any certificate
//!                       │ tls::drain       Session ──► ReadEnd; goodbye first, then to the end
//!                       │ cert             chain ──► facts, verdict; after the clock has stopped
//!                       ▼
//!                     report::record       any step may end in failure::Failure instead
//!    ┌──────────────────┘
//!    ▼ report::output::queue (bounded): the task encodes its record, then releases its permit
//!  report::output       text, json, csv; one thread owns stdout
//! ```
//!
//! Modules stand in the order in which data passes through them. A module imports only modules
//! above it.

#[cfg(not(target_os = "linux"))]
compile_error!("tlsweep supports Linux alone: it uses options of its sockets and its /proc");

mod bytes;
pub mod escape;
pub mod limits;
pub mod names;
pub mod plural;
pub mod signature;

pub mod manual;

pub mod certificate_count;
mod greeting;

pub mod failure;

pub mod deadline;

pub mod feed;

pub mod pace;

pub mod quic;

pub mod dial;

pub mod tls;

pub mod cert;

pub mod config;

pub mod probe;

pub mod report;

pub mod sweep;

pub mod scan;
