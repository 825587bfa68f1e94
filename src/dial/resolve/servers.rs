//! Asks the name servers one at a time. The next one is asked when one is silent or fails.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answer::{Answer, read};
use super::question::{HEADER, Question};
use super::udp::{Reply, Sockets};
use super::{Cause, Families, ResolverSettings, Unresolved, tcp};
use crate::deadline::answered_within;
use crate::failure::{self, Failure, Kind, Stage};
use crate::limits::RESOLVER_TCP;

/// Questions of a lookup, at least: enough to survive lost packets. Each server gets two.
const TRIES: usize = 3;

/// The shortest time that a server is given to answer.
const SHORTEST_TRY: Duration = Duration::from_millis(50);

/// Sockets for each name server: with more, fewer answers are lost to a full buffer.
const SOCKETS: usize = 64;

/// A warning says that a server is silent after this many questions in a row without an answer, if
/// it has never answered.
const SILENCES: u32 = 3;

/// The same for a server that has answered before. It is larger because some names get no answer
/// anywhere, and such names may follow each other in a list.
const SILENCES_LATER: u32 = 100;

/// A server that cannot be reached but has answered less than this long ago may be restarting, so it is
/// asked again. It is given up after that: each lookup would wait in vain.
const RESTART: Duration = Duration::from_secs(10);

/// The name servers of a sweep, in the order in which they are to be asked.
pub(super) struct NameServers {
    servers: Vec<NameServer>,
    /// How long a server is given to answer.
    limit: Duration,
    /// Whether every question goes over TCP.
    tcp_only: bool,
    /// Places for answers over TCP.
    tcp: Semaphore,
}

struct NameServer {
    address: SocketAddr,
    sockets: Sockets,
    /// Whether it knows EDNS, as far as it has said.
    knows_edns: AtomicBool,
    /// Tries without an answer since its last answer.
    silences: AtomicU32,
    /// Lookups that asked it in vain.
    lost: AtomicU64,
    begun: Instant,
    /// When it answered last, in milliseconds after `begun`. 0: it has never answered.
    answered: AtomicU64,
    is_said: AtomicBool,
}

impl NameServers {
    pub(super) fn new(settings: &ResolverSettings, tcp_only: bool) -> Self {
        let count = settings.servers.len();
        // Each lookup in flight has one descriptor in the budget. At most half of them are for UDP
        // sockets. All others are for TCP: a lookup has two questions, so that even if all answers come
        // over TCP and take as long as they may, a question gets a place after two others.
        let sockets = (settings.in_flight.get() / (2 * count.max(1))).min(SOCKETS);
        let left = settings.in_flight.get().saturating_sub(sockets * count);
        let tcp = left.clamp(1, RESOLVER_TCP);
        let tries = u32::try_from(tries(count)).unwrap_or(u32::MAX);
        Self {
            servers: settings.servers.iter().map(|at| NameServer::new(*at, sockets)).collect(),
            limit: (settings.limit / tries).max(SHORTEST_TRY),
            tcp_only,
            tcp: Semaphore::new(tcp),
        }
    }

