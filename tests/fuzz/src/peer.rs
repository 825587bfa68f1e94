//! The other side of a connection: rustls' server, whose messages the script may change.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::sync::{Arc, LazyLock, Mutex};

use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, Iv, MessageEncrypter, OutboundChunks, OutboundPlainMessage,
};
use rustls::crypto::tls13::{HkdfExpander, OkmBlock};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{
    ConnectionTrafficSecrets, ContentType, KeyLog, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

use crate::pki;
use crate::script::Script;

pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;

/// Runs `future` on this thread.
pub fn run<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Two ends of a connection that takes no port; ours looks like TCP to tokio.
pub fn pair() -> (TcpStream, UnixStream) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let ours = std::net::TcpStream::from(OwnedFd::from(ours));
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (TcpStream::from_std(ours).unwrap(), UnixStream::from_std(theirs).unwrap())
}

/// How the server is set up.
#[derive(Default)]
pub struct Setup {
    pub tls12: bool,
    /// Knows P-256 only, so that a client whose first share is of another group is asked again.
    pub retry: bool,
    pub client_cert: bool,
    pub alpn: bool,
    pub tickets: usize,
    pub chain: Vec<CertificateDer<'static>>,
    pub ocsp: Vec<u8>,
    /// Where the handshake's secrets go.
    pub secrets: Arc<Secrets>,
}

impl Setup {
    pub fn read(script: &mut Script<'_>) -> Self {
        let choices = script.byte();
        Self {
            tls12: choices & 1 != 0,
            retry: choices & 2 != 0,
            client_cert: choices & 4 != 0,
            alpn: choices & 8 != 0,
            tickets: usize::from(choices >> 4 & 3),
            chain: pki::chain(),
            ..Self::default()
        }
    }

    pub fn server(&self) -> ServerConnection {
        let kx_groups: Vec<&dyn SupportedKxGroup> = match self.retry {
            true => vec![kx_group::SECP256R1],
            false => aws_lc_rs::ALL_KX_GROUPS.to_vec(),
        };
        let provider = Arc::new(CryptoProvider {
            cipher_suites: SUITES.to_vec(),
            kx_groups,
            ..aws_lc_rs::default_provider()
        });
        let version: &[_] = match self.tls12 {
            true => &[&rustls::version::TLS12],
            false => &[&rustls::version::TLS13],
        };
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(version)
            .unwrap();
        let config = match self.client_cert {
            false => config.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(pki::ROOT.into()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                let verifier = verifier.allow_unauthenticated().build().unwrap();
                config.with_client_cert_verifier(verifier)
            }
        };
        let certified = CertifiedKey {
            cert: self.chain.clone(),
            key: Arc::clone(&KEY),
            ocsp: (!self.ocsp.is_empty()).then(|| self.ocsp.clone()),
        };
        let mut config = config.with_cert_resolver(Arc::new(Always(Arc::new(certified))));
        config.enable_secret_extraction = true;
        config.send_tls13_tickets = self.tickets;
        config.key_log = Arc::clone(&self.secrets) as Arc<dyn KeyLog>;
        if self.alpn {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        ServerConnection::new(Arc::new(config)).unwrap()
    }
}

/// The only suites whose keys fill rustls' `AeadKey`, which cannot be made shorter from outside.
static SUITES: [SupportedCipherSuite; 2] = [
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
];

static KEY: LazyLock<Arc<dyn SigningKey>> =
    LazyLock::new(|| aws_lc_rs::sign::any_supported_type(&pki::leaf_key()).unwrap());

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// The secret under which a server of TLS 1.3 sends the rest of its flight.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<Vec<u8>>);

impl KeyLog for Secrets {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == "SERVER_HANDSHAKE_TRAFFIC_SECRET" {
            *self.0.lock().unwrap() = secret.to_vec();
        }
    }
}

/// Reads what the client has sent, once, and gives what the server says to it; nothing at the end.
pub async fn answer(socket: &mut UnixStream, server: &mut ServerConnection) -> Option<Vec<u8>> {
    let mut buffer = [0; 16 * 1024];
    let length = socket.read(&mut buffer).await.ok().filter(|&n| n > 0)?;
    let mut input = &buffer[..length];
    let mut read = Ok(());
    while !input.is_empty() && read.is_ok() {
        server.read_tls(&mut input).ok()?;
        read = server.process_new_packets().map(drop);
    }
    let mut output = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut output).ok()?;
    }
    Some(output)
}

