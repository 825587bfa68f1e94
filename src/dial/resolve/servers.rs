//! Asks the name servers one at a time. The next one is asked when one is silent or fails.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answer::{Answer, read};
use super::question::{HEADER, Question};
use super::udp::{Reply, Sockets};
use super::{Cause, Families, Settings, Unresolved, tcp};
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

/// The name servers of a sweep, in the order in which they are to be asked.
pub(super) struct NameServers {
    servers: Vec<NameServer>,
    /// How long a server is given to answer.
    limit: Duration,
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
    has_answered: AtomicBool,
    is_said: AtomicBool,
}

impl NameServers {
    pub(super) fn new(settings: &Settings) -> Self {
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
            tcp: Semaphore::new(tcp),
        }
    }

    /// Asks for the records of this type.
    ///
    /// Servers that have been silent of late are asked last, and twice only when all were silent. The
    /// second question has no EDNS: some servers, and some firewalls, drop a question that has it.
    /// A question whose try is over stays open, and its answer counts whenever it comes: the server
    /// may be slow, and the limit is that of the whole lookup.
    pub(super) async fn ask(
        &self,
        name: &Name,
        record_type: RecordType,
        settings: &Settings,
    ) -> Result<Answer, Unresolved> {
        let mut servers: Vec<_> = self.servers.iter().collect();
        servers.sort_by_cached_key(|server| server.silences.load(Ordering::Relaxed));
        let mut failed: Option<Unresolved> = None;
        let mut tries_left = tries(servers.len());
        let mut open = FuturesUnordered::new();
        // A and AAAA are asked at once. Together they count as one name.
        let mut is_first = settings.families == Families::V6 || record_type == RecordType::A;
        let mut is_again = false;
        while !servers.is_empty() {
            let mut silent = Vec::new();
            for server in servers {
                let Some(left) = tries_left.checked_sub(1) else { break };
                tries_left = left;
                let edns = !is_again && server.knows_edns.load(Ordering::Relaxed);
                let question = Question::new(name, record_type, edns)?;
                open.push(server.ask(question));
                let until = Instant::now() + self.limit;
                loop {
                    let left = until.saturating_duration_since(Instant::now());
                    let (asked, answer) = match answered_within(left, open.next()).await.flatten() {
                        Some((asked, question, reply)) => {
                            (asked, self.answer(asked, &question, reply, settings).await)
                        }
                        None => (server, Err(server.silence())),
                    };
                    asked.note(answer.as_ref().err().map(|it| it.cause), is_first);
                    let unresolved = match answer {
                        Ok(answer) => return Ok(answer),
                        Err(unresolved) => unresolved,
                    };
                    let is_silent = unresolved.cause == Cause::Silence;
                    // Of several failures, the most informative one is kept.
                    failed = failed.into_iter().chain([unresolved]).max_by_key(|it| it.cause);
                    // A late failure of another server does not end this one's try.
                    if std::ptr::eq(asked, server) {
                        if is_silent {
                            silent.push(server);
                        }
                        break;
                    }
                }
            }
            let says_something = failed.as_ref().is_some_and(|it| it.cause > Cause::Closed);
            servers = if says_something { Vec::new() } else { silent };
            // One lost packet is no reason to go back to a server that never answers.
            servers.sort_by_cached_key(|server| {
                let is_unknown = !server.has_answered.load(Ordering::Relaxed);
                (is_unknown, server.silences.load(Ordering::Relaxed))
            });
            is_first = false;
            is_again = true;
        }
        Err(failed.unwrap_or_else(|| {
            let detail = "there is no name server to ask";
            Unresolved::answered(Failure::new(Stage::Resolve, Kind::Timeout, detail))
        }))
    }

    /// What a reply over UDP comes to, which may take another question.
    async fn answer(
        &self,
        server: &NameServer,
        question: &Question,
        reply: io::Result<Reply>,
        settings: &Settings,
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
                if !question.has_edns && !server.has_answered.load(Ordering::Relaxed) {
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
        settings: &Settings,
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
            has_answered: false.into(),
            is_said: false.into(),
        }
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
                self.has_answered.store(true, Ordering::Relaxed);
                return;
            }
            Some(Cause::Closed) => true,
            Some(Cause::Silence) => false,
        };
        let silences = self.silences.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let one = u64::from(is_first);
        let lost = self.lost.fetch_add(one, Ordering::Relaxed) + one;
        let most = match self.has_answered.load(Ordering::Relaxed) {
            true => SILENCES_LATER,
            false => SILENCES,
        };
        let is_dead = is_closed || silences >= most;
        if is_dead && !self.is_said.swap(true, Ordering::Relaxed) {
            let what = if is_closed { "cannot be reached" } else { "does not answer" };
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
