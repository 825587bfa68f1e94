//! Runs handshakes with tokio-rustls. The verifier accepts every certificate and records what it saw.

mod config;
mod interruption;
mod offered;
mod silence;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::Poll;

use rustls::client::{EchConfig, Resumption, Tls12Resumption};
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};
use rustls::{ClientConfig, ClientConnection, SignatureScheme, SupportedCipherSuite};
use rustls_pki_types::{IpAddr, Ipv4Addr, ServerName};
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{Connect, TlsConnector};

pub use crate::tls::agreed::Agreed;
pub use crate::tls::schemes::Versions;
use interruption::Interruption;
pub use silence::Silence;

use config::{client_config, config_with, ech_config};

use crate::deadline::{Deadline, Wait};
use crate::dial::starttls::PROTOCOLS;
use crate::dial::tap::Tap;
use crate::failure::Failure;
use crate::feed::target::{ServerIdentity, scheme_alpns};
use crate::names::{Group, Suite, Version};
use crate::tls::agreed::number_of;
use crate::tls::ech::Configurations;
use crate::tls::key_share::{REUSED, X25519, X25519MLKEM768};
use crate::tls::posture::is_post_quantum;
use crate::tls::recorder::{Recorded, Recorder, Seen};
use crate::tls::renegotiation;
use crate::tls::schemes::{SchemeSet, is_taken_by_rustls, known_schemes, scheme_of_number};
use crate::tls::sessions::Sessions;
use crate::tls::suites::adapted;

/// The cipher suites that are offered, in the order that browsers use.
static SUITES: LazyLock<[SupportedCipherSuite; 9]> = LazyLock::new(|| OFFERED.map(adapted));

const OFFERED: [SupportedCipherSuite; 9] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// The groups that are offered unless told otherwise, in this order.
static GROUPS: [&dyn SupportedKxGroup; 4] =
    [X25519MLKEM768, X25519, kx_group::SECP256R1, kx_group::SECP384R1];

/// Groups that are offered when asked for.
static MORE_GROUPS: [&dyn SupportedKxGroup; 3] =
    [kx_group::SECP256R1MLKEM768, kx_group::MLKEM768, kx_group::MLKEM1024];

/// What a ClientHello offers.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The protocol versions.
    pub versions: Versions,
    /// The protocols of the ALPN extension.
    pub alpn: Alpn,
    /// The groups, in order; none: the default ones.
    pub groups: Vec<Group>,
    /// The signature schemes, in order; none: all that are known.
    pub schemes: Vec<SignatureScheme>,
    /// Whether hellos within one second may share a key share, where the group allows it.
    pub reuse_key_share: bool,
}

/// What is offered in the ALPN extension.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Alpn {
    /// For each target, the names that IANA registered for its application protocol: that of its
    /// STARTTLS ([`Protocol::alpn`](crate::dial::starttls::Protocol::alpn)) or of its URL.
    #[default]
    OfProtocol,
    /// The same list for every target, in order. No extension when it is empty.
    Only(Vec<Vec<u8>>),
}

/// Prepared configurations for any number of handshakes.
pub struct Client {
    without_alpn: Connectors,
    /// By what is offered in the ALPN extension.
    with_alpn: Vec<Connectors>,
    /// Whether every target is offered the same.
    is_same_for_all: bool,
    versions: Versions,
    kx_groups: KxGroups,
    /// That of the hellos that follow-ups make. rustls resumes a session only with the verifier of
    /// the handshake that brought it.
    recorder: Arc<Recorder>,
}

/// The key-exchange groups that can be offered.
struct KxGroups {
    all: Vec<&'static dyn SupportedKxGroup>,
    /// The same without post-quantum groups, where there is a difference.
    classical: Option<Vec<&'static dyn SupportedKxGroup>>,
}

/// The connectors that share an ALPN list.
struct Connectors {
    alpn: Vec<Vec<u8>>,
    all_groups: TlsConnector,
    /// The same without post-quantum groups, where there is a difference.
    classical: Option<TlsConnector>,
}

/// Which of the configured hellos a handshake sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hello {
    /// The key-exchange groups.
    pub groups: Groups,
    /// The application protocols.
    pub alpn: AlpnOffer,
    /// The signature schemes.
    pub schemes: Schemes,
}