/// Says no more, and takes in what still comes until the client has closed as well.
pub async fn finish(mut socket: UnixStream) {
    let _gone = socket.shutdown().await;
    let mut buffer = [0; 16 * 1024];
    while socket.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}

/// Lets the script change the messages that `flight`, the answer of TLS 1.3 to a hello, has under
/// encryption. What cannot be opened stays as it is.
pub fn mutate_sealed(flight: &mut Vec<u8>, secrets: &Secrets, script: &mut Script<'_>) {
    let secret = secrets.0.lock().unwrap().clone();
    if secret.is_empty() {
        return;
    }
    let (key, iv) = traffic_keys(&secret);
    let mut opener = suite13().aead_alg.decrypter(key, iv);
    let (mut plain, mut messages, mut number) = (Vec::new(), Vec::new(), 0);
    for mut record in records(flight) {
        if record[0] != APPLICATION_DATA {
            plain.extend(record);
            continue;
        }
        let sealed = InboundOpaqueMessage::new(
            ContentType::ApplicationData,
            ProtocolVersion::TLSv1_2,
            &mut record[5..],
        );
        let Ok(opened) = opener.decrypt(sealed, number) else {
            return;
        };
        messages.extend_from_slice(opened.payload);
        number += 1;
    }
    script.mutate(&mut messages);
    let (key, iv) = traffic_keys(&secret);
    let mut seal = Seal::new(suite13().aead_alg.encrypter(key, iv), 0);
    let size = match script.byte() {
        0..0xf0 => 16 * 1024,
        size => usize::from(size - 0xf0) + 1,
    };
    for fragment in messages.chunks(size) {
        plain.extend(seal.record(HANDSHAKE, fragment));
    }
    *flight = plain;
}

/// The records of a genuine flight.
fn records(mut flight: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some(&[_, _, _, high, low]) = flight.first_chunk() {
        let length = 5 + usize::from(u16::from_be_bytes([high, low]));
        let (record, rest) = flight.split_at(length.min(flight.len()));
        records.push(record.to_vec());
        flight = rest;
    }
    records
}

/// One record in the clear, with whatever a length of 16 bits can say of the payload.
pub fn plain_record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let [.., high, low] = payload.len().to_be_bytes();
    [&[kind, 3, 3, high, low], payload].concat()
}

/// A key in use: the cipher and the number of the next record.
pub struct Seal {
    cipher: Box<dyn MessageEncrypter>,
    next: u64,
}

impl Seal {
    fn new(cipher: Box<dyn MessageEncrypter>, next: u64) -> Self {
        Self { cipher, next }
    }

    /// Goes on where a server that has finished its handshake would.
    pub fn take_over(server: ServerConnection) -> Self {
        let version = server.protocol_version();
        let (next, secrets) = server.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else {
            unreachable!("the only cipher");
        };
        let cipher = match version {
            Some(ProtocolVersion::TLSv1_3) => suite13().aead_alg.encrypter(key, iv),
            _ => suite12().aead_alg.encrypter(key, iv.as_ref(), &[]),
        };
        Self::new(cipher, next)
    }

    pub fn record(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let plain = OutboundPlainMessage {
            typ: ContentType::from(kind),
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(payload),
        };
        let sealed = self.cipher.encrypt(plain, self.next).unwrap();
        self.next += 1;
        sealed.encode()
    }
}

fn suite13() -> &'static Tls13CipherSuite {
    let SupportedCipherSuite::Tls13(suite) = SUITES[0] else {
        unreachable!("a TLS 1.3 suite");
    };
    suite
}

fn suite12() -> &'static Tls12CipherSuite {
    let SupportedCipherSuite::Tls12(suite) = SUITES[1] else {
        unreachable!("a TLS 1.2 suite");
    };
    suite
}

fn traffic_keys(secret: &[u8]) -> (AeadKey, Iv) {
    let secret = suite13().hkdf_provider.expander_for_okm(&OkmBlock::new(secret));
    let (mut key, mut iv) = ([0; 32], [0; 12]);
    expand(&*secret, b"key", &mut key);
    expand(&*secret, b"iv", &mut iv);
    (AeadKey::from(key), Iv::new(iv))
}

/// `HKDF-Expand-Label` without a context.
fn expand(secret: &dyn HkdfExpander, label: &[u8], out: &mut [u8]) {
    let lengths = [0, out.len() as u8, 6 + label.len() as u8];
    let info = [&lengths[..], b"tls13 ", label, &[0]];
    assert!(secret.expand_slice(&info, out).is_ok());
}
