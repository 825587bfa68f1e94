//! A small TLS server that can break the rules: it says whatever message it is told to, as it is
//! told to, and keeps the keys and the transcript right as long as nobody tells it otherwise.
//!
//! It speaks TLS 1.3 (ChaCha20-Poly1305, x25519) and TLS 1.2 (ECDHE with ECDSA, or with RSA if a
//! signer wants that, and the same cipher).

mod hello;
mod keys;
mod message;
mod signer;

pub(crate) use hello::ClientHello;
pub(crate) use message::{Chain, Msg, at};
pub(crate) use signer::{ECDHE_ECDSA, ECDHE_RSA, Sign, Signer};

use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::{ContentType, ProtocolVersion};

use keys::{Keys12, Keys13};

pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;

const LARGEST_FRAGMENT: usize = 16_384;

/// The server's TLS state of one connection: the transcript so far, and the keys in force.
pub(crate) struct Session {
    client: ClientHello,
    transcript: Vec<u8>,
    keys13: Option<Keys13>,
    keys12: Option<Keys12>,
    seal: Option<Seal>,
    fragment: usize,
    /// Who signs instead of the good key.
    signer: Option<&'static Signer>,
}

impl Session {
    /// `hello` is the client's handshake message.
    pub(crate) fn new(hello: &[u8]) -> Self {
        Self {
            client: ClientHello::parse(hello),
            transcript: hello.to_vec(),
            keys13: None,
            keys12: None,
            seal: None,
            fragment: LARGEST_FRAGMENT,
            signer: None,
        }
    }

    /// From here on handshake messages are cut into records of at most `size` bytes.
    pub(crate) fn cut_into(&mut self, size: usize) {
        self.fragment = size;
    }

    /// From here on the good chain is this signer's, and so are the signatures.
    pub(crate) fn sign_as(&mut self, signer: &'static Signer) {
        self.signer = Some(signer);
    }

    /// The record that goes before a message, if there is one: TLS 1.2 announces its keys, which
    /// are in force from here on.
    pub(crate) fn change_cipher_spec(&mut self, msg: &Msg) -> Option<Vec<u8>> {
        let Msg::Finished12 = msg else {
            return None;
        };
        let record = self.record(CHANGE_CIPHER_SPEC, &[1]);
        self.seal = self.keys12.as_ref().map(|keys| Seal::new(keys.server()));
        Some(record)
    }

    /// The bytes of a message, after `spoil` has changed them. The transcript takes them unchanged.
    pub(crate) fn message(&mut self, msg: &Msg, spoil: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut bytes = self.build(msg);
        if msg.is_transcribed() {
            self.transcript.extend_from_slice(&bytes);
        }
        spoil(&mut bytes);
        bytes
    }

    /// How many bytes of a message one record carries at most.
    pub(crate) fn fragment(&self) -> usize {
        self.fragment
    }

    /// Takes the keys into use that follow a message.
    pub(crate) fn change_keys(&mut self, msg: &Msg) {
        let Some(keys) = &mut self.keys13 else {
            return;
        };
        match msg {
            Msg::ServerHello | Msg::ServerHelloWith(..) => keys.enter_handshake(&self.transcript),
            Msg::Finished => keys.enter_traffic(&self.transcript),
            Msg::KeyUpdate { .. } => keys.update(),
            _ => return,
        }
        self.seal = Some(Seal::new(keys.server()));
    }

    /// Whether the client offered a share to agree on.
    pub(crate) fn speaks_tls13(&self) -> bool {
        self.client.x25519_share().is_some()
    }

    /// One record, sealed if there are keys by now.
    pub(crate) fn record(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        match &mut self.seal {
            Some(seal) => seal.record(kind, payload),
            None => plain_record(kind, payload),
        }
    }

    /// Takes the client's key exchange of TLS 1.2 in, and what its Finished must have been.
    pub(crate) fn take_client_key(&mut self, message: &[u8]) {
        self.transcript.extend_from_slice(message);
        let keys = self.keys12.as_mut().expect("ServerHello12 was said");
        keys.agree(&message[5..]);
        let finished = message::framed(20, &keys.verify_data(b"client finished", &self.transcript));
        self.transcript.extend_from_slice(&finished);
    }
}

/// One record in the clear.
pub(crate) fn plain_record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3, high, low], payload].concat()
}

/// A key in use: the cipher and the number of the next record.
struct Seal {
    cipher: Box<dyn MessageEncrypter>,
    next: u64,
}

impl Seal {
    fn new(cipher: Box<dyn MessageEncrypter>) -> Self {
        Self { cipher, next: 0 }
    }

    fn record(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
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
