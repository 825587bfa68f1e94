//! Whatever comes after a handshake, the drain ends in time, within its limit, and says how.
//!
//! Build with `-O`: rustls' own debug assertion fires otherwise.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tlsweep::deadline::{Deadline, Limits, Wait};
use tlsweep::dial::tap::Tap;
use tlsweep::failure::Failure;
use tlsweep::feed::target::{Sni, Target};
use tlsweep::names::Group;
use tlsweep::tls::drain::{End, Goodbye, ReadEnd, drain};
use tlsweep::tls::handshake::{
    Alpn, AlpnOffer, Client, Groups, Hello, Offer, Schemes, Silence, Versions,
};
use tlsweep_fuzz::peer::{self, APPLICATION_DATA, Seal, Setup, plain_record};
use tlsweep_fuzz::script::Script;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(5);

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let offer = Offer {
        versions: Versions::Both,
        alpn: Alpn::Only(Vec::new()),
        groups: vec![Group(0x001d), Group(0x0017)],
        reuse_key_share: false,
        schemes: Vec::new(),
    };
    Client::new(&offer).unwrap()
});

/// What the server is about to do.
struct Plan {
    setup: Setup,
    update_keys: bool,
    /// Does not wait for the client to have finished the handshake.
    hastens: bool,
    /// Never closes: only the deadline ends it.
    stalls: bool,
    /// What goes over the wire after the handshake, in pieces.
    words: Vec<Word>,
}

enum Word {
    /// A record under the session's keys.
    Sealed(u8, Vec<u8>),
    Raw(Vec<u8>),
    Pause,
}

fuzz_target!(|data: &[u8]| {
    let script = &mut Script::new(data);
    let choices = script.byte();
    let goodbye = match choices & 1 {
        0 => Goodbye::First,
        _ => Goodbye::Last,
    };
    let limit = match choices >> 1 & 3 {
        0 => u64::from(script.u16()),
        _ => 64 * 1024,
    };
    let plan = Plan {
        update_keys: choices & 8 != 0,
        hastens: matches!(choices >> 4, 1..4),
        stalls: choices >> 4 == 15,
        setup: Setup::read(script),
        words: words(script),
    };
    let expected = plan.expected(limit);
    let (hastens, stalls) = (plan.hastens, plan.stalls);
    let end = peer::run(async {
        let (ours, theirs) = peer::pair();
        let (ready, is_ready) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        let client = async move {
            let end = client(ours, goodbye, limit, stalls, ready).await;
            let _server_has_gone = done.send(());
            end
        };
        tokio::join!(client, serve(theirs, plan, is_ready, is_done)).0
    });
    let Ok(end) = end else {
        // What stands right behind the server's Finished is read with it.
        return assert!(hastens, "{end:?}");
    };
    // What came with the server's Finished was read before there was a limit.
    let early = if hastens { 64 * 1024 } else { 0 };
    assert!(end.bytes <= limit + early, "{end:?}");
    assert_eq!(end.alert.is_some(), end.end == End::Alert, "{end:?}");
    assert!(stalls || end.end != End::Timeout, "{end:?}");
    if let Some((bytes, how)) = expected {
        assert_eq!((end.bytes, end.end), (bytes, how), "{goodbye:?}, limit {limit}");
    }
});

async fn client(
    stream: TcpStream,
    goodbye: Goodbye,
    limit: u64,
    stalls: bool,
    ready: oneshot::Sender<()>,
) -> Result<ReadEnd, Failure> {
    let target: Target = "fuzz.example".parse().unwrap();
    let identity = target.server_name(&Sni::Unsaid);
    let read = match stalls {
        true => SHORT,
        false => LONG,
    };
    let limits = Limits {
        resolve: LONG,
        connect: LONG,
        starttls: LONG,
        handshake: LONG,
        read,
        total: 2 * LONG,
    };
    let deadline = Deadline::start(&limits);
    let until = deadline.of(Wait::Handshake);
    let hello = Hello { groups: Groups::All, alpn: AlpnOffer::NONE, schemes: Schemes::Configured };
    let mut tap = Tap::new(stream);
    let (connector, limits) = (CLIENT.connector(hello), (Silence::Ends(until), &until));
    let mut session = Client::handshake(&connector, &identity, &mut tap, &deadline, limits)
        .await
        .map_err(|unfinished| unfinished.failure)?;
    let _server_does_not_care = ready.send(());
    let before = session.stream.get_ref().0.received();
    let began = deadline.elapsed();
    let end = drain(&mut session, goodbye, limit, &deadline).await;
    assert!(deadline.elapsed() - began < read + LONG / 2);
    assert!(session.stream.get_ref().0.received() - before <= limit);
    Ok(end)
}

