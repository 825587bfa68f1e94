//! The few things in a ClientHello that a server needs.

const SIGNATURE_ALGORITHMS: u16 = 13;
const KEY_SHARE: u16 = 51;
const X25519: u16 = 0x001d;

pub(crate) struct ClientHello {
    pub(crate) random: [u8; 32],
    pub(crate) session_id: Vec<u8>,
    /// By the numbers of the groups.
    pub(crate) key_shares: Vec<(u16, Vec<u8>)>,
    /// In the order of the hello.
    pub(crate) signature_schemes: Vec<u16>,
}

impl ClientHello {
    /// `message` is the whole handshake message. The client is the one under test, so nonsense
    /// from it may panic.
    pub(crate) fn parse(message: &[u8]) -> Self {
        let mut rest = Reader(message);
        rest.take(4 + 2);
        let random = rest.take(32).try_into().unwrap();
        let session_id = rest.vec8().to_vec();
        rest.vec16();
        rest.vec8();
        // SSL 3.0 has none.
        let mut extensions = Reader(if rest.0.is_empty() { &[] } else { rest.vec16() });
        let mut key_shares = Vec::new();
        let mut signature_schemes = Vec::new();
        while !extensions.0.is_empty() {
            let kind = extensions.u16();
            let body = extensions.vec16();
            if kind == KEY_SHARE {
                key_shares = read_shares(Reader(body).vec16());
            }
            if kind == SIGNATURE_ALGORITHMS {
                let numbers = Reader(body).vec16().chunks(2);
                signature_schemes = numbers.map(|n| u16::from_be_bytes([n[0], n[1]])).collect();
            }
        }
        Self { random, session_id, key_shares, signature_schemes }
    }

    pub(crate) fn x25519_share(&self) -> Option<&[u8]> {
        let mut shares = self.key_shares.iter();
        shares.find(|(group, _)| *group == X25519).map(|(_, key)| &key[..])
    }
}

fn read_shares(shares: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut rest = Reader(shares);
    let mut shares = Vec::new();
    while !rest.0.is_empty() {
        shares.push((rest.u16(), rest.vec16().to_vec()));
    }
    shares
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count);
        self.0 = rest;
        head
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn vec8(&mut self) -> &'a [u8] {
        let count = self.take(1)[0];
        self.take(count.into())
    }

    fn vec16(&mut self) -> &'a [u8] {
        let count = self.u16();
        self.take(count.into())
    }
}
