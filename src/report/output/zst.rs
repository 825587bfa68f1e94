//! Text as frames of zstd (RFC 8878), each of which can be read by itself.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use tokio::time::{Duration, Instant};
use zstd::bulk::Compressor;
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge;
use zstd::zstd_safe::{
    DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, get_error_name, is_error_kind,
};

/// Bytes of text in a frame, which ends with a target; the text of one target may alone be more.
const FRAME: usize = 1 << 20;
/// How old text may become before it ends a frame, once nobody waits to be written.
const AGE: Duration = Duration::from_secs(1);
/// Memory that a frame may ask for when it is read, as a power of two: 8 MiB, which RFC 8878 (section
/// 3.1.1.1.2) wants every decoder to have. What tlsweep writes needs 2 MiB.
const WINDOW_LOG: u32 = 23;
/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;
/// How a frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Gathers text until there is enough for a frame.
pub(super) struct Frames {
    compressor: Compressor<'static>,
    text: Vec<u8>,
    targets: u64,
    since: Instant,
}

impl Frames {
    pub(super) fn new() -> io::Result<Self> {
        let mut compressor = Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?;
        compressor.include_checksum(true)?;
        Ok(Self { compressor, text: Vec::with_capacity(FRAME), targets: 0, since: Instant::now() })
    }

    /// Adds the lines of a target.
    pub(super) fn add(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.targets += 1;
    }

    /// Adds what belongs to no target.
    pub(super) fn add_rest(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    /// Whether the frame stays within its size with `text`, or has nothing else in it.
    pub(super) fn has_room_for(&self, text: &[u8]) -> bool {
        self.text.is_empty() || self.text.len() + text.len() <= FRAME
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

    /// A frame of what there is, and how many targets are in it.
    pub(super) fn end(&mut self) -> io::Result<(Vec<u8>, u64)> {
        let frame = self.compressor.compress(&self.text)?;
        self.text.clear();
        // One that was very long leaves no room behind.
        self.text.shrink_to(FRAME);
        self.since = Instant::now();
        Ok((frame, std::mem::take(&mut self.targets)))
    }
}

/// How many bytes of `file` are whole frames. What comes behind them was torn off, or damaged by a
/// crash: nothing of it can be read.
///
/// # Errors
/// The file cannot be read, has something else than frames in it, or has whole frames behind damaged
/// ones.
pub(super) fn whole_frames(file: &mut (impl Read + Seek)) -> io::Result<u64> {
    let mut whole = 0;
    {
        let mut reader = BufReader::with_capacity(CHUNK, &mut *file);
        let mut decoder = Decoder::new()?;
        while let Next::Frame(length) = decoder.next_frame(&mut reader)? {
            whole += length;
        }
    }
    check_tail(file, whole)?;
    Ok(whole)
}

/// The text of the first `whole` bytes of `file`, which are whole frames; at least one.
pub(super) fn text_of_frames<'a>(
    file: &'a mut (impl Read + Seek),
    whole: u64,
) -> io::Result<impl BufRead + 'a> {
    file.rewind()?;
    let mut decoder = zstd::Decoder::new(file.take(whole))?;
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(BufReader::with_capacity(CHUNK, decoder))
}

/// What stands at some place of a file.
enum Next {
    /// A frame of so many bytes, whose checksum is right.
    Frame(u64),
    /// The end of the file, or something that is not a whole frame.
    Other,
}

/// Decodes frames for nothing but their length.
struct Decoder {
    context: DCtx<'static>,
    /// The decompressed text, which is discarded.
    text: Vec<u8>,
}

impl Decoder {
    fn new() -> io::Result<Self> {
        let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(zstd_error)?;
        Ok(Self { context, text: vec![0; CHUNK] })
    }

