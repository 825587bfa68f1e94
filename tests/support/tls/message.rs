//! The server's handshake messages.

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::{SignatureScheme, crypto};

use super::Session;
use super::keys::{Keys12, Keys13, hash};
use super::signer::ECDHE_ECDSA;
use crate::support::pki::{GOOD, STRANGER};

/// Where things stand in the messages below, for a client that sends a session id of 32 bytes.
pub(crate) mod at {
    pub(crate) const SERVER_VERSION: usize = 4;
    /// The last eight bytes of the random, where a downgrade is confessed.
    pub(crate) const SENTINEL: usize = 30;
    pub(crate) const CIPHER: usize = 71;
    pub(crate) const SELECTED_VERSION: usize = 80;
    pub(crate) const GROUP: usize = 86;
    /// In CertificateVerify.
    pub(crate) const SCHEME: usize = 4;
    pub(crate) const VERIFY_DATA: usize = 4;
}

#[derive(Clone, Copy)]
pub(crate) enum Msg {
    ServerHello,
    /// The same with another extension: its number and its body.
    ServerHelloWith(u16, &'static [u8]),
    /// Asks for another hello with a share of this group.
    HelloRetry(u16),
    /// EncryptedExtensions, with the list as it is to stand there.
    Extensions(&'static [u8]),
    Certificate(Chain),
    /// CertificateVerify, with the good key.
    Verify,
    Finished,
    Ticket,
    KeyUpdate {
        answer: bool,
    },
    HelloRequest,
    ServerHello12,
    /// Repeats the session id of the hello, as a server does that resumes the session.
    ServerHello12Resuming,
    Certificate12(Chain),
    KeyExchange12,
    HelloDone12,
    /// With the ChangeCipherSpec that goes before it.
    Finished12,
}

#[derive(Clone, Copy)]
pub(crate) enum Chain {
    Good,
    /// Somebody else's certificate: the signature is then made with the wrong key.
    Stranger,
    Empty,
    /// One entry that makes the message's body this long.
    Filling(usize),
    /// The good one, and behind it as many others of this size as make it `count`.
    Padded {
        count: usize,
        size: usize,
    },
}

impl Msg {
    /// Whether it may take a large part of a second to put the message together.
    pub(crate) fn is_large(&self) -> bool {
        let (Self::Certificate(chain) | Self::Certificate12(chain)) = self else {
            return false;
        };
        matches!(chain, Chain::Filling(_) | Chain::Padded { .. })
    }

    /// Whether the message is part of what Finished vouches for.
    pub(super) fn is_transcribed(self) -> bool {
        !matches!(self, Self::Ticket | Self::KeyUpdate { .. } | Self::HelloRequest)
    }
}

impl Session {
    pub(super) fn build(&mut self, msg: &Msg) -> Vec<u8> {
        match *msg {
            Msg::ServerHello => self.server_hello(&[]),
            Msg::ServerHelloWith(number, body) => {
                self.server_hello(&[&number.to_be_bytes(), &vec16(body)[..]].concat())
            }
            Msg::HelloRetry(group) => framed(2, &self.hello13(&RETRY, &group.to_be_bytes(), &[])),
            Msg::Extensions(list) => framed(8, &vec16(list)),
            Msg::Certificate(chain) => framed(11, &self.certificate13(chain)),
            Msg::Verify => {
                let context = b"TLS 1.3, server CertificateVerify\0";
                let text = [&[0x20; 64][..], context, &hash(&self.transcript)].concat();
                framed(15, &self.signed(&text))
            }
            Msg::Finished => {
                let keys = self.keys13.as_ref().expect("ServerHello was said");
                framed(20, &keys.verify_data(&self.transcript))
            }
            Msg::Ticket => {
                let lifetime_and_age = [0, 0, 0x1c, 0x20, 1, 2, 3, 4];
                framed(4, &[&lifetime_and_age[..], &[1, 7], &vec16(&[9; 32]), &[0, 0]].concat())
            }
            Msg::KeyUpdate { answer } => framed(24, &[u8::from(answer)]),
            Msg::HelloRequest => framed(0, &[]),
            Msg::ServerHello12 => {
                let random = random();
                self.keys12 = Some(Keys12::new(self.client.random, random));
                // No session id, the suite, no compression, no extensions.
                let suite = self.signer.map_or(ECDHE_ECDSA, |signer| signer.suite);
                framed(2, &[&[3, 3][..], &random, &[0], &suite, &[0]].concat())
            }
            Msg::ServerHello12Resuming => {
                let random = random();
                self.keys12 = Some(Keys12::new(self.client.random, random));
                let session_id = vec8(&self.client.session_id);
                framed(2, &[&[3, 3][..], &random, &session_id, &ECDHE_ECDSA, &[0]].concat())
            }
            Msg::Certificate12(chain) => framed(11, &self.certificate12(chain)),
            Msg::KeyExchange12 => {
                let keys = self.keys12.as_ref().expect("ServerHello12 was said");
                let share = [&[3, 0x00, 0x1d][..], &vec8(keys.share())].concat();
                let signature = self.signed(&[keys.randoms(), &share].concat());
                framed(12, &[share, signature].concat())
            }
            Msg::HelloDone12 => framed(14, &[]),
            Msg::Finished12 => {
                let keys = self.keys12.as_ref().expect("ServerHello12 was said");
                framed(20, &keys.verify_data(b"server finished", &self.transcript))
            }
        }
    }

    fn server_hello(&mut self, extension: &[u8]) -> Vec<u8> {
        let share = self.client.x25519_share().expect("a share of x25519");
        let (keys, share) = Keys13::agree(share);
        self.keys13 = Some(keys);
        let share = [&[0x00, 0x1d][..], &vec16(&share)].concat();
        framed(2, &self.hello13(&random(), &share, extension))
    }

    fn hello13(&self, random: &[u8; 32], key_share: &[u8], more: &[u8]) -> Vec<u8> {
        let supported_versions = [0x00, 0x2b, 0x00, 0x02, 0x03, 0x04];
        let key_share = [&[0x00, 0x33][..], &vec16(key_share)].concat();
        let extensions = vec16(&[&supported_versions[..], &key_share, more].concat());
        let session_id = vec8(&self.client.session_id);
        [&[3, 3][..], random, &session_id, &[0x13, 0x03, 0], &extensions].concat()
    }
}

impl Session {
    fn certificate13(&self, chain: Chain) -> Vec<u8> {
        // An empty context, three bytes of list length, and of each entry three of length and two
        // of extensions stand around the certificates.
        const AROUND: usize = 1 + 3 + 3 + 2;
        let ders = self.ders(chain, AROUND);
        let entries: Vec<_> = ders.iter().map(|der| [vec24(der), vec![0, 0]].concat()).collect();
        [vec![0], vec24(&entries.concat())].concat()
    }

    fn certificate12(&self, chain: Chain) -> Vec<u8> {
        const AROUND: usize = 3 + 3;
        let entries: Vec<_> = self.ders(chain, AROUND).iter().map(|der| vec24(der)).collect();
        vec24(&entries.concat())
    }

    fn ders(&self, chain: Chain, around: usize) -> Vec<Vec<u8>> {
        let identity = match (chain, self.signer) {
            (Chain::Good, Some(signer)) => return vec![signer.certificate.clone()],
            (Chain::Good, None) => &GOOD,
            (Chain::Stranger, _) => &STRANGER,
            (Chain::Empty, _) => return Vec::new(),
            (Chain::Filling(size), _) => return vec![vec![0x30; size - around]],
            (Chain::Padded { count, size }, _) => {
                let good = GOOD.chain.iter().map(|der| der.to_vec());
                return good.chain(std::iter::repeat(vec![0x30; size])).take(count).collect();
            }
        };
        identity.chain.iter().map(|der| der.to_vec()).collect()
    }

    /// The scheme and the signature: the good key's, unless somebody else signs.
    fn signed(&self, text: &[u8]) -> Vec<u8> {
        if let Some(signer) = self.signer {
            let signature = (signer.sign)(text);
            return [&signer.scheme.to_be_bytes()[..], &vec16(&signature)].concat();
        }
        let key: &PrivateKeyDer<'static> = &GOOD.key;
        let signer = any_supported_type(key)
            .unwrap()
            .choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256])
            .expect("a P-256 key");
        [vec![0x04, 0x03], vec16(&signer.sign(text).unwrap())].concat()
    }
}

/// The random that makes a ServerHello a HelloRetryRequest.
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

fn random() -> [u8; 32] {
    let mut random = [0; 32];
    crypto::aws_lc_rs::default_provider().secure_random.fill(&mut random).unwrap();
    random
}

/// A handshake message: its type and its body behind three bytes of length.
pub(super) fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    [vec![kind], vec24(body)].concat()
}

fn vec8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn vec24(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[1..], bytes].concat()
}
