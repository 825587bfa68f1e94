//! The few things in a ClientHello that a server needs.

const KEY_SHARE: u16 = 51;
const X25519: u16 = 0x001d;

pub(crate) struct ClientHello {
    pub(crate) random: [u8; 32],
    pub(crate) session_id: Vec<u8>,
    pub(crate) x25519_share: Option<Vec<u8>>,
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
        let mut x25519_share = None;
        while !extensions.0.is_empty() {
            let kind = extensions.u16();
            let body = extensions.vec16();
            if kind == KEY_SHARE {
                x25519_share = find_share(Reader(body).vec16());
            }
        }
        Self { random, session_id, x25519_share }
    }
}

fn find_share(shares: &[u8]) -> Option<Vec<u8>> {
    let mut shares = Reader(shares);
    while !shares.0.is_empty() {
        let group = shares.u16();
        let key = shares.vec16();
        if group == X25519 {
            return Some(key.to_vec());
        }
    }
    None
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