/// A hello that a follow-up makes for itself.
#[derive(Clone, Debug)]
pub struct Tailored {
    /// The hello from which the rest differs.
    pub hello: Hello,
    /// The versions.
    pub versions: Versions,
    /// The protocols of the ALPN extension, when they are not those of the hello.
    pub alpn: Option<Vec<Vec<u8>>>,
    /// The sessions that may be resumed, and by what means in TLS 1.2.
    pub sessions: Option<(Arc<Sessions>, Tls12Resumption)>,
    /// What the hello is encrypted with, which makes it one of TLS 1.3 alone.
    pub ech: Option<EchConfig>,
}

impl Tailored {
    /// `hello` with these versions and nothing else changed. A follow-up sets the fields that it needs and
    /// takes the rest from here, so that a new field concerns no other follow-up.
    pub fn new(hello: Hello, versions: Versions) -> Self {
        Self { hello, versions, alpn: None, sessions: None, ech: None }
    }
}

/// The key-exchange groups of a [`Hello`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Groups {
    /// All that are offered.
    All,
    /// Without post-quantum groups, which make the hello too large for some servers.
    Classical,
}

/// The signature schemes of a [`Hello`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Schemes {
    /// Those of the [`Offer`].
    Configured,
    /// These. Suites that need a signature by another kind of key are left out of the hello.
    Only(SchemeSet),
}

/// One of the ALPN lists that a [`Client`] offers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AlpnOffer(u8);

impl AlpnOffer {
    /// No ALPN extension.
    pub const NONE: Self = Self(0);

    /// Whether there is an ALPN extension.
    pub fn is_offered(self) -> bool {
        self != Self::NONE
    }

    /// Some extension.
    #[cfg(test)]
    pub(crate) const SOME: Self = Self(1);
}

/// A finished handshake.
#[derive(Debug)]
pub struct Session<'a> {
    /// The stream, over the observed socket.
    pub stream: TlsStream<&'a mut Tap>,
    /// What the recorder saw during the handshake.
    pub seen: Seen,
    /// What was agreed.
    pub agreed: Agreed,
}

/// A handshake that was not finished.
#[derive(Debug)]
pub struct Unfinished {
    /// Why.
    pub failure: Failure,
    /// What the recorder saw before it failed.
    pub seen: Seen,
    /// Where the server finished it without having accepted the encrypted hello: what it offers to encrypt
    /// the next one with.
    pub ech_rejection: Option<Box<Configurations>>,
}

impl Client {
    /// Prepares the configurations for `offer`.
    ///
    /// # Errors
    /// The offer has no group or suite for its versions.
    pub fn new(offer: &Offer) -> Result<Self, rustls::Error> {
        let mut groups = groups(&offer.groups);
        if offer.reuse_key_share {
            for group in &mut groups {
                let reused = REUSED.iter().find(|reused| reused.name() == group.name());
                *group = *reused.unwrap_or(group);
            }
        }
        let kx_groups = KxGroups::new(groups);
        let schemes = match offer.schemes.as_slice() {
            [] => known_schemes().collect(),
            schemes => schemes.to_vec(),
        };
        let config =
            |groups: &[_]| client_config(offer.versions, groups, Recorder::new(schemes.clone()));
        let all_groups = config(&kx_groups.all)?;
        let classical = kx_groups.classical.as_deref().map(config).transpose()?;
        let connectors = |alpn: Vec<Vec<u8>>| {
            let connector = |config: &ClientConfig| {
                let mut config = config.clone();
                config.alpn_protocols = alpn.clone();
                TlsConnector::from(Arc::new(config))
            };
            Connectors {
                all_groups: connector(&all_groups),
                classical: classical.as_ref().map(connector),
                alpn: alpn.clone(),
            }
        };
        Ok(Self {
            without_alpn: connectors(Vec::new()),
            with_alpn: alpn_lists(&offer.alpn).into_iter().map(connectors).collect(),
            is_same_for_all: matches!(offer.alpn, Alpn::Only(_)),
            versions: offer.versions,
            kx_groups,
            recorder: Recorder::new(known_schemes().collect()),
        })
    }

    /// Whether there is a smaller hello, without post-quantum groups.
    pub fn has_classical(&self) -> bool {
        self.without_alpn.classical.is_some()
    }

    /// What to offer to a target whose protocol has these names.
    pub fn alpn(&self, names: &[&str]) -> AlpnOffer {
        let found = self.with_alpn.iter().position(|offered| {
            self.is_same_for_all || offered.alpn.iter().eq(names.iter().map(|name| name.as_bytes()))
        });
        let number = found.and_then(|found| u8::try_from(found + 1).ok());
        number.map_or(AlpnOffer::NONE, AlpnOffer)
    }

