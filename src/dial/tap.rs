//! The socket, with a count of what passes and the first bytes that came.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::certificate_count::{PlaintextCounter, TooManyCertificates};
use crate::dial::framing::Framing;
use crate::failure::{EVIDENCE_LIMIT, is_shortage};
use crate::limits::BEGINNING_LIMIT;

/// A TCP connection under observation.
#[derive(Debug)]
pub struct Tap {
    stream: TcpStream,
    sent: u64,
    received: u64,
    /// Of those received, how many came before TLS began.
    before_tls: u64,
    /// At most [`BEGINNING_LIMIT`] bytes of those received.
    beginning: Vec<u8>,
    keeps_beginning: bool,
    certificates: PlaintextCounter,
    /// Reading stops here, counted in bytes received.
    limit: u64,
    /// What is to be sent before anything is read.
    unsent: Vec<u8>,
    gathers: bool,
    /// Why it could not be sent.
    unsendable: Option<io::Error>,
    /// How TLS is packed.
    framing: Option<Box<dyn Framing>>,
}

/// The error of a read beyond the limit that [`Tap::limit_reading`] set.
#[derive(Debug)]
pub struct ReadLimitReached;

impl Tap {
    /// Observes `stream` from now on.
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            sent: 0,
            received: 0,
            before_tls: 0,
            beginning: Vec::new(),
            keeps_beginning: true,
            certificates: PlaintextCounter::new(),
            limit: u64::MAX,
            unsent: Vec::new(),
            gathers: false,
            unsendable: None,
            framing: None,
        }
    }

    /// Bytes written to the socket.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes read from the socket.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether the peer has sent anything since TLS began.
    pub fn is_answered(&self) -> bool {
        self.received > self.before_tls
    }

    /// The first bytes that the peer sent since TLS began, at most [`EVIDENCE_LIMIT`].
    pub fn first(&self) -> &[u8] {
        self.beginning.get(..EVIDENCE_LIMIT).unwrap_or(&self.beginning)
    }

    /// What the peer sent since TLS began, at most [`BEGINNING_LIMIT`] bytes.
    pub fn beginning(&self) -> &[u8] {
        &self.beginning
    }

    /// Gives up the first bytes, and keeps none from now on.
    pub fn forget_beginning(&mut self) {
        self.beginning = Vec::new();
        self.keeps_beginning = false;
    }

    /// What came so far was plain text; TLS begins here, packed if need be.
    ///
    /// # Errors
    /// The peer has hung up, as a write was told.
    pub fn begin_tls(&mut self, framing: Option<Box<dyn Framing>>) -> io::Result<()> {
        self.framing = framing;
        self.before_tls = self.received;
        self.beginning.clear();
        self.certificates = PlaintextCounter::new();
        self.unsendable.take().map_or(Ok(()), Err)
    }

    /// The handshake is over, and with it the packing of what is sent.
    pub fn end_handshake(&mut self) {
        if let Some(framing) = &mut self.framing {
            framing.end_handshake();
        }
    }

    /// From now on, at most `bytes` more are read; the read after that fails with
    /// [`ReadLimitReached`].
    pub fn limit_reading(&mut self, bytes: u64) {
        self.limit = self.received.saturating_add(bytes);
    }

    /// From now on, every write goes out without waiting for what was sent before it to arrive.
    pub fn hurry(&self) {
        // A socket that refuses the option is only slower.
        let _best_effort = self.stream.set_nodelay(true);
    }

    /// From now on, whether not even a flush sends anything before the next read: what belongs
    /// together then shares a segment and a system call.
    pub fn gather(&mut self, gathers: bool) {
        self.gathers = gathers;
    }

    /// Sends what was gathered as far as the socket takes it, without waiting: the last words of a
    /// dial.
    pub fn send_the_rest(&mut self) {
        if self.unsent.is_empty() {
            return;
        }
        if let Ok(length) = self.stream.try_write(&self.unsent) {
            self.sent += length as u64;
        }
        self.unsent = Vec::new();
    }

    /// Sends `question` and waits until there is something to read, or the end. What waits here
    /// takes hardly any memory: the question is given back once it is sent.
    ///
    /// # Errors
    /// The socket's.
    pub fn ask(&mut self, question: Vec<u8>) -> impl Future<Output = io::Result<()>> {
        self.queue(&question);
        poll_fn(|cx| {
            ready!(self.poll_send(cx))?;
            self.stream.poll_read_ready(cx)
        })
    }

    /// Closes with RST, for a dial that is given up.
    pub fn abort(self) {
        // A socket that refuses the option is closed with FIN.
        let _best_effort = self.stream.set_zero_linger();
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent)) {
                Ok(written) => {
                    self.sent += written as u64;
                    self.unsent.drain(..written);
                }
                Err(error) => {
                    self.unsent = Vec::new();
                    if is_shortage(&error) {
                        return Poll::Ready(Err(error));
                    }
                    // Not tried again: reads go on to what the peer has said, and to how it ended.
                    self.unsendable.get_or_insert(error);
                }
            }
        }
        self.unsent = Vec::new();
        Poll::Ready(Ok(()))
    }

    fn queue(&mut self, bytes: &[u8]) {
        match &mut self.framing {
            None => self.unsent.extend_from_slice(bytes),
            Some(framing) => framing.pack(bytes, &mut self.unsent),
        }
    }

    fn keep_beginning(&mut self, bytes: &[u8]) -> Result<(), TooManyCertificates> {
        if self.keeps_beginning {
            let room = BEGINNING_LIMIT.saturating_sub(self.beginning.len());
            self.beginning.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
        self.certificates.receive(bytes)
    }

    /// Takes down what was read, and unpacks it; returns how much of it there is then.
    fn take_in(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.received += bytes.len() as u64;
        let Some(framing) = &mut self.framing else {
            self.keep_beginning(bytes).map_err(io::Error::other)?;
            return Ok(bytes.len());
        };
        match framing.unpack(bytes) {
            Ok(length) => {
                let unpacked = bytes.get(..length).unwrap_or_default();
                self.keep_beginning(unpacked).map_err(io::Error::other)?;
                Ok(length)
            }
            Err(error) => {
                // What came is the evidence; there is no message in it that could be counted.
                let _uncounted = self.keep_beginning(bytes);
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }
}

impl ReadLimitReached {
    /// Whether `error` says that the limit was reached.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        loop {
            let left = this.limit - this.received;
            if left == 0 {
                return Poll::Ready(Err(io::Error::other(ReadLimitReached)));
            }
            let room = buf.remaining().min(usize::try_from(left).unwrap_or(usize::MAX));
            let mut within = ReadBuf::new(buf.initialize_unfilled_to(room));
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut within))?;
            // The kernel reports a reset only once: when a write has met it, the read sees a mere
            // end. A broken pipe says no more than that: the end came before the reset.
            let told = |error: &io::Error| error.kind() != io::ErrorKind::BrokenPipe;
            if within.filled().is_empty() {
                return Poll::Ready(this.unsendable.take().filter(told).map_or(Ok(()), Err));
            }
            let length = this.take_in(within.filled_mut())?;
            if length > 0 {
                buf.advance(length);
                return Poll::Ready(Ok(()));
            }
            // No more than a packet's header came, which is not the end.
        }
    }
}

/// What is written goes out with the next flush or read.
impl AsyncWrite for Tap {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().queue(buf);
        Poll::Ready(Ok(buf.len()))
    }

    /// All at once, since an alert on a failure is written once and not again.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.framing {
            None => bufs.iter().for_each(|buf| this.unsent.extend_from_slice(buf)),
            // What is written together shares packets.
            Some(_) => this.queue(&Vec::from_iter(bufs.iter().flat_map(|buf| buf.iter().copied()))),
        }
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.gathers { Poll::Ready(Ok(())) } else { this.poll_send(cx) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

impl std::fmt::Display for ReadLimitReached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the read limit was reached")
    }
}

impl std::error::Error for ReadLimitReached {}