async fn serve(
    mut socket: UnixStream,
    mut plan: Plan,
    ready: oneshot::Receiver<()>,
    done: oneshot::Receiver<()>,
) {
    let mut server = plan.setup.server();
    while server.is_handshaking() {
        let answer = peer::answer(&mut socket, &mut server).await.unwrap();
        // A client whose limit is 0 does not wait for the tickets.
        let _closed = socket.write_all(&answer).await;
    }
    if !plan.hastens {
        let _client_is_ready = ready.await;
    }
    if plan.update_keys && !plan.setup.tls12 {
        server.refresh_traffic_keys().unwrap();
        let mut update = Vec::new();
        server.write_tls(&mut update).unwrap();
        let _closed = socket.write_all(&update).await;
    }
    let mut seal = Seal::take_over(server);
    for word in plan.words.drain(..) {
        let bytes = match word {
            Word::Sealed(kind, payload) => seal.record(kind, &payload),
            Word::Raw(bytes) => bytes,
            Word::Pause => {
                tokio::task::yield_now().await;
                continue;
            }
        };
        tokio::select! {
            _closed = socket.write_all(&bytes) => {}
            _ = tokio::time::sleep(LONG), if plan.stalls => {}
        }
    }
    if plan.stalls {
        let _client_is_done = done.await;
    }
    peer::finish(socket).await;
}

const ALERT: u8 = 21;
const CLOSE_NOTIFY: [u8; 2] = [1, 0];

fn words(script: &mut Script<'_>) -> Vec<Word> {
    let mut words = Vec::new();
    while !script.is_over() && words.len() < 256 {
        match script.byte() % 10 {
            0 | 1 => words.push(Word::Sealed(APPLICATION_DATA, script.bytes().to_vec())),
            2 => words.push(Word::Sealed(script.byte(), fragment(script.bytes()))),
            3 => words.push(Word::Raw(script.bytes().to_vec())),
            4 => words.push(Word::Raw(plain_record(script.byte(), script.bytes()))),
            5 => words.push(Word::Sealed(ALERT, CLOSE_NOTIFY.to_vec())),
            6 => words.push(Word::Sealed(ALERT, vec![script.byte(), script.byte()])),
            7 => words.push(Word::Sealed(peer::HANDSHAKE, message(script))),
            8 => {
                let (kind, times) = (script.byte(), script.byte());
                let payload = script.bytes();
                let again = || Word::Sealed(kind, fragment(payload));
                words.extend(std::iter::repeat_with(again).take(times.into()));
            }
            _ => words.push(Word::Pause),
        }
    }
    words
}

/// The most bytes that one record can hold.
fn fragment(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().take(16 * 1024).collect()
}

/// A handshake message with its header: a ticket, a key update, or what the script says.
fn message(script: &mut Script<'_>) -> Vec<u8> {
    let kind = match script.byte() {
        0..0x40 => 4,
        0x40..0x80 => 24,
        kind => kind - 0x80,
    };
    let body = fragment(script.bytes());
    let [.., high, middle, low] = body.len().to_be_bytes();
    [&[kind, high, middle, low], body.as_slice()].concat()
}

impl Plan {
    /// What the drain must say of a server that sends application data, then says goodbye or not,
    /// and closes, all of it within the limit.
    fn expected(&self, limit: u64) -> Option<(u64, End)> {
        const OVERHEAD: usize = 64;
        let mut bytes = 0;
        let mut on_the_wire = OVERHEAD + self.setup.tickets * 1024;
        let mut end = End::Eof;
        for word in &self.words {
            match word {
                Word::Pause => {}
                Word::Sealed(APPLICATION_DATA, payload)
                    if end == End::Eof && !payload.is_empty() && payload.len() <= 16 * 1024 =>
                {
                    bytes += payload.len() as u64;
                    on_the_wire += OVERHEAD + payload.len();
                }
                Word::Sealed(ALERT, alert) if end == End::Eof && *alert == CLOSE_NOTIFY => {
                    end = End::CloseNotify;
                    on_the_wire += OVERHEAD;
                }
                _ => return None,
            }
        }
        (!self.stalls && on_the_wire as u64 <= limit).then_some((bytes, end))
    }
}
