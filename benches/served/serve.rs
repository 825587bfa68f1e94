//! The server's half: TLS, or as many bytes as TLS would be.

use std::env;
use std::future::Future;
use std::hint::spin_loop;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::{Chains, SERVE, group, provider, stay_on};

/// More connections than any bench has in flight.
const BACKLOG: u32 = 4096;

/// Serves until it is killed, when this process was started for that.
///
/// `tls GROUP COUNT ROOT`: so many different chains; the root is written to the file ROOT.
/// `bytes PACE HELLO FLIGHT FINISHED REST`: reads the second, works for so many microseconds, answers
/// with the third, and so on.
pub(crate) fn serve_if_asked() -> bool {
    let words: Vec<String> = env::args().collect();
    let [_, serve, core, rest @ ..] = words.as_slice() else {
        return false;
    };
    if serve != SERVE {
        return false;
    }
    stay_on(core.parse().unwrap());
    // However the bench ends.
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    match rest {
        [kind, group, count, root] if kind == "tls" => serve_tls(group, count, root.into()),
        [kind, sizes @ ..] if kind == "bytes" => serve_bytes(sizes),
        _ => panic!("{rest:?}"),
    }
    true
}

fn serve_tls(name: &str, count: &str, root: PathBuf) {
    let chains = Chains::new(count.parse().unwrap());
    std::fs::write(root, &chains.root).unwrap();
    let config = ServerConfig::builder_with_provider(provider(&[group(name)]))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(chains));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await?;
            while stream.read(&mut [0; 1024]).await? > 0 {}
            stream.shutdown().await
        }
    });
}

fn serve_bytes(sizes: &[String]) {
    let sizes: Vec<usize> = sizes.iter().map(|size| size.parse().unwrap()).collect();
    let [pace, hello, flight, finished, rest] = sizes[..] else { panic!("{sizes:?}") };
    let pace = Duration::from_micros(pace as u64);
    serve(move |mut stream| async move {
        let mut buffer = vec![0; hello.max(flight).max(finished).max(rest)];
        stream.read_exact(&mut buffer[..hello]).await?;
        let start = Instant::now();
        while start.elapsed() < pace {
            spin_loop();
        }
        stream.write_all(&buffer[..flight]).await?;
        stream.read_exact(&mut buffer[..finished]).await?;
        stream.write_all(&buffer[..rest]).await
    });
}

/// Tells the port on stdout, and answers every connection with `answer`.
fn serve<F>(answer: impl Fn(TcpStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = listen().unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            // A client that goes away is no business of the server's: the client counts.
            tokio::spawn(answer(stream));
        }
    });
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
    socket.listen(BACKLOG)
}
