//! The key schedules of TLS 1.3 and 1.2, on the primitives of rustls' provider.

use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};
use rustls::crypto::cipher::{AeadKey, Iv, MessageEncrypter};
use rustls::crypto::tls13::{HkdfExpander, OkmBlock};
use rustls::crypto::{ActiveKeyExchange, SharedSecret};
use rustls::{SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

/// The only suites whose keys fill rustls' `AeadKey`, which cannot be made any shorter from outside.
fn suite13() -> &'static Tls13CipherSuite {
    let SupportedCipherSuite::Tls13(suite) = cipher_suite::TLS13_CHACHA20_POLY1305_SHA256 else {
        unreachable!("a TLS 1.3 suite")
    };
    suite
}

fn suite12() -> &'static Tls12CipherSuite {
    let SupportedCipherSuite::Tls12(suite) =
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
    else {
        unreachable!("a TLS 1.2 suite")
    };
    suite
}

pub(super) fn hash(transcript: &[u8]) -> Vec<u8> {
    suite13().common.hash_provider.hash(transcript).as_ref().to_vec()
}

fn key_exchange() -> Box<dyn ActiveKeyExchange> {
    kx_group::X25519.start().unwrap()
}

pub(super) struct Keys13 {
    shared: SharedSecret,
    handshake: Option<Box<dyn HkdfExpander>>,
    /// The server's traffic secret in force.
    server: OkmBlock,
}

impl Keys13 {
    /// Agrees with the client's share; also the share to answer with.
    pub(super) fn agree(client_share: &[u8]) -> (Self, Vec<u8>) {
        let ours = key_exchange();
        let share = ours.pub_key().to_vec();
        let shared = ours.complete(client_share).unwrap();
        (Self { shared, handshake: None, server: OkmBlock::new(&[]) }, share)
    }

    /// `transcript` ends with ServerHello.
    pub(super) fn enter_handshake(&mut self, transcript: &[u8]) {
        let hkdf = suite13().hkdf_provider;
        let early = hkdf.extract_from_zero_ikm(None);
        let salt = labelled(early.as_ref(), b"derived", &hash(&[]));
        let handshake = hkdf.extract_from_secret(Some(salt.as_ref()), self.shared.secret_bytes());
        self.server = labelled(handshake.as_ref(), b"s hs traffic", &hash(transcript));
        self.handshake = Some(handshake);
    }

    /// `transcript` ends with the server's Finished.
    pub(super) fn enter_traffic(&mut self, transcript: &[u8]) {
        let handshake = self.handshake.as_ref().expect("ServerHello was said");
        let salt = labelled(handshake.as_ref(), b"derived", &hash(&[]));
        let master = suite13().hkdf_provider.extract_from_zero_ikm(Some(salt.as_ref()));
        self.server = labelled(master.as_ref(), b"s ap traffic", &hash(transcript));
    }

    pub(super) fn update(&mut self) {
        let current = suite13().hkdf_provider.expander_for_okm(&self.server);
        self.server = labelled(current.as_ref(), b"traffic upd", &[]);
    }

    pub(super) fn verify_data(&self, transcript: &[u8]) -> Vec<u8> {
        let hkdf = suite13().hkdf_provider;
        let key = labelled(hkdf.expander_for_okm(&self.server).as_ref(), b"finished", &[]);
        hkdf.hmac_sign(&key, &hash(transcript)).as_ref().to_vec()
    }

    pub(super) fn server(&self) -> Box<dyn MessageEncrypter> {
        let secret = suite13().hkdf_provider.expander_for_okm(&self.server);
        let mut key = [0; 32];
        expand(secret.as_ref(), b"key", &[], &mut key);
        let mut iv = [0; 12];
        expand(secret.as_ref(), b"iv", &[], &mut iv);
        suite13().aead_alg.encrypter(AeadKey::from(key), Iv::new(iv))
    }
}

/// `HKDF-Expand-Label` of a whole hash.
fn labelled(secret: &dyn HkdfExpander, label: &[u8], context: &[u8]) -> OkmBlock {
    let mut block = [0; 32];
    expand(secret, label, context, &mut block);
    OkmBlock::new(&block)
}

fn expand(secret: &dyn HkdfExpander, label: &[u8], context: &[u8], out: &mut [u8]) {
    let length = u16::try_from(out.len()).unwrap().to_be_bytes();
    let label_length = [u8::try_from(6 + label.len()).unwrap()];
    let context_length = [u8::try_from(context.len()).unwrap()];
    let info = [&length[..], &label_length, b"tls13 ", label, &context_length, context];
    assert!(secret.expand_slice(&info, out).is_ok(), "a key is shorter than 255 hashes");
}

pub(super) struct Keys12 {
    /// Both randoms, the client's first.
    randoms: [u8; 64],
    exchange: Option<Box<dyn ActiveKeyExchange>>,
    share: Vec<u8>,
    master: [u8; 48],
}

impl Keys12 {
    pub(super) fn new(client_random: [u8; 32], server_random: [u8; 32]) -> Self {
        let exchange = key_exchange();
        let mut randoms = [0; 64];
        randoms[..32].copy_from_slice(&client_random);
        randoms[32..].copy_from_slice(&server_random);
        Self {
            randoms,
            share: exchange.pub_key().to_vec(),
            exchange: Some(exchange),
            master: [0; 48],
        }
    }

    pub(super) fn share(&self) -> &[u8] {
        &self.share
    }

    pub(super) fn randoms(&self) -> &[u8] {
        &self.randoms
    }

    pub(super) fn agree(&mut self, client_share: &[u8]) {
        let exchange = self.exchange.take().expect("a client sends one key");
        let shared = exchange.complete(client_share).unwrap();
        suite12().prf_provider.for_secret(
            &mut self.master,
            shared.secret_bytes(),
            b"master secret",
            &self.randoms,
        );
    }

    pub(super) fn verify_data(&self, label: &[u8], transcript: &[u8]) -> Vec<u8> {
        let mut data = [0; 12];
        suite12().prf_provider.for_secret(&mut data, &self.master, label, &hash(transcript));
        data.to_vec()
    }

    pub(super) fn server(&self) -> Box<dyn MessageEncrypter> {
        let server_first = [&self.randoms[32..], &self.randoms[..32]].concat();
        // Two keys of 32 bytes and two nonces of 12, the client's before the server's.
        let mut block = [0; 88];
        suite12().prf_provider.for_secret(
            &mut block,
            &self.master,
            b"key expansion",
            &server_first,
        );
        let key: [u8; 32] = block[32..64].try_into().unwrap();
        suite12().aead_alg.encrypter(AeadKey::from(key), &block[76..88], &[])
    }
}
