//! TLS inside the packets of TDS, as SQL Server sends and reads it: packets of the type PRELOGIN as
//! long as the handshake goes on, TLS as it is from then on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

pub(crate) const HEADER: usize = 8;
pub(crate) const PRELOGIN: u8 = 18;

/// How what the server says is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packing {
    /// Bytes of TLS in a packet.
    pub(crate) packet: usize,
    /// Bytes in a segment, at most.
    pub(crate) segment: usize,
    /// The type of the packets.
    pub(crate) kind: u8,
}

impl Packing {
    /// As SQL Server does it.
    pub(crate) const USUAL: Self = Self { packet: 4088, segment: usize::MAX, kind: PRELOGIN };
}

/// Reads packets up to the last of a message.
pub(crate) async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    loop {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        stream.read_exact(&mut vec![0; length - HEADER]).await?;
        if header[1] == 1 {
            return Ok(());
        }
    }
}

/// The server's end of a connection.
pub(crate) struct Packets<S> {
    stream: S,
    packing: Packing,
    /// What the client sent and nobody has read: raw at first, then without headers.
    raw: Vec<u8>,
    unread: Vec<u8>,
    unsent: Vec<u8>,
    /// The client sends TLS as it is: to it, the handshake is over.
    is_bare: bool,
}

impl<S> Packets<S> {
    pub(crate) fn new(stream: S, packing: Packing) -> Self {
        Self {
            stream,
            packing,
            raw: Vec::new(),
            unread: Vec::new(),
            unsent: Vec::new(),
            is_bare: false,
        }
    }

    fn unpack(&mut self) -> io::Result<()> {
        while let Some(&kind) = self.raw.first() {
            if self.is_bare || matches!(kind, 20..=23) {
                self.is_bare = true;
                self.unread.append(&mut self.raw);
                break;
            }
            let Some(&[kind, status, high, low, ..]) = self.raw.first_chunk::<HEADER>() else {
                break;
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            if kind != PRELOGIN || status > 1 || !(HEADER + 1..=4096).contains(&length) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.raw.len() < length {
                break;
            }
            self.unread.extend(self.raw.drain(..length).skip(HEADER));
        }
        Ok(())
    }

    fn pack(&mut self, bytes: &[u8]) {
        if self.is_bare {
            self.unsent.extend_from_slice(bytes);
            return;
        }
        let count = bytes.len().div_ceil(self.packing.packet);
        for (number, payload) in bytes.chunks(self.packing.packet).enumerate() {
            let [high, low] = u16::try_from(HEADER + payload.len()).unwrap().to_be_bytes();
            let status = u8::from(number + 1 == count);
            self.unsent.extend([self.packing.kind, status, high, low, 0, 0, number as u8, 0]);
            self.unsent.extend_from_slice(payload);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Packets<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.unread.is_empty() {
            let mut bytes = [0; 4096];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.raw.extend_from_slice(read.filled());
            this.unpack()?;
        }
        let length = this.unread.len().min(buf.remaining());
        buf.put_slice(&this.unread[..length]);
        this.unread.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Packets<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pack(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.unsent.is_empty() {
            let length = this.unsent.len().min(this.packing.segment);
            let written =
                ready!(Pin::new(&mut this.stream).poll_write(cx, &this.unsent[..length]))?;
            this.unsent.drain(..written);
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
