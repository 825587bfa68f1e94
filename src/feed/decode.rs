//! Input that is not plain UTF-8: UTF-16 by its byte order mark, gzip and zstd by their first bytes.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs_io::DecodeReaderBytes;
use flate2::bufread::GzDecoder;

/// Where bytes come from.
pub(crate) type Bytes = Box<dyn Read + Send>;

/// How a source is encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Encoding {
    Utf16,
    Gzip,
    Zstd,
}

/// How each begins: RFC 1952, section 2.3.1; RFC 8878, section 3.1.1.
const MAGIC: [(&[u8], Encoding); 4] = [
    (b"\xff\xfe", Encoding::Utf16),
    (b"\xfe\xff", Encoding::Utf16),
    (b"\x1f\x8b", Encoding::Gzip),
    (b"\x28\xb5\x2f\xfd", Encoding::Zstd),
];

/// A source as text.
pub(crate) struct Decoded {
    pub(crate) text: Bytes,
    /// Whether `position` counts the bytes of the source itself. The lines of an encoded source
    /// have another length than its bytes.
    pub(crate) is_counted: bool,
}

/// Decodes `source`. When it is encoded, `position` counts the bytes that are read from it.
///
/// # Errors
/// Its first bytes cannot be read.
pub(crate) fn decoded(mut source: Bytes, position: &Arc<AtomicU64>) -> io::Result<Decoded> {
    let (start, encoding) = first_bytes(&mut source)?;
    let source = Cursor::new(start).chain(source);
    let Some(encoding) = encoding else {
        return Ok(Decoded { text: Box::new(source), is_counted: false });
    };
    let source = Counted { source, position: Arc::clone(position) };
    let text: Bytes = match encoding {
        Encoding::Utf16 => Box::new(DecodeReaderBytes::new(source)),
        Encoding::Gzip => {
            decompressed("gzip", Parts::new(source, |source| Ok(GzDecoder::new(source))))?
        }
        Encoding::Zstd => decompressed("zstd", Parts::new(source, one_frame))?,
    };
    Ok(Decoded { text, is_counted: true })
}

/// What is compressed may be UTF-16 as well.
fn decompressed(format: &'static str, decoder: impl Read + Send + 'static) -> io::Result<Bytes> {
    let mut text: Bytes = Box::new(Decompressed { format, decoder });
    let (start, encoding) = first_bytes(&mut text)?;
    let text = Cursor::new(start).chain(text);
    Ok(match encoding {
        Some(Encoding::Utf16) => Box::new(DecodeReaderBytes::new(text)),
        _ => Box::new(text),
    })
}

fn one_frame<R: BufRead>(source: R) -> io::Result<zstd::Decoder<'static, R>> {
    Ok(zstd::Decoder::with_buffer(source)?.single_frame())
}

/// A decoder of one part of a compressed source: a member of gzip, a frame of zstd.
trait Part: Read {
    type Source: BufRead;

    /// The source, which stands behind this part once that was read to its end.
    fn into_source(self) -> Self::Source;
}

impl<R: BufRead> Part for GzDecoder<R> {
    type Source = R;

    fn into_source(self) -> R {
        self.into_inner()
    }
}

impl<R: BufRead> Part for zstd::Decoder<'static, R> {
    type Source = R;

    fn into_source(self) -> R {
        self.finish()
    }
}

/// The parts of a compressed source, one behind the other. Zeros behind a part are passed over, as
/// gzip(1) does: tapes and file systems fill up with them.
struct Parts<P: Part> {
    now: Now<P>,
    begin: fn(P::Source) -> io::Result<P>,
}

enum Now<P: Part> {
    /// In a part.
    Inside(P),
    /// In front of a part or of the end.
    Between(P::Source),
    /// A part could not be begun.
    Broken,
}

impl<P: Part> Parts<P> {
    fn new<R: Read>(source: R, begin: fn(P::Source) -> io::Result<P>) -> Self
    where
        P: Part<Source = BufReader<R>>,
    {
        Self { now: Now::Between(BufReader::new(source)), begin }
    }
}

impl<P: Part> Read for Parts<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.now, Now::Broken) {
                Now::Inside(mut part) => {
                    let read = part.read(buffer);
                    match read {
                        Ok(0) if !buffer.is_empty() => self.now = Now::Between(part.into_source()),
                        _ => {
                            self.now = Now::Inside(part);
                            return read;
                        }
                    }
                }
                Now::Between(mut source) => {
                    let has_more = skip_zeros(&mut source);
                    if let Ok(true) = has_more {
                        self.now = Now::Inside((self.begin)(source)?);
                        continue;
                    }
                    self.now = Now::Between(source);
                    return has_more.map(|_at_the_end| 0);
                }
                Now::Broken => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// Passes over zeros; whether something else comes behind them.
fn skip_zeros(source: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = source.fill_buf()?;
        let length = bytes.len();
        match bytes.iter().position(|byte| *byte != 0) {
            Some(zeros) => {
                source.consume(zeros);
                return Ok(true);
            }
            None if length == 0 => return Ok(false),
            None => source.consume(length),
        }
    }
}

