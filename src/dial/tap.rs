//! A TCP stream that counts bytes, keeps the first ones received, and bounds what is read.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::certificate_count::{PlaintextCounter, TooMuch};
use crate::dial::framing::Framing;
use crate::dial::records::Records;
use crate::dial::signals::Signals;
use crate::failure::{EVIDENCE_LIMIT, is_shortage};
use crate::limits::BEGINNING_LIMIT;

/// A TCP connection under observation.
#[derive(Debug)]
pub struct Tap {
    stream: TcpStream,
    sent: u64,
    received: u64,
    /// How many of the received bytes came before TLS began.
    before_tls: u64,
    /// What was received since TLS began, or until then of the plain text before it. Made when the first bytes
    /// come: a peer that is waited for does not need it.
    answer: Option<Box<Received>>,
    keeps_beginning: bool,
    /// Reading stops here, counted in bytes received.
    limit: u64,
    /// Present when each read returns one TLS record at most.
    records: Option<Box<Records>>,
    /// Written bytes that the socket has not taken yet. They are sent before the socket is read again.
    unsent: Vec<u8>,
    gathers: bool,
    /// The error of the last send. The next read reports it once there is nothing left to read.
    unsendable: Option<io::Error>,
    /// The packets of another protocol inside which TLS travels, if any.
    framing: Option<Box<dyn Framing>>,
    /// Told the first byte of TLS that the peer sends.
    signals: Option<Arc<Signals>>,
}

