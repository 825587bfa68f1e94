//! Questions over UDP, many at once through each of a few sockets.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::question::{Match, Question, compare};
use super::unread::Unread;
use crate::deadline::within;
use crate::failure::{from_the_network, is_shortage};

/// Questions that are sent through a socket before it is replaced by one with another port.
const QUESTIONS: u32 = 256;

/// Receive buffer of a socket, in bytes. The kernel may allow less.
const RECEIVE_BUFFER: usize = 1 << 20;

/// The largest datagram that is read. EDNS announces less to the servers.
const DATAGRAM: usize = 4096;

/// How long to wait for a good answer after one that could not be used. An attacker who has guessed
/// port and id can forge such an answer; it must not end the lookup at once.
const GRACE: Duration = Duration::from_millis(100);

/// How often a question is sent again because another question's error closed its socket.
const CLOSED_SOCKETS: usize = 4;

/// What came for a question.
#[derive(Debug)]
pub(super) enum Reply {
    /// A message that repeats the question.
    Message(Vec<u8>),
    /// Only a message that repeats the question with letters in another case.
    OtherCase,
    /// Only a message that cannot be read.
    Nonsense(Vec<u8>),
}

/// The sockets to one name server. They are opened when they are needed, and connected: the kernel
/// passes on no datagram from elsewhere, and says so when nobody listens there.
///
/// Each loop of a sweep has sockets of its own. A runtime reads the sockets that were opened on it, so
/// an answer to another loop would wake another thread, and would be lost at the end of the runtime.
pub(super) struct Sockets {
    server: SocketAddr,
    most: usize,
    loops: RwLock<Vec<Loop>>,
    unread: Unread,
}

/// The sockets that were opened on one runtime.
struct Loop {
    runtime: Id,
    sockets: Mutex<Vec<Arc<Connected>>>,
}

struct Connected {
    udp: Arc<UdpSocket>,
    waiting: Arc<Waiting>,
    questions_left: AtomicU32,
    reader: AbortHandle,
}

/// The lookups that wait for answers on a socket, by the id of their question. `None` once the
/// socket is closed.
struct Waiting(Mutex<Option<HashMap<u16, Asker>>>);

struct Asker {
    /// The question as it was sent.
    wire: Box<[u8]>,
    reply: oneshot::Sender<io::Result<Reply>>,
    /// Whether something came that could not be used.
    is_doubtful: bool,
}

/// A question under way; it is forgotten when this is dropped.
struct Asked {
    socket: Arc<Connected>,
    id: u16,
    reply: oneshot::Receiver<io::Result<Reply>>,
}

impl Sockets {
    /// At most `most` sockets at once, and at least one for each loop.
    pub(super) fn new(server: SocketAddr, most: usize) -> Self {
        Self { server, most, loops: RwLock::default(), unread: Unread::new() }
    }

    /// Asks once few questions are on their way, and waits for the answer without a limit.
    ///
    /// # Errors
    /// The server is not there, or this machine has no socket to spare.
    pub(super) async fn ask(&self, question: &Question) -> io::Result<Reply> {
        for _ in 0..CLOSED_SOCKETS {
            let permit = self.unread.permit().await;
            let socket = self.socket(question)?;
            let Some(mut asked) = socket.expect(question) else { continue };
            if let Err(error) = asked.socket.udp.send(&question.message(asked.id)).await {
                // A temporary shortage does not concern the other questions on this socket.
                if !is_shortage(&error) {
                    asked.socket.close(&error);
                }
                return Err(error);
            }
            let sent = Instant::now();
            let early = within(self.unread.limit(), &mut asked.reply).await;
            drop(permit);
            let reply = match early {
                Some(reply) => reply,
                None => (&mut asked.reply).await,
            };
            // No reply at all means that the reading task has ended.
            if let Ok(reply) = reply {
                if reply.is_ok() {
                    self.unread.answered(sent.elapsed());
                }
                return reply;
            }
        }
        Err(io::ErrorKind::NotConnected.into())
    }

    /// A random one of this loop.
    fn socket(&self, question: &Question) -> io::Result<Arc<Connected>> {
        let runtime = Handle::current().id();
        loop {
            let loops = self.loops.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(own) = loops.iter().find(|it| it.runtime == runtime) {
                return own.socket(question, self.server, self.share(loops.len()));
            }
            drop(loops);
            self.add(runtime);
        }
    }

    /// Makes room for the sockets of another loop.
    fn add(&self, runtime: Id) {
        let mut loops = self.loops.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread of the same runtime may have been faster.
        if loops.iter().any(|it| it.runtime == runtime) {
            return;
        }
        // A runtime that has ended has closed its sockets. One that still runs gets a place again when it
        // asks.
        loops.retain(|it| {
            let sockets = it.lock();
            sockets.is_empty() || sockets.iter().any(|socket| socket.is_open())
        });
        loops.push(Loop { runtime, sockets: Mutex::default() });
        let share = self.share(loops.len());
        loops.iter().for_each(|it| it.lock().truncate(share));
    }

