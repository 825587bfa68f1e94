//! A name server whose every behaviour has a label of its own: `servfail.test` fails.

pub(crate) mod https;
mod record;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use self::record::{A, AAAA, CNAME, HTTPS, Record, wire_name};
use super::peer::RUNTIME;
use super::script::pause;

const NO_ERROR: u8 = 0;
const FORMAT_ERROR: u8 = 1;
const SERVER_FAILURE: u8 = 2;
const NAME_ERROR: u8 = 3;
const REFUSED: u8 = 5;

/// How many addresses `many.test` has: too many for a datagram, few enough for a message.
pub(crate) const MANY: u16 = 1500;

/// How many addresses `huge.test` has: as many as a message can hold.
const HUGE: u16 = 4090;

/// Longer than any limit that it is set against.
const SLOW: Duration = Duration::from_secs(20);
/// Long enough for many to be waited for at once, and shorter than any client asks again.
const LATE: Duration = Duration::from_millis(200);

/// A running name server on one port of UDP and TCP; it stops when it is dropped.
pub(crate) struct NameServer {
    addr: SocketAddr,
    book: Arc<Mutex<Book>>,
    _tasks: JoinSet<()>,
}

/// What a name server remembers.
#[derive(Default)]
struct Book {
    asked: Vec<(Transport, Asked)>,
    /// How often each of them was asked: a server that counts them anew for each question gets slower
    /// with every name, until it loses questions.
    counts: HashMap<Asked, usize>,
    /// Names that were ever late, and how many of them are.
    ever_late: HashSet<String>,
    late: usize,
    most_late: usize,
}

/// A question: the name in lower case, and the type of the records.
#[derive(Clone, Eq, Hash, PartialEq)]
struct Asked {
    name: String,
    kind: u16,
}

impl NameServer {
    /// Starts one that treats every name as its first label says.
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts one that treats every name as if its first label was this.
    pub(crate) fn always(label: &'static str) -> Self {
        Self::start_with(Some(label))
    }

    /// Starts one that treats every name as its first label says, and has these HTTPS records of names.
    pub(crate) fn with_https<'a>(records: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Self {
        let mut https: HashMap<String, Vec<Record>> = HashMap::new();
        for (name, data) in records {
            https.entry(name.to_owned()).or_default().push(Record::new(name, HTTPS, &data));
        }
        let (udp, tcp) = RUNTIME.block_on(bind_both());
        Self::serve(udp, tcp, Manner { https: Arc::new(https), ..Manner::default() })
    }

    /// Starts one at this address and port, which must be free: in a network namespace of its own.
    pub(crate) fn always_at(address: SocketAddr, label: &'static str) -> Self {
        let udp = RUNTIME.block_on(UdpSocket::bind(address)).unwrap();
        let tcp = RUNTIME.block_on(TcpListener::bind(address)).unwrap();
        Self::serve(udp, tcp, Manner { label: Some(label), ..Manner::default() })
    }

    fn start_with(label: Option<&'static str>) -> Self {
        let (udp, tcp) = RUNTIME.block_on(bind_both());
        Self::serve(udp, tcp, Manner { label, ..Manner::default() })
    }

    fn serve(udp: UdpSocket, tcp: TcpListener, manner: Manner) -> Self {
        let addr = udp.local_addr().unwrap();
        let book = manner.book.clone();
        let mut tasks = JoinSet::new();
        let _guard = RUNTIME.enter();
        tasks.spawn(serve_udp(Arc::new(udp), manner.clone()));
        tasks.spawn(serve_tcp(tcp, manner));
        Self { addr, book, _tasks: tasks }
    }

    /// Its address, for `--resolver`.
    pub(crate) fn address(&self) -> String {
        self.addr.to_string()
    }

    /// The names that it was asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.book.lock().unwrap().asked.iter().map(|(_, asked)| asked.name.clone()).collect()
    }

    /// How questions for this name came, and the numbers of the record types that were asked for.
    pub(crate) fn asked_how(&self, name: &str) -> BTreeSet<(Transport, u16)> {
        let how = |(how, it): &(Transport, Asked)| (it.name == name).then_some((*how, it.kind));
        self.book.lock().unwrap().asked.iter().filter_map(how).collect()
    }

    /// How often it was asked for IPv4 and for IPv6 addresses so far.
    pub(crate) fn asked_for_v4_and_v6(&self) -> (usize, usize) {
        let book = self.book.lock().unwrap();
        let count = |kind| book.asked.iter().filter(|(_, asked)| asked.kind == kind).count();
        (count(A), count(AAAA))
    }

    /// How many names `late.…` waited for their answers at the same time, at most.
    pub(crate) fn most_late(&self) -> usize {
        self.book.lock().unwrap().most_late
    }
}