/// Reads only as many bytes as are needed to recognize the encoding, because somebody may be
/// typing.
fn first_bytes(source: &mut dyn Read) -> io::Result<(Vec<u8>, Option<Encoding>)> {
    let mut start = Vec::new();
    loop {
        let begun = |(magic, _): &&(&[u8], Encoding)| magic.starts_with(&start);
        match MAGIC.iter().find(begun) {
            None => return Ok((start, None)),
            Some((magic, encoding)) if magic.len() == start.len() => {
                return Ok((start, Some(*encoding)));
            }
            Some(_) => {}
        }
        let mut next = [0];
        match source.read(&mut next) {
            Ok(0) => return Ok((start, None)),
            Ok(_) => start.extend(next),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Counts the bytes that are read.
struct Counted<R> {
    source: R,
    position: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.position.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// Adds the name of the encoding to errors.
struct Decompressed<R> {
    format: &'static str,
    decoder: R,
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| {
            let format = self.format;
            let text = match error.kind() {
                io::ErrorKind::Interrupted => return error,
                io::ErrorKind::UnexpectedEof => {
                    format!("its {format} data is torn off; the lines before that were read")
                }
                _ => format!(
                    "its {format} data is damaged: {error}; the lines before that were read"
                ),
            };
            io::Error::new(error.kind(), text)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Hands out a byte at a time.
    struct Slowly(Cursor<Vec<u8>>);

    impl Read for Slowly {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    fn read(bytes: &[u8]) -> io::Result<(String, bool)> {
        let position = Arc::default();
        let source = Box::new(Slowly(Cursor::new(bytes.to_vec())));
        let Decoded { mut text, is_counted } = decoded(source, &position)?;
        let mut read = String::new();
        text.read_to_string(&mut read)?;
        assert_eq!(
            position.load(Ordering::Relaxed),
            if is_counted { bytes.len() as u64 } else { 0 }
        );
        Ok((read, is_counted))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(unit).collect()
    }

    const TEXT: &str = "a.test\r\nb\u{fc}cher.test,,\u{1f512}\r\n";

    #[test]
    fn every_encoding_is_text() {
        let gz = gzip(TEXT.as_bytes());
        let zst = zstd::encode_all(TEXT.as_bytes(), 1).unwrap();
        for bytes in [utf16(TEXT, u16::to_le_bytes), utf16(TEXT, u16::to_be_bytes), gz, zst] {
            assert_eq!(read(&bytes).unwrap(), (TEXT.to_owned(), true), "{bytes:x?}");
        }
        for inner in [utf16(TEXT, u16::to_le_bytes), utf16(TEXT, u16::to_be_bytes)] {
            assert_eq!(read(&gzip(&inner)).unwrap().0, TEXT);
        }
        let frame = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
        for pack in [&gzip as &dyn Fn(&[u8]) -> Vec<u8>, &frame] {
            for zeros in [0, 1, 512, 100_000] {
                let zeros = vec![0; zeros];
                let parts = [pack(b"a\n"), pack(b""), zeros.clone(), pack(b"b\n"), zeros].concat();
                assert_eq!(read(&parts).unwrap().0, "a\nb\n", "parts one behind the other");
            }
            let junk = [pack(b"a\n"), b"\0\0junk".to_vec()].concat();
            let error = read(&junk).unwrap_err().to_string();
            assert!(error.contains("is damaged") || error.contains("is torn"), "{error}");
        }
    }

    #[test]
    fn plain_text_is_left_alone() {
        for text in ["", "a", "a.test\n", "\u{feff}a.test\n", "(\u{b5}/"] {
            assert_eq!(read(text.as_bytes()).unwrap(), (text.to_owned(), false));
        }
    }

    #[test]
    fn what_is_torn_or_damaged_says_so() {
        let text = (0..5000).map(|n| format!("{n}.test\n")).collect::<String>();
        for (format, whole) in [
            ("gzip", gzip(text.as_bytes())),
            ("zstd", zstd::encode_all(text.as_bytes(), 1).unwrap()),
        ] {
            let error = read(&whole[..whole.len() / 2]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert!(error.to_string().contains(&format!("{format} data is torn off")), "{error}");
            // Without a checksum, zstd takes some damage for other text.
            if format == "zstd" {
                continue;
            }
            let mut damaged = whole;
            let place = damaged.len() / 2;
            damaged[place..place + 8].fill(0xff);
            let error = read(&damaged).unwrap_err().to_string();
            assert!(error.contains(&format!("its {format} data is")), "{error}");
        }
    }
}