    /// How many sockets each of so many loops may have.
    fn share(&self, loops: usize) -> usize {
        (self.most / loops.max(1)).max(1)
    }
}

impl Loop {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Connected>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A random one of at most `most`, opened anew if it has served its time.
    fn socket(
        &self,
        question: &Question,
        server: SocketAddr,
        most: usize,
    ) -> io::Result<Arc<Connected>> {
        let place = question.random_below(most);
        let mut sockets = self.lock();
        if let Some(socket) = sockets.get(place).filter(|socket| socket.takes_one_more()) {
            return Ok(Arc::clone(socket));
        }
        let socket = Arc::new(Connected::open(server)?);
        match sockets.get_mut(place) {
            Some(old) => *old = Arc::clone(&socket),
            None => sockets.push(Arc::clone(&socket)),
        }
        Ok(socket)
    }
}

impl Connected {
    fn open(server: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(server), Type::DGRAM.nonblocking(), None)?;
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        // The kernel chooses a random port. Bound before, because a connect does not say whether it
        // lacked a port or an address.
        socket.bind(&any.into())?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.connect(&server.into())?;
        let udp = Arc::new(UdpSocket::from_std(socket.into())?);
        let waiting = Arc::new(Waiting(Mutex::new(Some(HashMap::new()))));
        let reader = tokio::spawn(read(Arc::clone(&udp), Reader(Arc::clone(&waiting))));
        Ok(Self { udp, waiting, questions_left: QUESTIONS.into(), reader: reader.abort_handle() })
    }

    fn takes_one_more(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        let taken = self.questions_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok() && self.is_open()
    }

    fn is_open(&self) -> bool {
        self.waiting.lock().is_some()
    }

    /// Prepares for the answer; none if the socket is closed.
    fn expect(self: Arc<Self>, question: &Question) -> Option<Asked> {
        let mut waiting = self.waiting.lock();
        let askers = waiting.as_mut()?;
        let (reply, receiver) = oneshot::channel();
        let mut id = question.id();
        while askers.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        askers.insert(id, Asker { wire: question.wire().into(), reply, is_doubtful: false });
        drop(waiting);
        Some(Asked { socket: self, id, reply: receiver })
    }

    /// Tells all who wait why there will be no answer.
    fn close(&self, error: &io::Error) {
        self.waiting.close(error);
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.reply.close();
        if let Some(askers) = self.socket.waiting.lock().as_mut() {
            // Once answered, the id may belong to another question, whose asker still waits.
            if askers.get(&self.id).is_some_and(|asker| asker.reply.is_closed()) {
                askers.remove(&self.id);
            }
        }
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u16, Asker>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, error: &io::Error) {
        for asker in self.lock().take().into_iter().flat_map(HashMap::into_values) {
            let error = match error.raw_os_error() {
                Some(number) => io::Error::from_raw_os_error(number),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            // An asker that has given up needs no answer.
            let _taken = asker.reply.send(Err(error));
        }
    }

    /// Passes a datagram on to the one whose question it answers.
    fn deliver(self: &Arc<Self>, message: &[u8]) {
        let [high, low, ..] = *message else { return };
        let id = u16::from_be_bytes([high, low]);
        let mut waiting = self.lock();
        let Some(askers) = waiting.as_mut() else { return };
        let Some(asker) = askers.get_mut(&id) else { return };
        let doubtful = match compare(&asker.wire, message) {
            Match::Other => return,
            Match::Whole => {
                let asker = askers.remove(&id);
                let reply = Ok(Reply::Message(message.to_vec()));
                let _taken = asker.map(|asker| asker.reply.send(reply));
                return;
            }
            Match::OtherCase => Reply::OtherCase,
            Match::Nonsense => Reply::Nonsense(message.to_vec()),
        };
        if !std::mem::replace(&mut asker.is_doubtful, true) {
            let (wire, waiting) = (asker.wire.clone(), Arc::clone(self));
            tokio::spawn(async move {
                tokio::time::sleep(GRACE).await;
                waiting.settle(id, &wire, doubtful);
            });
        }
    }

    /// Ends the wait with the doubtful reply, if no good one has come.
    fn settle(&self, id: u16, wire: &[u8], doubtful: Reply) {
        let mut waiting = self.lock();
        let Some(askers) = waiting.as_mut() else { return };
        if askers.get(&id).is_some_and(|asker| asker.wire.as_ref() == wire) {
            let asker = askers.remove(&id);
            let _taken = asker.map(|asker| asker.reply.send(Ok(doubtful)));
        }
    }
}

/// When the reading task ends, tells every asker that the socket is closed.
struct Reader(Arc<Waiting>);