/// How a name server answers, and where it writes down what it was asked.
#[derive(Clone, Default)]
struct Manner {
    label: Option<&'static str>,
    /// HTTPS records by the names that have them.
    https: Arc<HashMap<String, Vec<Record>>>,
    book: Arc<Mutex<Book>>,
}

impl Manner {
    /// Writes a question down; how often it has come by now.
    fn note(&self, query: &Query, transport: Transport) -> usize {
        let asked = Asked { name: query.name.clone(), kind: query.kind };
        let mut book = self.book.lock().unwrap();
        book.asked.push((transport, asked.clone()));
        let count = book.counts.entry(asked).or_default();
        *count += 1;
        *count
    }

    fn count(&self, query: &Query) -> usize {
        let asked = Asked { name: query.name.clone(), kind: query.kind };
        self.book.lock().unwrap().counts.get(&asked).copied().unwrap_or_default()
    }

    /// That of the name itself, not what an HTTPS record puts in front of it (`_8443._https`).
    fn label<'a>(&self, query: &'a Query) -> &'a str {
        let mut labels = query.name.split('.').filter(|label| !label.starts_with('_'));
        self.label.unwrap_or_else(|| labels.next().unwrap_or_default())
    }

    async fn be_late(&self, query: &Query) {
        let is_first = {
            let mut book = self.book.lock().unwrap();
            let is_first = book.ever_late.insert(query.name.clone());
            book.late += usize::from(is_first);
            book.most_late = book.most_late.max(book.late);
            is_first
        };
        pause(LATE).await;
        self.book.lock().unwrap().late -= usize::from(is_first);
    }
}

async fn bind_both() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        // Somebody else may have the port on TCP.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, manner: Manner) {
    let mut answers = JoinSet::new();
    let mut buffer = [0; 1500];
    loop {
        // An earlier answer's client may be gone, which the kernel reports here.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let Some(mut query) = Query::parse(&buffer[..length]) else {
            continue;
        };
        query.nth = manner.note(&query, Transport::Udp);
        let (socket, manner) = (socket.clone(), manner.clone());
        answers.spawn(async move {
            if manner.label(&query) == "forged" {
                for forged in forgeries(&query) {
                    _ = socket.send_to(&forged, client).await;
                }
            }
            if let Some(answer) = answer(&manner, &query, Transport::Udp).await {
                let socket = match manner.label(&query) {
                    "wrong-port" => &UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
                    _ => &*socket,
                };
                _ = socket.send_to(&answer, client).await;
            }
        });
        while answers.try_join_next().is_some() {}
    }
}

async fn serve_tcp(listener: TcpListener, manner: Manner) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("the test has descriptors left");
        let manner = manner.clone();
        connections.spawn(async move {
            _ = answer_over_tcp(stream, &manner).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer_over_tcp(mut stream: TcpStream, manner: &Manner) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut message = vec![0; length.into()];
        stream.read_exact(&mut message).await?;
        let query = Query::parse(&message).ok_or(io::ErrorKind::InvalidData)?;
        manner.note(&query, Transport::Tcp);
        if let Some(answer) = answer(manner, &query, Transport::Tcp).await {
            stream.write_u16(answer.len().try_into().unwrap()).await?;
            stream.write_all(&answer).await?;
        }
    }
}

/// What a question came over.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

struct Query {
    id: [u8; 2],
    /// In lower case, without the final dot.
    name: String,
    kind: u16,
    /// 1 when it comes for the first time.
    nth: usize,
    /// The question as it came.
    question: Vec<u8>,
    has_edns: bool,
}

impl Query {
    fn parse(message: &[u8]) -> Option<Self> {
        let mut labels = Vec::new();
        let mut at = 12;
        loop {
            let length = usize::from(*message.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            let label = message.get(at..at + length)?;
            labels.push(String::from_utf8_lossy(label).to_lowercase());
            at += length;
        }
        let question = message.get(12..at + 4)?.to_vec();
        let kind = u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?);
        let id = message.get(..2)?.try_into().ok()?;
        let has_edns = message.get(10..12)? != [0, 0];
        Some(Self { id, name: labels.join("."), kind, nth: 1, question, has_edns })
    }