#[derive(Debug, Default)]
struct Received {
    /// Its first bytes, at most [`BEGINNING_LIMIT`].
    beginning: Vec<u8>,
    certificates: PlaintextCounter,
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
            answer: None,
            keeps_beginning: true,
            limit: u64::MAX,
            records: None,
            unsent: Vec::new(),
            gathers: false,
            unsendable: None,
            framing: None,
            signals: None,
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
        let beginning = self.beginning();
        beginning.get(..EVIDENCE_LIMIT).unwrap_or(beginning)
    }

    /// What the peer sent since TLS began, at most [`BEGINNING_LIMIT`] bytes.
    pub fn beginning(&self) -> &[u8] {
        self.answer.as_ref().map_or(&[], |answer| &answer.beginning)
    }

    /// Frees the first bytes, and keeps none from now on.
    pub fn forget_beginning(&mut self) {
        if let Some(answer) = &mut self.answer {
            answer.beginning = Vec::new();
        }
        self.keeps_beginning = false;
    }

    /// TLS begins here. What came before was plain text.
    ///
    /// # Errors
    /// An earlier write failed, because the peer has hung up.
    pub fn begin_tls(&mut self, framing: Option<Box<dyn Framing>>) -> io::Result<()> {
        self.framing = framing;
        self.before_tls = self.received;
        self.answer = None;
        self.unsendable.take().map_or(Ok(()), Err)
    }

    /// From now on, each read returns one TLS record at most, or a part of one. What a reader makes of a
    /// record then does not depend on what else came in the same segment: rustls fails as a whole when one
    /// of the records that it is given together is bad.
    ///
    /// Until the handshake is over, the read behind each record is put off once. tokio-rustls reads for as
    /// long as it can before it asks whether the handshake is complete, and would take what stands behind
    /// Finished for part of the handshake.
    ///
    /// A read that is put off returns `Pending` and wakes nobody. So whoever polls the handshake has to ask
    /// [`Tap::take_put_off`] after each `Pending`, and to poll again if it says true. Otherwise the handshake
    /// hangs.
    pub fn read_by_record(&mut self) {
        self.records = Some(Box::default());
    }

    /// Whether the latest read was put off, so that another one has to be tried now. Says so once.
    pub fn take_put_off(&mut self) -> bool {
        self.records.as_mut().is_some_and(|records| records.take_put_off())
    }

    /// The handshake is over. From now on nothing is packed, and no read is put off.
    pub fn end_handshake(&mut self) {
        if let Some(records) = &mut self.records {
            records.end_handshake();
        }
        if let Some(framing) = &mut self.framing {
            framing.end_handshake();
        }
    }

    /// From now on, at most `bytes` more are read; the read after that fails with
    /// [`ReadLimitReached`].
    pub fn limit_reading(&mut self, bytes: u64) {
        let behind = self.records.as_ref().map_or(0, |records| records.behind() as u64);
        self.limit = (self.received - behind).saturating_add(bytes);
        if let Some(records) = &mut self.records {
            records.limit(bytes);
        }
    }

    /// Tells `signals` the first byte that the peer sends from now on.
    pub fn tell_first_byte(&mut self, signals: Arc<Signals>) {
        self.signals = Some(signals);
    }

    /// Sets TCP_NODELAY.
    pub fn hurry(&self) {
        // A socket that refuses the option is only slower.
        let _best_effort = self.stream.set_nodelay(true);
    }

    /// Sets whether flushes are ignored until the next read, so that everything written until then
    /// shares a segment and a system call.
    pub fn gather(&mut self, gathers: bool) {
        self.gathers = gathers;
    }

    /// Sends what was gathered without waiting, as far as the socket takes it. For the last bytes
    /// of a dial.
    pub fn send_the_rest(&mut self) {
        if self.unsent.is_empty() {
            return;
        }
        // The dial ends here, and its result stands already.
        if let Ok(length) = self.stream.try_write(&self.unsent) {
            self.sent += length as u64;
        }
        self.unsent = Vec::new();
    }

    /// Sends what was queued, and waits until the socket is readable or closed. What is sent is freed, so
    /// that waiting takes hardly any memory.
    ///
    /// # Errors
    /// The socket's error.
    pub fn answered(&mut self) -> impl Future<Output = io::Result<()>> {
        poll_fn(|cx| {
            ready!(self.poll_send(cx))?;
            self.stream.poll_read_ready(cx)
        })
    }

    /// Closes with a reset, for a dial that is given up.
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
                    // The peer may have said why it closed, so reading goes on.
                    self.unsendable.get_or_insert(error);
                }
            }
        }
        self.unsent = Vec::new();
        Poll::Ready(Ok(()))
    }

    /// Adds `bytes` to what is sent next.
    pub fn queue(&mut self, bytes: &[u8]) {
        match &mut self.framing {
            None => self.unsent.extend_from_slice(bytes),
            Some(framing) => framing.pack(bytes, &mut self.unsent),
        }
    }

    fn keep_beginning(&mut self, bytes: &[u8]) -> Result<(), TooMuch> {
        if let Some(first) = bytes.first()
            && let Some(signals) = self.signals.take()
        {
            // Taken, so it is told only once.
            _ = signals.first_byte.set(*first);
        }
        let Received { beginning, certificates } = &mut **self.answer.get_or_insert_default();
        if self.keeps_beginning {
            let room = BEGINNING_LIMIT.saturating_sub(beginning.len());
            beginning.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
        certificates.receive(bytes)
    }

    /// Counts and unpacks what was read. Returns its length after unpacking.
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
                // The bytes are kept as evidence. They hold no certificates that could be counted.
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
        if let Some(records) = &mut this.records {
            if records.put_off() {
                return Poll::Pending;
            }
            if records.behind() > 0 {
                records.read_behind(buf);
                return Poll::Ready(Ok(()));
            }
        }
        // Not before: what is written between two records that came together is sent together.
        ready!(this.poll_send(cx))?;
        loop {
            let left = this.limit.saturating_sub(this.received);
            if left == 0 {
                return Poll::Ready(Err(io::Error::other(ReadLimitReached)));
            }
            let room = buf.remaining().min(usize::try_from(left).unwrap_or(usize::MAX));
            let mut within = ReadBuf::new(buf.initialize_unfilled_to(room));
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut within))?;
            // The kernel reports a reset only once. When a write got it, the read sees a plain end
            // of stream, so the write's error is reported here. A broken pipe is not: it means that
            // the end of the stream came before the reset.
            let told = |error: &io::Error| error.kind() != io::ErrorKind::BrokenPipe;
            if within.filled().is_empty() {
                return Poll::Ready(this.unsendable.take().filter(told).map_or(Ok(()), Err));
            }
            let length = this.take_in(within.filled_mut())?;
            if length > 0 {
                let bytes = within.filled().get(..length).unwrap_or_default();
                let length = match &mut this.records {
                    Some(records) => records.cut_off(bytes),
                    None => length,
                };
                buf.advance(length);
                return Poll::Ready(Ok(()));
            }
            // Only a packet's header came. That is not the end of the stream.
        }
    }
}

/// What is written goes out with the next flush, or before the socket is read again.
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
