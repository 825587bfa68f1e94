//! Text as frames of zstd (RFC 8878), each of which can be read by itself.

use std::io::{self, Read};

use tokio::time::{Duration, Instant};
use zstd::bulk::Compressor;
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_srcSize_wrong;
use zstd::zstd_safe::{find_frame_compressed_size, is_error_kind};

/// Bytes of text in a frame, or a little more: it ends with a target.
const FRAME: usize = 1 << 20;
/// How old text may become before it ends a frame, once nobody waits to be written.
const AGE: Duration = Duration::from_secs(1);
/// Bytes that a frame may have when it is read, compressed or not.
const FRAME_LIMIT: usize = 64 << 20;
/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;
/// How a frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Gathers text until there is enough for a frame.
pub(super) struct Frames {
    compressor: Compressor<'static>,
    text: Vec<u8>,
    since: Instant,
}

impl Frames {
    pub(super) fn new() -> io::Result<Self> {
        let mut compressor = Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?;
        compressor.include_checksum(true)?;
        Ok(Self { compressor, text: Vec::with_capacity(FRAME), since: Instant::now() })
    }

    pub(super) fn add(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= FRAME
    }

    pub(super) fn is_old(&self) -> bool {
        !self.text.is_empty() && self.since.elapsed() >= AGE
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// A frame of what there is.
    pub(super) fn end(&mut self) -> io::Result<Vec<u8>> {
        let frame = self.compressor.compress(&self.text)?;
        self.text.clear();
        self.since = Instant::now();
        Ok(frame)
    }
}

/// Hands on the text of every whole frame of `file`, up to one that was torn off.
///
/// # Errors
/// It cannot be read, or has something else than frames in it.
pub(super) fn read_frames(
    mut file: impl Read,
    mut each: impl FnMut(&[u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut read = Vec::new();
    let mut text = Vec::new();
    loop {
        let added = (&mut file).take(CHUNK as u64).read_to_end(&mut read)?;
        let mut rest = read.as_slice();
        let why = loop {
            let length = match find_frame_compressed_size(rest) {
                Ok(length) => length,
                Err(why) => break why,
            };
            let (frame, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            text.clear();
            let decoder = zstd::Decoder::with_buffer(frame)?;
            if decoder.take(FRAME_LIMIT as u64).read_to_end(&mut text)? == FRAME_LIMIT {
                return Err(foreign());
            }
            each(&text, length as u64)?;
            rest = behind;
        };
        let is_torn = is_error_kind(why, ZSTD_error_srcSize_wrong)
            && rest.len() <= FRAME_LIMIT
            && rest.iter().zip(&MAGIC).all(|(found, expected)| found == expected);
        if !is_torn {
            return Err(foreign());
        }
        if added == 0 {
            return Ok(());
        }
        let used = read.len() - rest.len();
        read.drain(..used);
    }
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not the frames of zstd that tlsweep writes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &[u8]) -> Vec<u8> {
        let mut frames = Frames::new().unwrap();
        frames.add(text);
        frames.end().unwrap()
    }

    /// The text of the whole frames, and their length.
    fn read(bytes: &[u8]) -> io::Result<(Vec<u8>, u64)> {
        let (mut whole, mut length) = (Vec::new(), 0);
        read_frames(bytes, |text, frame| {
            whole.extend_from_slice(text);
            length += frame;
            Ok(())
        })?;
        Ok((whole, length))
    }

    #[test]
    fn a_frame_that_is_torn_off_anywhere_is_left_out() {
        let noise: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        let (first, second) = (frame(&noise), frame(b"second"));
        let both = [&first[..], &second].concat();
        for end in first.len()..both.len() {
            assert_eq!(read(&both[..end]).unwrap(), (noise.clone(), first.len() as u64), "{end}");
        }
        let (text, length) = read(&both).unwrap();
        assert_eq!((text.len(), length), (noise.len() + 6, both.len() as u64));
        for end in (0..first.len()).step_by(101) {
            assert_eq!(read(&first[..end]).unwrap(), (Vec::new(), 0), "{end}");
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        let good = frame(&b"text\n".repeat(1000));
        let mut damaged = good.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let cases: [&[u8]; 5] =
            [b"h", b"hello\n", b"\x28\xb5hello", b"\0\0\0\0\0\0\0\0", b"{\"v\":1"];
        for bytes in cases {
            assert!(read(bytes).is_err(), "{bytes:?}");
            assert!(read(&[&good, bytes].concat()).is_err(), "{bytes:?} behind a frame");
        }
        assert!(read(&damaged).is_err());
    }

    #[test]
    fn a_frame_ends_when_it_is_full() {
        let mut frames = Frames::new().unwrap();
        frames.add(&[b'x'; FRAME - 1]);
        assert!(!frames.is_full());
        frames.add(b"x");
        assert!(frames.is_full());
        assert_eq!(read(&frames.end().unwrap()).unwrap().0.len(), FRAME);
        assert!(frames.is_empty() && !frames.is_old());
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_ends_when_its_text_is_old() {
        let mut frames = Frames::new().unwrap();
        frames.add(b"x");
        tokio::time::advance(AGE / 100).await;
        assert!(!frames.is_old());
        tokio::time::advance(AGE).await;
        assert!(frames.is_old());
        frames.end().unwrap();
        frames.add(b"x");
        assert!(!frames.is_old());
    }
}