    /// The same in lower case, whatever it came in.
    fn in_lower_case(&self) -> Self {
        Self { question: self.question.to_ascii_lowercase(), name: self.name.clone(), ..*self }
    }
}

/// What somebody sends who has seen only a part of the question: a hundred answers that lead to
/// 127.0.0.66 and must not be believed.
fn forgeries(query: &Query) -> Vec<Vec<u8>> {
    let elsewhere = |query: &Query| Answer::elsewhere(query).encode(query);
    let of_id = |id: [u8; 2]| {
        elsewhere(&Query {
            id,
            name: query.name.clone(),
            question: query.question.clone(),
            ..*query
        })
    };
    let of_question =
        |question: Vec<u8>| elsewhere(&Query { question, name: query.name.clone(), ..*query });
    let [high, low] = query.id;
    let mut forgeries: Vec<_> = (1..=60).map(|number| of_id([high, low ^ number])).collect();
    for number in 0..20 {
        // Another name, in the first letter of its first label; another type.
        let mut question = query.question.clone();
        question[1] = b'g' + number;
        forgeries.push(of_question(question));
        let mut question = query.question.clone();
        let kind = question.len() - 3;
        question[kind] ^= number + 1;
        forgeries.push(of_question(question));
    }
    // Each letter in the other case.
    for letter in [1, 2, 3, 4, 5] {
        let mut question = query.question.clone();
        question[letter] ^= 0x20;
        forgeries.push(of_question(question));
    }
    let mut random = 1_u32;
    forgeries.extend((0..20).map(|length| {
        let bytes = (0..length).map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 24) as u8
        });
        bytes.collect()
    }));
    forgeries
}