    fn next_frame(&mut self, reader: &mut impl BufRead) -> io::Result<Next> {
        // Cannot fail: only the session is reset.
        self.context.reset(ResetDirective::SessionOnly).map_err(zstd_error)?;
        let mut length = 0;
        loop {
            let read = reader.fill_buf()?;
            if read.is_empty() {
                return Ok(Next::Other);
            }
            let mut input = InBuffer::around(read);
            loop {
                let mut output = OutBuffer::around(&mut self.text[..]);
                match self.context.decompress_stream(&mut output, &mut input) {
                    Ok(0) => {
                        let used = input.pos();
                        reader.consume(used);
                        return Ok(Next::Frame(length + used as u64));
                    }
                    Ok(_) if output.pos() == CHUNK || input.pos() < read.len() => {}
                    Ok(_) => break,
                    Err(code) if is_error_kind(code, ZSTD_error_frameParameter_windowTooLarge) => {
                        return Err(zstd_error(code));
                    }
                    Err(_damaged) => return Ok(Next::Other),
                }
            }
            let used = read.len();
            reader.consume(used);
            length += used as u64;
        }
    }
}

fn zstd_error(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}

/// Checks that a crash may have left what follows the first `whole` bytes, which are whole frames:
/// the beginning of a frame, or zeros, and no whole frame after that.
fn check_tail(file: &mut (impl Read + Seek), whole: u64) -> io::Result<()> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(whole))?;
    (&mut *file).take(MAGIC.len() as u64).read_to_end(&mut start)?;
    let zeros = start.iter().rev().take_while(|byte| **byte == 0).count();
    start.truncate(start.len() - zeros);
    // A file without a single frame has no other sign that tlsweep wrote it.
    let is_ours = whole > 0 || !start.is_empty() || is_only_zeros(&mut BufReader::new(&mut *file))?;
    if !(MAGIC.starts_with(&start) && is_ours) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("from byte {whole} on it is not the frames of zstd that tlsweep writes"),
        ));
    }
    if let Some(next) = frame_behind(file, whole)? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is damaged from byte {whole} to byte {next}, where good frames follow"),
        ));
    }
    Ok(())
}

/// Whether all that is left to read is zeros.
pub(super) fn is_only_zeros(rest: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = rest.fill_buf()?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        match bytes.len() {
            0 => return Ok(true),
            length => rest.consume(length),
        }
    }
}

/// Where the first whole frame begins behind `start`.
fn frame_behind(file: &mut (impl Read + Seek), start: u64) -> io::Result<Option<u64>> {
    let mut from = start + 1;
    while let Some(place) = find_magic(file, from)? {
        file.seek(SeekFrom::Start(place))?;
        let mut reader = BufReader::with_capacity(CHUNK, &mut *file);
        if let Next::Frame(_) = Decoder::new()?.next_frame(&mut reader)? {
            return Ok(Some(place));
        }
        from = place + 1;
    }
    Ok(None)
}