    fn connectors(&self, alpn: AlpnOffer) -> &Connectors {
        let with_alpn = usize::from(alpn.0).checked_sub(1);
        let offered = with_alpn.and_then(|index| self.with_alpn.get(index));
        offered.unwrap_or(&self.without_alpn)
    }

    /// What makes handshakes with this hello.
    pub fn connector(&self, hello: Hello) -> TlsConnector {
        let connectors = self.connectors(hello.alpn);
        // Few hellos have schemes of their own, so their configurations are made one by one. When
        // no suite goes with the schemes, there is no such hello, and the configured one is sent.
        if let Schemes::Only(schemes) = hello.schemes
            && let schemes = schemes.iter().collect()
            && let Ok(mut config) = client_config(
                self.versions,
                self.kx_groups.of(hello.groups),
                Recorder::new(schemes),
            )
        {
            config.alpn_protocols.clone_from(&connectors.alpn);
            return TlsConnector::from(Arc::new(config));
        }
        let Connectors { all_groups, classical, .. } = connectors;
        match hello.groups {
            Groups::All => all_groups.clone(),
            Groups::Classical => classical.as_ref().unwrap_or(all_groups).clone(),
        }
    }

    /// What makes handshakes as a follow-up wants them.
    ///
    /// # Errors
    /// There is no such hello.
    pub fn tailored(&self, tailored: &Tailored) -> Result<TlsConnector, rustls::Error> {
        let Hello { groups, alpn, schemes } = tailored.hello;
        let recorder = match schemes {
            Schemes::Configured => Arc::clone(&self.recorder),
            Schemes::Only(schemes) => Recorder::new(schemes.iter().collect()),
        };
        let groups = self.kx_groups.of(groups);
        let mut config = match &tailored.ech {
            Some(ech) => ech_config(ech.clone(), groups, recorder)?,
            None => client_config(tailored.versions, groups, recorder)?,
        };
        config.alpn_protocols = match &tailored.alpn {
            Some(alpn) => alpn.clone(),
            None => self.connectors(alpn).alpn.clone(),
        };
        if let Some((sessions, kind)) = &tailored.sessions {
            config.resumption = Resumption::store(Arc::clone(sessions) as _);
            config.resumption = config.resumption.tls12_resumption(*kind);
        }
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// What makes handshakes of TLS 1.2 with this hello, in whose sessions a second ClientHello can be sent.
    ///
    /// # Errors
    /// There is no such hello.
    pub fn renegotiating(&self, hello: Hello) -> Result<TlsConnector, rustls::Error> {
        let recorder = Arc::clone(&self.recorder);
        let groups = self.kx_groups.of(hello.groups);
        let mut config = config_with(&renegotiation::SUITES, Versions::Tls12, groups, recorder)?;
        // HTTP/2 forbids renegotiation (RFC 9113, section 9.2.1), whatever the server does without it.
        let alpn = self.connectors(hello.alpn).alpn.iter().filter(|name| *name != b"h2");
        config.alpn_protocols = alpn.cloned().collect();
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// The versions that are offered.
    pub fn versions(&self) -> Versions {
        self.versions
    }

    /// Runs a handshake over `tap` until `until` at the latest.
    ///
    /// # Errors
    /// Whatever ended the handshake, and what had been seen by then.
    pub fn handshake<'a>(
        connector: &TlsConnector,
        identity: &ServerIdentity,
        tap: &'a mut Tap,
        deadline: &Deadline<'_>,
        (silence, until): (Silence<'_>, &Instant),
    ) -> impl Future<Output = Result<Session<'a>, Unfinished>> {
        let mut hello = Vec::new();
        let take_hello = |connection: &mut ClientConnection| {
            // This writes to memory, so it does not fail.
            _ = connection.write_tls(&mut hello);
        };
        let mut connect =
            Recorded::new(connector.connect_with(sent_name(identity), tap, take_hello));
        // Without one, there is an error to be had at once.
        let has_hello = !hello.is_empty();
        if let Some(tap) = connect.inner_mut().get_mut() {
            tap.queue(&hello);
        }
        // From here on, so that what waits does not hold what only the beginning needs.
        async move {
            let result = 'handshake: {
                if has_hello && let Some(tap) = connect.inner_mut().get_mut() {
                    // rustls allocates 4 KiB before it reads, which a silent peer must not cost.
                    let mut is_told = false;
                    loop {
                        let limit = if is_told { *until } else { silence.limit(*until) };
                        let answered = deadline.run_until(Wait::Handshake, limit, tap.answered());
                        match (answered.await, silence) {
                            (Ok(Ok(())), _) => break,
                            (Ok(Err(error)), _) => break 'handshake Err(error.into()),
                            (Err(_), Silence::Told { to, .. }) if !is_told => {
                                // Only the first one is kept, and there is no other.
                                _ = to.set(*until);
                                is_told = true;
                            }
                            (Err(expired), _) => break 'handshake Err(expired.into()),
                        }
                    }
                    tap.gather(true);
                    tap.read_by_record();
                }
                let connected = poll_fn(|cx| {
                    loop {
                        match Pin::new(&mut connect).poll(cx) {
                            Poll::Pending if has_put_off_a_read(&mut connect) => {}
                            polled => return polled,
                        }
                    }
                });
                let connected = deadline.run_until(Wait::Handshake, *until, connected).await;
                connected.map_err(Interruption::from).and_then(|result| Ok(result?))
            };
            let seen = connect.into_seen();
            match result {
                Ok(mut stream) => {
                    let (tap, connection) = stream.get_mut();
                    tap.end_handshake();
                    let agreed = Agreed::of(connection, tap.beginning());
                    tap.forget_beginning();
                    Ok(Session { agreed, stream, seen })
                }
                Err(interruption) => {
                    let (failure, ech_rejection) = interruption.into_parts(&seen);
                    Err(Unfinished { failure, seen, ech_rejection })
                }
            }
        }
    }
}