    /// Asks for the records of this type.
    ///
    /// Servers that have been silent of late are asked last, and twice only when all were silent. The
    /// second question has no EDNS: some servers, and some firewalls, drop a question that has it.
    /// A question whose try is over stays open, and its answer counts whenever it comes: the server
    /// may be slow, and the limit is that of the whole lookup. A server that may be restarting counts as
    /// silent, and is not asked again before its try is over.
    pub(super) async fn ask(
        &self,
        name: &Name,
        record_type: RecordType,
        settings: &ResolverSettings,
    ) -> Result<Answer, Unresolved> {
        let mut servers: Vec<_> = self.servers.iter().collect();
        servers.sort_by_cached_key(|server| server.silences());
        let mut failed: Option<Unresolved> = None;
        let mut tries_left = tries(servers.len());
        let mut open = Vec::new();
        // A and AAAA are asked at once. Together they count as one name.
        let mut is_first = settings.families == Families::V6 || record_type == RecordType::A;
        let mut is_again = false;
        let mut back_at = None;
        while !servers.is_empty() {
            if let Some(back_at) = back_at.take().filter(|_| tries_left > 0) {
                tokio::time::sleep_until(back_at).await;
            }
            let mut silent = Vec::new();
            for server in servers {
                let Some(left) = tries_left.checked_sub(1) else { break };
                tries_left = left;
                let knows_edns = server.knows_edns.load(Ordering::Relaxed);
                let edns = !is_again && !self.tcp_only && knows_edns;
                let question = Question::new(name, record_type, edns)?;
                let mut over_tcp = None;
                if self.tcp_only {
                    over_tcp = Some(self.ask_over_tcp(server, &question, settings).await);
                } else {
                    open.push(Box::pin(server.ask(question)));
                }
                let until = Instant::now() + self.limit;
                let end = loop {
                    let (asked, answer) = match over_tcp.take() {
                        Some(answer) => (server, answer),
                        None => self.next_answer(server, &mut open, until, settings).await,
                    };
                    asked.note(answer.as_ref().err().map(|it| it.cause), is_first);
                    let unresolved = match answer {
                        Ok(answer) => return Ok(answer),
                        Err(unresolved) => unresolved,
                    };
                    let end = TryEnd::of(unresolved.cause, asked);
                    // Of several failures, the most informative one is kept.
                    failed = failed.into_iter().chain([unresolved]).max_by_key(|it| it.cause);
                    // A late failure of another server does not end this one's try.
                    if std::ptr::eq(asked, server) {
                        break end;
                    }
                };
                match end {
                    TryEnd::Silent => silent.push(server),
                    TryEnd::Away => {
                        silent.push(server);
                        back_at = Some(until);
                    }
                    TryEnd::Failed => {}
                }
            }
            let says_something = failed.as_ref().is_some_and(|it| it.cause > Cause::Closed);
            servers = if says_something { Vec::new() } else { silent };
            // One lost packet is no reason to go back to a server that never answers.
            servers.sort_by_cached_key(|server| (!server.has_answered(), server.silences()));
            is_first = false;
            is_again = true;
        }
        Err(failed.unwrap_or_else(nobody_to_ask))
    }

    /// The next answer over UDP, of whichever server; at `until`, the silence of this one.
    async fn next_answer<'a>(
        &'a self,
        server: &'a NameServer,
        open: &mut Vec<
            Pin<Box<impl Future<Output = (&'a NameServer, Question, io::Result<Reply>)>>>,
        >,
        until: Instant,
        settings: &ResolverSettings,
    ) -> (&'a NameServer, Result<Answer, Unresolved>) {
        let left = until.saturating_duration_since(Instant::now());
        match answered_within(left, first(open)).await.flatten() {
            Some((asked, question, reply)) => {
                (asked, self.answer(asked, &question, reply, settings).await)
            }
            None => (server, Err(server.silence())),
        }
    }

    /// What a reply over UDP comes to, which may take another question.
    async fn answer(
        &self,
        server: &NameServer,
        question: &Question,
        reply: io::Result<Reply>,
        settings: &ResolverSettings,
    ) -> Result<Answer, Unresolved> {
        let answer = match reply.map_err(|error| server.unreachable(&error, true))? {
            Reply::Message(message) => read(&message, question, settings).ok(),
            Reply::OtherCase => {
                let answer = self.ask_over_tcp(server, question, settings).await;
                return answer.map_err(|it| match it.cause {
                    Cause::Silence | Cause::Closed => Unresolved::answered(Failure::new(
                        Stage::Resolve,
                        Kind::ServerFailure,
                        "the name server repeats the question in other letters, and does not \
                         answer over TCP",
                    )),
                    Cause::OwnMachine | Cause::Answered => it,
                });
            }
            Reply::Nonsense(message) => header_only(&message),
        };
        match answer {
            Some(Answer::Truncated) => self.ask_over_tcp(server, question, settings).await,
            Some(Answer::Failed(code)) if question.has_edns && is_without_edns(code) => {
                server.knows_edns.store(false, Ordering::Relaxed);
                let question = Question::new(&question.name, question.record_type, false)?;
                let (_, question, reply) = answered_within(self.limit, server.ask(question))
                    .await
                    .ok_or_else(|| server.silence())?;
                Box::pin(self.answer(server, &question, reply, settings)).await
            }
            answer => {
                if !question.has_edns && !server.has_answered() {
                    // It answers the first question without EDNS after those with it were lost.
                    server.knows_edns.store(false, Ordering::Relaxed);
                }
                understood(answer)
            }
        }
    }

