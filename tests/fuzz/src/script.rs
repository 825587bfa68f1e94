//! The fuzzer's bytes, read as choices.

/// Reads choices off the front of bytes; zero and nothing once they have run out.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        let number = match end {
            0..=0x100 => self.byte().into(),
            _ => u32::from(self.u16()) as usize,
        };
        number % end.max(1)
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub fn u64(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// As many bytes as the next two say, or all that are left.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = self.u16();
        self.take(length.into())
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// A string that is rich in what a terminal would obey.
    pub fn text(&mut self) -> String {
        const ODD: [char; 32] = [
            '\u{80}',
            '\u{85}',
            '\u{9b}',
            '\u{a0}',
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202d}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2067}',
            '\u{2069}',
            '\u{206f}',
            '\u{feff}',
            '\u{fff9}',
            '\u{fffb}',
            '\u{fffd}',
            '\u{ffff}',
            '\u{e0001}',
            '\u{e007f}',
            '\u{1f512}',
            '\u{10ffff}',
            'é',
            '字',
            '\u{301}',
        ];
        let length = self.byte() % 64;
        let bytes = self.take(length.into()).iter();
        bytes
            .map(|&byte| match byte {
                0..0x80 => char::from(byte),
                _ => ODD[usize::from(byte) % ODD.len()],
            })
            .collect()
    }

    pub fn option<T>(&mut self, some: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| some(self))
    }

    pub fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte() % 4).map(|_| one(self)).collect()
    }

    /// Cuts `bytes` into pieces, some of them empty.
    pub fn pieces<'b>(&mut self, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        for _ in 0..self.byte() % 16 {
            let length = self.below(bytes.len() + 1);
            let (piece, rest) = bytes.split_at(length);
            pieces.push(piece);
            bytes = rest;
        }
        pieces.push(bytes);
        pieces
    }

    /// Flips, cuts, overwrites and splices.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.byte() % 8 {
            let at = self.below(bytes.len());
            let length = self.below(bytes.len() - at);
            match self.byte() % 8 {
                0 => {
                    let mask = 1 << (self.byte() % 8);
                    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
                }
                1 => {
                    let value = self.byte();
                    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = value);
                }
                2 => bytes.truncate(at),
                3 => drop(bytes.drain(at..at + length)),
                4 => {
                    let inserted = self.bytes();
                    bytes.splice(at..at, inserted.iter().copied());
                }
                5 => {
                    let value = self.bytes();
                    let end = (at + value.len()).min(bytes.len());
                    bytes.splice(at..end, value.iter().copied());
                }
                6 => {
                    let copied = bytes[at..at + length].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, copied);
                }
                _ => {
                    let value = self.byte();
                    bytes[at..at + length].fill(value);
                }
            }
        }
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
