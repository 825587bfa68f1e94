//! Whatever a server says, a handshake ends: as a session, or as a failure that is its own.
//!
//! Build with `-O`: rustls' own debug assertion fires otherwise.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tlsweep::deadline::{Deadline, Limits, Wait};
use tlsweep::dial::tap::Tap;
use tlsweep::failure::{EVIDENCE_LIMIT, Failure, Kind, Stage};
use tlsweep::feed::target::{Sni, Target};
use tlsweep::tls::handshake::{
    Agreed, Alpn, Client, Groups, Hello, Offer, Schemes, Silence, Versions,
};
use tlsweep_fuzz::peer::{self, Setup};
use tlsweep_fuzz::script::Script;
use tlsweep_fuzz::text::unescaped_length;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

const LIMIT: Duration = Duration::from_secs(20);

const LIMITS: Limits = Limits {
    resolve: LIMIT,
    connect: LIMIT,
    starttls: LIMIT,
    handshake: LIMIT,
    read: LIMIT,
    total: LIMIT,
};

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let offer = Offer {
        versions: Versions::Both,
        alpn: Alpn::Only(vec![b"h2".to_vec(), b"http/1.1".to_vec()]),
        groups: Vec::new(),
        reuse_key_share: false,
        schemes: Vec::new(),
    };
    Client::new(&offer).unwrap()
});

fuzz_target!(|data: &[u8]| {
    let script = &mut Script::new(data);
    let groups = if script.flag() { Groups::All } else { Groups::Classical };
    let hello = Hello { groups, alpn: CLIENT.alpn(&[]), schemes: Schemes::Configured };
    peer::run(async {
        let (ours, theirs) = peer::pair();
        tokio::join!(client(ours, hello), serve(theirs, script));
    });
});

async fn client(stream: tokio::net::TcpStream, hello: Hello) {
    let target: Target = "fuzz.example".parse().unwrap();
    let identity = target.server_name(&Sni::Unsaid);
    let deadline = Deadline::start(&LIMITS);
    let until = deadline.of(Wait::Handshake);
    let mut tap = Tap::new(stream);
    let (connector, limits) = (CLIENT.connector(hello), (Silence::Ends(until), &until));
    let result = Client::handshake(&connector, &identity, &mut tap, &deadline, limits).await;
    let (agreed, seen, failure) = match result {
        Ok(session) => (Some(session.agreed), session.seen, None),
        Err(unfinished) => (None, unfinished.seen, Some(unfinished.failure)),
    };
    if let Some(agreed) = &agreed {
        assert!(agreed.version.is_some() && agreed.cipher.is_some());
        assert!(!seen.chain.is_empty() && seen.signature_scheme.is_some());
    }
    if let Some(failure) = failure {
        // It would panic on what it was not prepared for.
        let _facts = Agreed::before_failure(tap.beginning(), &seen);
        check(&failure.in_view_of(tap.first()), &tap);
    }
}

fn check(failure: &Failure, tap: &Tap) {
    assert_eq!(failure.stage, Stage::Handshake, "{failure}");
    match failure.kind {
        Kind::Alert | Kind::BadSignature | Kind::Eof | Kind::NotTls | Kind::Protocol => {}
        Kind::Reset | Kind::TooLarge | Kind::Unsupported => {}
        _ => panic!("{failure}"),
    }
    assert_eq!(failure.alert.is_some(), failure.kind == Kind::Alert);
    assert_eq!(failure.evidence.is_some(), failure.kind == Kind::NotTls);
    if let Some(evidence) = &failure.evidence {
        assert!(!tap.first().is_empty());
        assert!(unescaped_length(evidence) <= EVIDENCE_LIMIT);
    }
}

/// Answers as a genuine server would until the script has had its way with an answer.
async fn serve(mut socket: UnixStream, script: &mut Script<'_>) {
    if script.byte() == 0xff {
        say(&mut socket, script.rest(), &mut Script::new(&[])).await;
        return peer::finish(socket).await;
    }
    let mut setup = Setup::read(script);
    let choices = script.byte();
    if choices & 1 != 0 {
        for certificate in &mut setup.chain {
            let mut der = certificate.to_vec();
            script.mutate(&mut der);
            *certificate = der.into();
        }
    }
    if choices & 2 != 0 {
        setup.ocsp = script.bytes().to_vec();
    }
    let spoilt = usize::from(choices >> 4 & 3);
    let mut server = setup.server();
    for flight in 0.. {
        let Some(mut answer) = peer::answer(&mut socket, &mut server).await else {
            break;
        };
        if flight != spoilt {
            let _closed = socket.write_all(&answer).await;
            continue;
        }
        if choices & 4 != 0 {
            peer::mutate_sealed(&mut answer, &setup.secrets, script);
        }
        if choices & 8 != 0 {
            script.mutate(&mut answer);
        }
        say(&mut socket, &answer, script).await;
        break;
    }
    peer::finish(socket).await;
}

async fn say(socket: &mut UnixStream, bytes: &[u8], script: &mut Script<'_>) {
    for piece in script.pieces(bytes) {
        let _closed = socket.write_all(piece).await;
        tokio::task::yield_now().await;
    }
}
