//! What a scripted peer does with a connection, step by step.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task;
use tokio_rustls::TlsAcceptor;

use super::tds::{self, Packets, Packing};
use super::tls::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, Chain, HANDSHAKE, Msg, Session, Signer,
    plain_record,
};

pub(crate) const CLOSE_NOTIFY: u8 = 0;

#[derive(Clone)]
pub(crate) enum Step {
    /// Bytes as they are.
    Send(Vec<u8>),
    /// Bytes one at a time, with a pause before each.
    Drip(Vec<u8>, Duration),
    Pause(Duration),
    /// From here on a pause goes before every record.
    Pace(Duration),
    /// Does nothing more, but reads, until the client closes.
    Hold,
    /// Does nothing more, reading included, until the peer is dropped.
    Freeze,
    /// FIN, and then `Hold`.
    Fin,
    /// RST.
    Reset,
    Forever(Vec<Self>),

    /// Reads exactly these bytes; the script ends when the client says anything else.
    Hear(Vec<u8>),
    /// Does this instead of the rest if the record of the ClientHello, which stays unread, is such.
    IfHello(fn(&[u8]) -> bool, Vec<Self>),
    /// Goes on as the server there.
    Relay(SocketAddr),
    /// Goes on as rustls' own server.
    Serve(Arc<ServerConfig>),
    /// Reads the packets of one TDS message.
    HearPackets,
    /// Goes on as `Relay` or `Serve`, with TLS inside packets of TDS.
    InPackets(Packing, Box<Self>),