/// Every ALPN list that may be offered, each once, without the empty one.
fn alpn_lists(alpn: &Alpn) -> Vec<Vec<Vec<u8>>> {
    let of_names = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
    let wanted: Vec<Vec<Vec<u8>>> = match alpn {
        Alpn::Only(list) => vec![list.clone()],
        Alpn::OfProtocol => {
            let protocols = PROTOCOLS.iter().map(|protocol| protocol.alpn);
            scheme_alpns().chain(protocols).map(of_names).collect()
        }
    };
    let mut lists = Vec::new();
    for list in wanted {
        if !list.is_empty() && !lists.contains(&list) {
            lists.push(list);
        }
    }
    lists
}

/// The groups that can be offered, the default ones first.
pub fn known_groups() -> impl Iterator<Item = Group> {
    GROUPS.iter().chain(&MORE_GROUPS).map(|group| number_of(*group))
}

/// Whether [`Client::handshake`] could have agreed to this, signed with `scheme`.
pub fn can_speak(agreed: &Agreed, scheme: Option<u16>) -> bool {
    let has_suite = SUITES.iter().any(|suite| agreed.cipher == Some(Suite(suite.suite().into())));
    let has_group = agreed.group.is_none_or(|group| known_groups().any(|known| known == group));
    let can_sign = |number| {
        scheme_of_number(number)
            .is_some_and(|scheme| agreed.version.is_some_and(|it| is_taken_by_rustls(it, scheme)))
    };
    agreed.version >= Some(Version::TLS_1_2)
        && has_suite
        && has_group
        && scheme.is_none_or(can_sign)
}

fn groups(wanted: &[Group]) -> Vec<&'static dyn SupportedKxGroup> {
    if wanted.is_empty() {
        return GROUPS.to_vec();
    }
    let all = || GROUPS.iter().chain(&MORE_GROUPS).copied();
    let known = |wanted: &Group| all().find(|group| number_of(*group) == *wanted);
    wanted.iter().filter_map(known).collect()
}

impl KxGroups {
    fn new(all: Vec<&'static dyn SupportedKxGroup>) -> Self {
        let (post_quantum, classical): (Vec<_>, Vec<_>) =
            all.iter().copied().partition(|group| is_post_quantum(number_of(*group)));
        let has_both = !post_quantum.is_empty() && !classical.is_empty();
        Self { all, classical: has_both.then_some(classical) }
    }

    fn of(&self, groups: Groups) -> &[&'static dyn SupportedKxGroup] {
        match groups {
            Groups::All => &self.all,
            Groups::Classical => self.classical.as_ref().unwrap_or(&self.all),
        }
    }
}

/// Whether the handshake waits for nothing but to be polled again.
fn has_put_off_a_read(connect: &mut Recorded<Connect<&mut Tap>>) -> bool {
    connect.inner_mut().get_mut().is_some_and(|tap| tap.take_put_off())
}

/// rustls sends no server name for an address, so an address stands for "none".
fn sent_name(identity: &ServerIdentity) -> ServerName<'static> {
    match &identity.sent {
        Some(name) => ServerName::DnsName(name.clone()),
        None => ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0]))),
    }
}