/// Where the next frame seems to begin, at `from` or behind it.
fn find_magic(file: &mut (impl Read + Seek), from: u64) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(from))?;
    let mut read = Vec::new();
    let mut start = from;
    loop {
        let added = (&mut *file).take(CHUNK as u64).read_to_end(&mut read)?;
        if let Some(place) = read.windows(MAGIC.len()).position(|bytes| bytes == MAGIC) {
            return Ok(Some(start + place as u64));
        }
        if added == 0 {
            return Ok(None);
        }
        // A magic number may be cut in two by the end of what was read.
        let used = read.len().saturating_sub(MAGIC.len() - 1);
        read.drain(..used);
        start += used as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn frame(text: &[u8]) -> Vec<u8> {
        let mut frames = Frames::new().unwrap();
        frames.add(text);
        frames.end().unwrap().0
    }

    fn noise(length: u32) -> Vec<u8> {
        (0..length).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect()
    }

    /// The text of the whole frames, and their length.
    fn read(bytes: &[u8]) -> io::Result<(Vec<u8>, u64)> {
        let mut file = Cursor::new(bytes);
        let whole = whole_frames(&mut file)?;
        let mut text = Vec::new();
        if whole > 0 {
            text_of_frames(&mut file, whole)?.read_to_end(&mut text)?;
        }
        Ok((text, whole))
    }

    #[test]
    fn a_frame_that_is_torn_off_anywhere_is_left_out() {
        let (first, second) = (frame(&noise(200_000)), frame(b"second"));
        let both = [&first[..], &second].concat();
        for end in first.len()..both.len() {
            assert_eq!(read(&both[..end]).unwrap(), (noise(200_000), first.len() as u64), "{end}");
        }
        let (text, length) = read(&both).unwrap();
        assert_eq!((text.len(), length), (200_006, both.len() as u64));
        for end in (0..first.len()).step_by(101) {
            assert_eq!(read(&first[..end]).unwrap(), (Vec::new(), 0), "{end}");
        }
    }

    #[test]
    fn what_a_crash_leaves_at_the_end_is_left_out() {
        let good = frame(b"good\n");
        let last = frame(&noise(50_000));
        let damaged_at = |place: usize| {
            let mut bytes = last.clone();
            bytes[place] ^= 1;
            bytes
        };
        let zeros_from = |place: usize| [&last[..place], &vec![0; last.len() - place][..]].concat();
        for tail in [
            damaged_at(last.len() - 1),
            damaged_at(last.len() / 2),
            zeros_from(0),
            zeros_from(2),
            zeros_from(7),
            zeros_from(4096),
            vec![0; 3],
            vec![0; 3 << 20],
        ] {
            let read = read(&[&good[..], &tail].concat()).unwrap();
            assert_eq!(read, (b"good\n".to_vec(), good.len() as u64), "{} bytes", tail.len());
        }
        // The only frame there is.
        assert_eq!(read(&damaged_at(9)).unwrap(), (Vec::new(), 0));
        assert_eq!(read(&[0; 5000]).unwrap(), (Vec::new(), 0));
    }

    #[test]
    fn damage_before_good_frames_says_where() {
        let (first, second, third) = (frame(b"1\n"), frame(&noise(300_000)), frame(b"3\n"));
        let (start, end) = (first.len(), first.len() + second.len());
        for place in [0, 2, 5, second.len() / 2, second.len() - 1] {
            let mut damaged = second.clone();
            damaged[place..].iter_mut().for_each(|byte| *byte = 0);
            let error = read(&[&first[..], &damaged, &third].concat()).unwrap_err().to_string();
            assert!(error.contains(&format!("byte {start} to byte {end}")), "{place}: {error}");
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        let good = frame(&b"text\n".repeat(1000));
        let cases: [&[u8]; 4] = [b"h", b"hello\n", b"\x28\xb6hello", b"{\"v\":1"];
        for bytes in cases {
            assert!(read(bytes).is_err(), "{bytes:?}");
            let error = read(&[&good, bytes].concat()).unwrap_err().to_string();
            assert!(error.contains(&format!("from byte {}", good.len())), "{error}");
        }
        assert!(read(b"\0\0\0\x20ftypmp42").is_err(), "begins with zeros as other files do");
    }

    #[test]
    fn a_frame_that_asks_for_much_memory_is_an_error_and_not_damage() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(WINDOW_LOG + 1).unwrap();
        io::Write::write_all(&mut encoder, b"text\n").unwrap();
        let error = read(&encoder.finish().unwrap()).unwrap_err().to_string();
        assert!(error.contains("memory"), "{error}");
    }

    #[test]
    fn a_frame_of_very_much_text_is_read() {
        let length = 115_000_000;
        let big = zstd::encode_all(io::repeat(b'x').take(length), 1).unwrap();
        let mut file = Cursor::new(big);
        let whole = whole_frames(&mut file).unwrap();
        let copied =
            io::copy(&mut text_of_frames(&mut file, whole).unwrap(), &mut io::sink()).unwrap();
        assert_eq!(copied, length);
    }

    #[test]
    fn a_frame_ends_when_it_is_full() {
        let mut frames = Frames::new().unwrap();
        frames.add(&[b'x'; FRAME - 1]);
        assert!(!frames.is_full());
        frames.add(b"x");
        assert!(frames.is_full());
        let (frame, targets) = frames.end().unwrap();
        assert_eq!((read(&frame).unwrap().0.len(), targets), (FRAME, 2));
        assert!(frames.is_empty() && !frames.is_old());
    }

    #[test]
    fn a_frame_stays_small_but_for_a_target_that_is_alone_in_it() {
        let mut frames = Frames::new().unwrap();
        assert!(frames.has_room_for(&[b'x'; 3 * FRAME]));
        frames.add(b"x");
        assert!(frames.has_room_for(&[b'x'; FRAME - 1]) && !frames.has_room_for(&[b'x'; FRAME]));
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