impl Drop for Reader {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

async fn read(socket: Arc<UdpSocket>, reader: Reader) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => {
                // The end of a datagram that fills the buffer may be missing.
                if length == buffer.len() {
                    mark_truncated(&mut buffer);
                }
                reader.0.deliver(buffer.get(..length).unwrap_or_default());
            }
            Err(error) => return reader.0.close(&from_the_network(error)),
        }
    }
}

/// Sets the bit that makes a client ask again over TCP (RFC 1035, section 4.1.1).
fn mark_truncated(message: &mut [u8]) {
    const TRUNCATED: u8 = 0x02;
    if let Some(flags) = message.get_mut(2) {
        *flags |= TRUNCATED;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net;

    use hickory_proto::rr::RecordType;
    use tokio::runtime::{Builder, Runtime};
    use tokio::task::JoinSet;

    use super::super::unread::PERMITS;
    use super::*;

    /// Longer than any answer takes.
    const LIMIT: Duration = Duration::from_secs(10);

    fn server() -> (net::UdpSocket, SocketAddr) {
        let socket = net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// Asks a question, does `meanwhile` before it is answered, and says where it came from.
    async fn ask(
        sockets: &Sockets,
        server: &net::UdpSocket,
        meanwhile: impl FnOnce(),
    ) -> SocketAddr {
        let question = Question::new(&"name.test.".parse().unwrap(), RecordType::A, true).unwrap();
        let (reply, client) = tokio::join!(within(LIMIT, sockets.ask(&question)), async {
            let mut message = [0; 512];
            let (length, client) = loop {
                match server.recv_from(&mut message) {
                    Ok(received) => break received,
                    Err(_nothing_yet) => tokio::task::yield_now().await,
                }
            };
            meanwhile();
            message[2] |= 0x80;
            server.send_to(&message[..length], client).unwrap();
            client
        });
        assert!(matches!(reply, Some(Ok(Reply::Message(_)))), "{reply:?}");
        client
    }

    /// Asks so often that every socket is taken. Returns how many there are.
    async fn count(sockets: &Sockets, server: &net::UdpSocket) -> usize {
        let mut clients = BTreeSet::new();
        for _ in 0..QUESTIONS / 4 {
            clients.insert(ask(sockets, server, || ()).await);
        }
        clients.len()
    }

    #[test]
    fn a_loop_reads_its_answers_itself() {
        let (server, address) = server();
        let sockets = Sockets::new(address, 1);
        let (first, second) = (runtime(), runtime());
        let client = first.block_on(ask(&sockets, &server, || ()));
        // Nobody drives the first runtime now.
        assert_ne!(second.block_on(ask(&sockets, &server, || ())), client);
        assert_eq!(first.block_on(ask(&sockets, &server, || ())), client);
    }

    #[test]
    fn the_end_of_a_loop_loses_no_question_of_another() {
        let (server, address) = server();
        let sockets = Sockets::new(address, 1);
        let (first, second) = (runtime(), runtime());
        first.block_on(ask(&sockets, &server, || ()));
        second.block_on(ask(&sockets, &server, || first.shutdown_background()));
        assert!(server.recv_from(&mut [0; 512]).is_err(), "it was asked twice");
    }

    #[test]
    fn loops_share_the_number_of_sockets() {
        let (server, address) = server();
        let sockets = Sockets::new(address, 4);
        let (first, second) = (runtime(), runtime());
        assert_eq!(first.block_on(count(&sockets, &server)), 4);
        assert_eq!(second.block_on(count(&sockets, &server)), 2);
        assert_eq!(first.block_on(count(&sockets, &server)), 2);
        // What has ended needs none.
        drop((first, second));
        assert_eq!(runtime().block_on(count(&sockets, &server)), 4);
    }

    /// Where nobody reads, the kernel keeps what was sent.
    #[tokio::test(start_paused = true)]
    async fn few_questions_are_sent_before_the_first_ones_are_read() {
        let (server, address) = server();
        let sockets = Arc::new(Sockets::new(address, 4));
        let mut asked = JoinSet::new();
        for _ in 0..=2 * PERMITS {
            let sockets = Arc::clone(&sockets);
            let name = "name.test.".parse().unwrap();
            asked.spawn(async move {
                sockets.ask(&Question::new(&name, RecordType::A, true).unwrap()).await
            });
        }
        let sent = async || {
            // A task that goes on keeps the clock where it is.
            for _ in 0..PERMITS {
                tokio::task::yield_now().await;
            }
            let mut message = [0; 512];
            std::iter::from_fn(|| server.recv_from(&mut message).ok()).collect::<Vec<_>>()
        };
        assert_eq!(sent().await.len(), PERMITS);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sent().await.len(), PERMITS);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sent().await.len(), 1);
    }
}
