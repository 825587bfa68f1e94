//! The keys that certificates are made with.

use crate::forge::Key;

/// How many keys there are.
pub const KEYS: usize = 29;

/// Keys by their number: some that sign, and some whose signatures are junk that is expensive to check.
pub struct Keys(Vec<Key>);

impl Default for Keys {
    fn default() -> Self {
        const SMALL: &[u8] = &[1, 0, 1];
        const LARGEST: &[u8] = &[1, 0xff, 0xff, 0xff, 0xff];
        let honest = (1..=8).map(Key::ed25519).chain((1..=3).map(Key::p256));
        let honest = honest.chain((1..=2).map(Key::p521));
        let rsa = [
            (512, SMALL, None),
            (1_024, LARGEST, None),
            (2_048, SMALL, None),
            (2_048, LARGEST, Some(20)),
            (4_096, LARGEST, Some(40)),
            (8_192, LARGEST, None),
            (8_192, LARGEST, Some(32)),
            (16_384, SMALL, None),
        ];
        let rsa = (1..).zip(rsa).flat_map(|(number, (bits, exponent, salt))| {
            (0..2).map(move |at| Key::rsa(number + 16 * at, bits, exponent, salt))
        });
        let keys = honest.chain(rsa).collect::<Vec<_>>();
        assert_eq!(keys.len(), KEYS);
        Self(keys)
    }
}

impl Keys {
    pub fn of(&self, number: usize) -> &Key {
        &self.0[number % self.0.len()]
    }
}