    async fn ask_over_tcp(
        &self,
        server: &NameServer,
        question: &Question,
        settings: &ResolverSettings,
    ) -> Result<Answer, Unresolved> {
        // Others' answers may hold all places for long, for which this server is not to blame.
        // The semaphore is never closed, so this does not fail.
        let _place = self.tcp.acquire().await;
        let asked = async {
            let message = tcp::ask(server.address, question).await?;
            io::Result::Ok(read(&message, question, settings).ok())
        };
        let answer = answered_within(self.limit, asked).await.ok_or_else(|| server.silence())?;
        understood(match answer {
            Ok(Some(Answer::Truncated)) => None,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            answer => answer.map_err(|error| server.unreachable(&error, false))?,
        })
    }
}

/// Waits for the first of these futures to end, removes it and returns its result. None if there are no
/// futures.
///
/// They are a handful, so all of them are polled: what a `FuturesUnordered` needs to know which of many
/// was woken costs more.
async fn first<F: Future>(open: &mut Vec<Pin<Box<F>>>) -> Option<F::Output> {
    poll_fn(|cx| {
        for (place, asked) in open.iter_mut().enumerate() {
            if let Poll::Ready(answer) = asked.as_mut().poll(cx) {
                drop(open.swap_remove(place));
                return Poll::Ready(Some(answer));
            }
        }
        if open.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

fn nobody_to_ask() -> Unresolved {
    let detail = "there is no name server to ask";
    Unresolved::answered(Failure::new(Stage::Resolve, Kind::Timeout, detail))
}

/// How a try without an answer ended.
enum TryEnd {
    /// It may answer when it is asked again.
    Silent,
    /// It may answer when the time of this try is over.
    Away,
    /// Asking again is of no use: the server has answered with an error or cannot be reached, or this machine
    /// could not ask.
    Failed,
}

impl TryEnd {
    fn of(cause: Cause, server: &NameServer) -> Self {
        match cause {
            Cause::Silence => Self::Silent,
            Cause::Closed if server.may_be_restarting() => Self::Away,
            Cause::Closed | Cause::OwnMachine | Cause::Answered => Self::Failed,
        }
    }
}

impl NameServer {
    /// Asks over UDP, and waits for the reply without a limit.
    async fn ask(&self, question: Question) -> (&Self, Question, io::Result<Reply>) {
        let reply = self.sockets.ask(&question).await;
        (self, question, reply)
    }

    fn new(address: SocketAddr, sockets: usize) -> Self {
        Self {
            address,
            sockets: Sockets::new(address, sockets),
            knows_edns: true.into(),
            silences: 0.into(),
            lost: 0.into(),
            begun: Instant::now(),
            answered: 0.into(),
            is_said: false.into(),
        }
    }

    fn silences(&self) -> u32 {
        self.silences.load(Ordering::Relaxed)
    }

    fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed) > 0
    }

    fn may_be_restarting(&self) -> bool {
        let answered = Duration::from_millis(self.answered.load(Ordering::Relaxed));
        self.has_answered() && self.begun.elapsed().saturating_sub(answered) < RESTART
    }

    fn silence(&self) -> Unresolved {
        let detail = format!("no answer from the name server {}", self.address);
        let failure = Failure::new(Stage::Resolve, Kind::Timeout, detail);
        Unresolved { failure, cause: Cause::Silence, is_shortage: false }
    }

    fn unreachable(&self, error: &io::Error, is_bound: bool) -> Unresolved {
        let failure = Failure::from_io(Stage::Resolve, error);
        // The port is bound, so this error means that no local address of that family exists.
        let has_no_address = is_bound && error.raw_os_error() == Some(libc::EADDRNOTAVAIL);
        if failure.stage == Stage::Local && !has_no_address {
            let is_shortage = failure::is_shortage(error);
            return Unresolved { failure, cause: Cause::OwnMachine, is_shortage };
        }
        let detail = format!("the name server {} cannot be reached: {error}", self.address);
        let failure = Failure::new(Stage::Resolve, Kind::Timeout, detail);
        Unresolved { failure, cause: Cause::Closed, is_shortage: false }
    }

    /// Remembers how a question ended, and says once that there are no answers. Each lookup counts
    /// once, by its first question.
    fn note(&self, failed: Option<Cause>, is_first: bool) {
        let is_closed = match failed {
            Some(Cause::OwnMachine) => return,
            Some(Cause::Answered) | None => {
                self.silences.store(0, Ordering::Relaxed);
                let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.answered.store(now.max(1), Ordering::Relaxed);
                return;
            }
            Some(Cause::Closed) => true,
            Some(Cause::Silence) => false,
        };
        let silences = self.silences.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let one = u64::from(is_first);
        let lost = self.lost.fetch_add(one, Ordering::Relaxed) + one;
        let most = match self.has_answered() {
            true => SILENCES_LATER,
            false => SILENCES,
        };
        let is_dead = is_closed || silences >= most;
        if is_dead && !self.is_said.swap(true, Ordering::Relaxed) {
            let what = if is_closed { "cannot be reached" } else { "does not answer" };
            // The first to know may be the second question of a name, which does not count.
            let lost = lost.max(1);
            let names = if lost == 1 { "name has" } else { "names have" };
            tracing::warn!(
                "the name server {} {what}: {lost} {names} asked it in vain so far",
                self.address
            );
        }
    }
}

/// How many questions a lookup may take with so many servers.
fn tries(servers: usize) -> usize {
    (2 * servers).max(TRIES)
}

/// Whether servers that do not know EDNS, or not its version, answer with this code (RFC 6891,
/// sections 6.1.3 and 7).
fn is_without_edns(code: ResponseCode) -> bool {
    const BADVERS: u16 = 16;
    matches!(code, ResponseCode::FormErr | ResponseCode::NotImp) || u16::from(code) == BADVERS
}

/// The answer in a message that consists of a header alone.
fn header_only(message: &[u8]) -> Option<Answer> {
    let code = message.get(3).filter(|_| message.len() == HEADER)? & 0x0f;
    (code != 0).then(|| Answer::Failed(ResponseCode::from(0, code)))
}

/// Turns an answer that is of no use into a failure.
fn understood(answer: Option<Answer>) -> Result<Answer, Unresolved> {
    let detail = match answer {
        Some(Answer::Failed(code)) => format!("the name server answered {code}"),
        Some(Answer::TooManyAliases) => {
            "the name has too many aliases, or they lead nowhere".into()
        }
        Some(answer) => return Ok(answer),
        None => "the name server's answer cannot be read".into(),
    };
    let failure = Failure::new(Stage::Resolve, Kind::ServerFailure, detail);
    Err(Unresolved::answered(failure))
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use tokio::net::UdpSocket;

    use super::*;
    use crate::feed::exclude::Exclusions;

    /// Answers one question for `name.test.`, whose wire form has 11 bytes.
    async fn answer_one(socket: &UdpSocket) {
        let mut question = [0; 512];
        let (_length, client) = socket.recv_from(&mut question).await.unwrap();
        let header = [&question[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]].concat();
        let address = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1];
        let answer = [&header[..], &question[HEADER..HEADER + 11 + 4], &address].concat();
        socket.send_to(&answer, client).await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_restarts_is_asked_again() {
        let socket = UdpSocket::bind("127.77.3.5:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let settings = ResolverSettings {
            servers: vec![address],
            in_flight: NonZero::new(8).unwrap(),
            limit: Duration::from_secs(3),
            families: Families::V4,
            addresses: NonZero::new(8).unwrap(),
            exclude: Exclusions::default(),
        };
        let servers = NameServers::new(&settings, false);
        let name: Name = "name.test.".parse().unwrap();
        let (answer, ()) =
            tokio::join!(servers.ask(&name, RecordType::A, &settings), answer_one(&socket));
        assert!(answer.is_ok());

        drop(socket);
        let restart = async {
            while servers.servers[0].silences.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            let socket = UdpSocket::bind(address).await.unwrap();
            answer_one(&socket).await;
        };
        let (answer, ()) = tokio::join!(servers.ask(&name, RecordType::A, &settings), restart);
        assert!(answer.is_ok());
    }
}