    /// Waits for a whole ClientHello and leaves it unread.
    PeekHello,
    /// Reads a whole ClientHello, without which there is no TLS.
    ReadHello,
    /// From here on this signer's certificate is shown, and its signatures are.
    SignAs(&'static Signer),
    /// Sends the ClientHello back.
    Echo,
    /// From here on handshake messages are cut into records of at most so many bytes.
    CutInto(usize),
    Say(Msg),
    /// Says a message with other bytes at an offset.
    Patched(Msg, usize, &'static [u8]),
    /// Says a message whose last byte is wrong.
    Spoiled(Msg),
    /// A record of this type and content, sealed if there are keys by now.
    Record(u8, Vec<u8>),
    /// The same with a wrong last byte.
    SpoiledRecord(u8, Vec<u8>),
    /// TLS 1.3, from reading the hello to the server's Finished, but only the first messages of
    /// it: `UpTo(0)` reads the hello, `UpTo(5)` says Finished.
    UpTo(usize),
    /// The same of TLS 1.2, up to ServerHelloDone.
    UpTo12(usize),
    /// A good handshake.
    Handshake,
    Handshake12,
    /// Reads what the client of TLS 1.2 says after ServerHelloDone.
    ReadClientKey,
}

pub(crate) const SERVER_HELLO: usize = 1;
pub(crate) const EXTENSIONS: usize = 2;
pub(crate) const CERTIFICATE: usize = 3;
pub(crate) const VERIFY: usize = 4;
pub(crate) const FINISHED: usize = FLIGHT.len();

const FLIGHT: [Msg; 5] = [
    Msg::ServerHello,
    Msg::Extensions(&[]),
    Msg::Certificate(Chain::Good),
    Msg::Verify,
    Msg::Finished,
];

pub(crate) const CERTIFICATE12: usize = 2;
pub(crate) const HELLO_DONE12: usize = 4;

const FLIGHT12: [Msg; 4] =
    [Msg::ServerHello12, Msg::Certificate12(Chain::Good), Msg::KeyExchange12, Msg::HelloDone12];

pub(crate) fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

pub(crate) fn hear(bytes: impl AsRef<[u8]>) -> Step {
    Step::Hear(bytes.as_ref().to_vec())
}

pub(crate) fn warning(description: u8) -> Step {
    Step::Record(ALERT, vec![1, description])
}

pub(crate) fn fatal(description: u8) -> Step {
    Step::Record(ALERT, vec![2, description])
}

pub(crate) fn data(size: usize) -> Step {
    Step::Record(APPLICATION_DATA, vec![b'x'; size])
}

/// Plays a script on a connection. An error is the client's going away, which ends the script.
pub(crate) async fn play(script: &[Step], stream: TcpStream) -> io::Result<()> {
    let mut stage = Stage {
        stream,
        unsent: Vec::new(),
        unread: Vec::new(),
        hello: Vec::new(),
        session: None,
        pace: None,
    };
    stage.perform_all(script).await?;
    stage.flush().await
}

/// The only wait for time in the peers: part of what is played, never a guess that something else
/// will have happened by then.
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

/// rustls' server, which reads until the client says goodbye and then does the same.
pub(crate) async fn serve<S>(config: Arc<ServerConfig>, stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = TlsAcceptor::from(config).accept(stream).await?;
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    stream.shutdown().await
}

struct Stage {
    stream: TcpStream,
    unsent: Vec<u8>,
    unread: Vec<u8>,
    /// The record of the ClientHello.
    hello: Vec<u8>,
    session: Option<Session>,
    pace: Option<Duration>,
}

/// Small records of a flood leave together, or the flood would be a trickle.
const WRITE_TOGETHER: usize = 64 * 1024;

impl Stage {
    async fn perform_all(&mut self, script: &[Step]) -> io::Result<()> {
        for step in script {
            Box::pin(self.perform(step)).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Send(bytes) => self.send(bytes).await,
            Step::Drip(bytes, interval) => self.drip(bytes, *interval).await,
            Step::Pause(length) => self.pause(*length).await,
            Step::Pace(interval) => {
                self.pace = Some(*interval);
                Ok(())
            }
            Step::Hold => self.hold().await,
            Step::Freeze => {
                self.flush().await?;
                std::future::pending().await
            }
            Step::Fin => {
                self.flush().await?;
                self.stream.shutdown().await?;
                self.hold().await
            }
            Step::Reset => {
                self.flush().await?;
                SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Step::Forever(steps) => loop {
                self.perform_all(steps).await?;
            },
            Step::Hear(bytes) => self.hear(bytes).await,
            Step::IfHello(is_such, instead) => {
                if !is_such(&self.peek_hello().await?) {
                    return Ok(());
                }
                self.perform_all(instead).await?;
                self.flush().await?;
                Err(io::ErrorKind::Other.into())
            }
            Step::Relay(addr) => {
                self.flush().await?;
                let mut there = TcpStream::connect(addr).await?;
                tokio::io::copy_bidirectional(&mut self.stream, &mut there).await.map(drop)
            }
            Step::Serve(config) => {
                self.flush().await?;
                serve(Arc::clone(config), &mut self.stream).await
            }
            Step::HearPackets => {
                self.flush().await?;
                tds::hear(&mut self.stream).await
            }
            Step::InPackets(packing, step) => {
                self.flush().await?;
                let mut stream = Packets::new(&mut self.stream, *packing);
                match &**step {
                    Step::Serve(config) => serve(Arc::clone(config), &mut stream).await,
                    Step::Relay(addr) => {
                        let mut there = TcpStream::connect(addr).await?;
                        tokio::io::copy_bidirectional(&mut stream, &mut there).await.map(drop)
                    }
                    _ => panic!("only a server of TLS can be packed"),
                }
            }
            Step::PeekHello => self.peek_hello().await.map(drop),
            Step::ReadHello => self.read_hello().await,
            Step::SignAs(signer) => {
                self.session().sign_as(signer);
                Ok(())
            }
            Step::Echo => {
                let hello = self.hello.clone();
                self.send(&hello).await
            }
            Step::CutInto(size) => {
                self.session().cut_into(*size);
                Ok(())
            }
            Step::Say(msg) => self.say(msg, |_| ()).await,
            Step::Patched(msg, offset, bytes) => {
                let patch = |said: &mut [u8]| {
                    said[*offset..*offset + bytes.len()].copy_from_slice(bytes);
                };
                self.say(msg, patch).await
            }
            Step::Spoiled(msg) => self.say(msg, spoil).await,
            Step::Record(kind, payload) => {
                let record = self.record(*kind, payload);
                self.send_record(&record).await
            }
            Step::SpoiledRecord(kind, payload) => {
                let mut record = self.record(*kind, payload);
                spoil(&mut record);
                self.send_record(&record).await
            }
            Step::UpTo(count) => self.say_first(&FLIGHT[..*count]).await,
            Step::UpTo12(count) => self.say_first(&FLIGHT12[..*count]).await,
            Step::Handshake => {
                self.say_first(&FLIGHT).await?;
                self.read_record_of(APPLICATION_DATA).await.map(drop)
            }
            Step::Handshake12 => {
                self.say_first(&FLIGHT12).await?;
                self.read_client_key().await?;
                self.say(&Msg::Finished12, |_| ()).await
            }
            Step::ReadClientKey => self.read_client_key().await,
        }
    }

    async fn say_first(&mut self, messages: &[Msg]) -> io::Result<()> {
        if self.session.is_none() {
            self.read_hello().await?;
        }
        for msg in messages {
            self.say(msg, |_| ()).await?;
        }
        Ok(())
    }

    async fn say(&mut self, msg: &Msg, spoil: impl FnOnce(&mut [u8])) -> io::Result<()> {
        if matches!(msg, Msg::ServerHello | Msg::ServerHelloWith(..))
            && !self.session().speaks_tls13()
        {
            // A hello of old, which the client under test sends when it was turned down.
            return Err(io::ErrorKind::Unsupported.into());
        }
        if let Some(record) = self.session().change_cipher_spec(msg) {
            self.send_record(&record).await?;
        }
        let session = self.session();
        let message = if msg.is_large() {
            // The thread's other peers go on elsewhere meanwhile.
            task::block_in_place(|| session.message(msg, spoil))
        } else {
            session.message(msg, spoil)
        };
        let fragment = self.session().fragment();
        // Sealing 16 MB takes seconds in a debug build, so each record is made when it is its turn.
        for payload in message.chunks(fragment) {
            let record = self.record(HANDSHAKE, payload);
            self.send_record(&record).await?;
        }
        self.session().change_keys(msg);
        Ok(())
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("the script reads the hello first")
    }

    fn record(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        match &mut self.session {
            Some(session) => session.record(kind, payload),
            None => plain_record(kind, payload),
        }
    }

    async fn send_record(&mut self, record: &[u8]) -> io::Result<()> {
        if let Some(interval) = self.pace {
            self.pause(interval).await?;
        }
        self.send(record).await
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unsent.extend_from_slice(bytes);
        if self.unsent.len() >= WRITE_TOGETHER {
            self.flush().await?;
        }
        // All peers share a few threads. A peer that made a whole flood in one turn would keep
        // the others waiting for longer than the limits that the tests set.
        task::yield_now().await;
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.unsent).await?;
        self.unsent.clear();
        Ok(())
    }

    async fn drip(&mut self, bytes: &[u8], interval: Duration) -> io::Result<()> {
        for byte in bytes {
            self.pause(interval).await?;
            self.send(&[*byte]).await?;
        }
        self.flush().await
    }

    async fn pause(&mut self, length: Duration) -> io::Result<()> {
        self.flush().await?;
        pause(length).await;
        Ok(())
    }

    async fn hold(&mut self) -> io::Result<()> {
        self.flush().await?;
        tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await.map(drop)
    }

    /// Leaves what stands behind these bytes to whoever reads next.
    async fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush().await?;
        let mut heard = vec![0; bytes.len()];
        self.stream.read_exact(&mut heard).await?;
        if heard == bytes { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    async fn peek_hello(&mut self) -> io::Result<Vec<u8>> {
        self.flush().await?;
        let mut hello = vec![0; 16 * 1024];
        loop {
            let peeked = self.stream.peek(&mut hello).await?;
            // A packet of TDS has a header before the record's.
            let at = if hello[0] == tds::PRELOGIN { tds::HEADER } else { 0 };
            let length = usize::from(u16::from_be_bytes([hello[at + 3], hello[at + 4]]));
            let end = at + RECORD_HEADER + length;
            if peeked > at + RECORD_HEADER && peeked >= end {
                return Ok(hello[at..end].to_vec());
            }
            if peeked == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            task::yield_now().await;
        }
    }

    async fn read_hello(&mut self) -> io::Result<()> {
        self.hello = self.read_record_of(HANDSHAKE).await?;
        self.session = Some(Session::new(&self.hello[RECORD_HEADER..]));
        Ok(())
    }

    async fn read_client_key(&mut self) -> io::Result<()> {
        let record = self.read_record_of(HANDSHAKE).await?;
        self.session().take_client_key(&record[RECORD_HEADER..]);
        self.read_record_of(CHANGE_CIPHER_SPEC).await?;
        self.read_record_of(HANDSHAKE).await.map(drop)
    }

    /// Skips records until one is of this type.
    async fn read_record_of(&mut self, kind: u8) -> io::Result<Vec<u8>> {
        self.flush().await?;
        loop {
            let record = self.read_record().await?;
            if record[0] == kind {
                return Ok(record);
            }
        }
    }

    async fn read_record(&mut self) -> io::Result<Vec<u8>> {
        self.read_at_least(RECORD_HEADER).await?;
        let length = usize::from(u16::from_be_bytes([self.unread[3], self.unread[4]]));
        self.read_at_least(RECORD_HEADER + length).await?;
        Ok(self.unread.drain(..RECORD_HEADER + length).collect())
    }

    async fn read_at_least(&mut self, count: usize) -> io::Result<()> {
        while self.unread.len() < count {
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

const RECORD_HEADER: usize = 5;

fn spoil(bytes: &mut [u8]) {
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
}