/// What the first label asks for; any that is not here is a name at 127.0.0.1.
async fn answer(manner: &Manner, query: &Query, transport: Transport) -> Option<Vec<u8>> {
    let label = manner.label(query);
    let answer = match label {
        _ if query.kind == HTTPS && manner.https.contains_key(&query.name) => {
            Answer::of(NO_ERROR, &manner.https[&query.name])
        }
        "https-fails" if query.kind == HTTPS => Answer::of(SERVER_FAILURE, &[]),
        "https-silent" if query.kind == HTTPS => return None,
        "nxdomain" => Answer::of(NAME_ERROR, &[]),
        "empty" => Answer::of(NO_ERROR, &[]),
        "servfail" => Answer::of(SERVER_FAILURE, &[]),
        "refused" => Answer::of(REFUSED, &[]),
        "silent" => return None,
        "never-over-tcp" if transport == Transport::Tcp => return None,
        "never-over-tcp" => Answer { truncated: true, ..Answer::default() },
        "slow" => {
            pause(SLOW).await;
            Answer::at_home(query)
        }
        "late" => {
            manner.be_late(query).await;
            Answer::at_home(query)
        }
        "garbage" => return Some([&query.id[..], &[0xff; 40]].concat()),
        "wrong-id" => {
            let mut message = Answer::at_home(query).encode(query);
            message[0] ^= 0xff;
            return Some(message);
        }
        "wrong-question" => {
            let question =
                [&[5], &b"other"[..], &query.question[query.question.len() - 10..]].concat();
            return Some(Answer::at_home(query).encode(&Query {
                question,
                name: query.name.clone(),
                ..*query
            }));
        }
        "when-asked-again" if query.nth > 1 => return None,
        "when-asked-again" => {
            while manner.count(query) < 2 {
                pause(Duration::from_millis(5)).await;
            }
            Answer::at_home(query)
        }
        "loses-first" if query.nth == 1 => return None,
        "drops-edns" if query.has_edns => return None,
        "badvers" if query.has_edns => {
            // The upper bits of the code 16 are in the record of EDNS.
            let opt = [0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0];
            let header = [&query.id[..], &[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 1]].concat();
            return Some([&header, &query.question, &opt[..]].concat());
        }
        "lower-case-alone" if transport == Transport::Tcp => return None,
        "lower-case" | "lower-case-alone" if transport == Transport::Udp => {
            return Some(Answer::elsewhere(query).encode(&query.in_lower_case()));
        }
        "no-edns" if query.has_edns => Answer::of(FORMAT_ERROR, &[]),
        // As a server answers that cannot read the question.
        "no-edns-at-all" if query.has_edns => {
            return Some([&query.id[..], &[0x81, 0x80 | FORMAT_ERROR], &[0; 8]].concat());
        }
        "truncated" if transport == Transport::Udp => {
            Answer { truncated: true, ..Answer::default() }
        }
        "many" if transport == Transport::Udp => Answer { truncated: true, ..Answer::default() },
        "many" if query.kind == A => {
            let address = |number: u16| [127, 3, (number / 250) as u8, (number % 250) as u8 + 1];
            let records = (0..MANY).map(|number| Record::new(&query.name, A, &address(number)));
            Answer { records: records.collect(), ..Answer::default() }
        }
        "chain" => {
            let mut names = vec![query.name.clone()];
            names.extend((1..=7).map(|link| format!("link{link}.test")));
            let mut records: Vec<_> = names
                .windows(2)
                .map(|pair| Record::new(&pair[0], CNAME, &wire_name(&pair[1])))
                .collect();
            records.extend(Record::at_home(&names[7], query.kind));
            Answer { records, ..Answer::default() }
        }
        "twice" if query.kind == AAAA => {
            let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
            Answer::of(NO_ERROR, &[Record::new(&query.name, AAAA, &mapped)])
        }
        "twice" => {
            let address = Record::new(&query.name, A, &Ipv4Addr::LOCALHOST.octets());
            Answer::of(NO_ERROR, &[address.clone(), address.clone(), address])
        }
        "huge" if transport == Transport::Udp => Answer { truncated: true, ..Answer::default() },
        "huge" if query.kind == A => {
            let records = (0..HUGE).map(|number| {
                let address = [127, 4, (number >> 8) as u8, number as u8];
                // The name is that of the question, in two bytes.
                [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4][..], &address].concat()
            });
            let records: Vec<_> = records.flatten().collect();
            let header =
                [&query.id[..], &[0x81, 0x80, 0, 1], &HUGE.to_be_bytes(), &[0; 4]].concat();
            return Some([header, query.question.clone(), records].concat());
        }
        label if label.starts_with("links-") => {
            let left: u32 = label["links-".len()..].parse().unwrap();
            match left.checked_sub(1) {
                Some(left) => {
                    let target = wire_name(&format!("links-{left}.test"));
                    Answer::of(NO_ERROR, &[Record::new(&query.name, CNAME, &target)])
                }
                None => Answer::at_home(query),
            }
        }
        "loop" => Answer::of(NO_ERROR, &[Record::new(&query.name, CNAME, &wire_name("pool.test"))]),
        "pool" => Answer::of(NO_ERROR, &[Record::new(&query.name, CNAME, &wire_name("loop.test"))]),
        "six-silent" | "six-fails" if query.kind == AAAA => match label {
            "six-silent" => return None,
            _ => Answer::of(SERVER_FAILURE, &[]),
        },
        "six-fails" | "six-only" if query.kind == A => Answer::of(NO_ERROR, &[]),
        "dual" | "six-only" if query.kind == AAAA => {
            Answer::of(NO_ERROR, &[Record::new(&query.name, AAAA, &Ipv6Addr::LOCALHOST.octets())])
        }
        _ => Answer::at_home(query),
    };
    Some(answer.encode(query))
}

#[derive(Default)]
struct Answer {
    code: u8,
    truncated: bool,
    records: Vec<Record>,
    authority: Option<Record>,
}

impl Answer {
    fn of(code: u8, records: &[Record]) -> Self {
        Self { code, records: records.to_vec(), ..Self::default() }
    }

    /// 127.0.0.66, which nobody is to dial.
    fn elsewhere(query: &Query) -> Self {
        Self::of(NO_ERROR, &[Record::new(&query.name, A, &[127, 0, 0, 66])])
    }

    fn at_home(query: &Query) -> Self {
        let records: Vec<_> = Record::at_home(&query.name, query.kind).into_iter().collect();
        // That there is none can be remembered for as long as this says (RFC 2308, section 5).
        let authority = records.is_empty().then(|| Record::start_of_authority(&query.name));
        Self { records, authority, ..Self::default() }
    }

    fn encode(&self, query: &Query) -> Vec<u8> {
        // An answer; recursion was desired and is available.
        let flags = [0x81 | u8::from(self.truncated) << 1, 0x80 | self.code];
        let count = u16::try_from(self.records.len()).unwrap().to_be_bytes();
        let authorities = [0, u8::from(self.authority.is_some())];
        let counts = [&[0, 1], &count[..], &authorities, &[0, 0]].concat();
        let mut message = [&query.id[..], &flags, &counts, &query.question].concat();
        for record in self.records.iter().chain(&self.authority) {
            message.extend_from_slice(&record.encode());
        }
        message
    }
}
