//! The least that dials a server of TLS with rustls: one thread, one epoll, and nothing else. No
//! deadlines, tasks or records; the handshake's signature is verified, the chain is not looked at.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

/// A connection, from the connect to the server's goodbye.
struct Dial {
    target: SocketAddr,
    stream: TcpStream,
    /// Since the hello.
    tls: Option<ClientConnection>,
    has_said_goodbye: bool,
    has_heard_goodbye: bool,
}

/// Shakes hands with every target, sends close_notify first and reads to the end, so many at once.
pub(crate) fn dial_all(
    targets: impl Iterator<Item = SocketAddr>,
    concurrency: usize,
    config: &Arc<ClientConfig>,
) {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(1024);
    let mut targets = targets.fuse();
    let mut dials: Vec<Option<Dial>> = (0..concurrency).map(|_| None).collect();
    let mut free: Vec<usize> = (0..concurrency).collect();
    loop {
        while let Some(slot) = free.pop() {
            let Some(target) = targets.next() else {
                free.push(slot);
                break;
            };
            let mut stream = TcpStream::connect(target).unwrap();
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(slot), both).unwrap();
            dials[slot] = Some(Dial {
                target,
                stream,
                tls: None,
                has_said_goodbye: false,
                has_heard_goodbye: false,
            });
        }
        if free.len() == concurrency {
            return;
        }
        poll.poll(&mut events, None).unwrap();
        for event in &events {
            let slot = event.token().0;
            // Of a connection that an earlier event of this turn has ended.
            let Some(dial) = &mut dials[slot] else { continue };
            if dial.go_on(event, config) {
                dials[slot] = None;
                free.push(slot);
            }
        }
    }
}

impl Dial {
    /// Whether this was the end.
    fn go_on(&mut self, event: &Event, config: &Arc<ClientConfig>) -> bool {
        let Self { target, stream, tls, has_said_goodbye, has_heard_goodbye } = self;
        let tls = match tls {
            Some(tls) => tls,
            None if event.is_writable() => {
                let name = ServerName::IpAddress(target.ip().into());
                let mut new = ClientConnection::new(Arc::clone(config), name).unwrap();
                send(&mut new, stream);
                tls.insert(new)
            }
            None => return false,
        };
        if !event.is_readable() {
            return false;
        }
        loop {
            // Behind the goodbye rustls reads no more.
            let read = match has_heard_goodbye {
                false => tls.read_tls(stream),
                true => stream.read(&mut [0]),
            };
            match read {
                Ok(0) => {
                    assert!(*has_said_goodbye, "the server hung up");
                    return true;
                }
                Ok(_) => {
                    *has_heard_goodbye = tls.process_new_packets().unwrap().peer_has_closed();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("{error}"),
            }
            if !*has_said_goodbye && !tls.is_handshaking() {
                tls.send_close_notify();
                send(tls, stream);
                *has_said_goodbye = true;
            }
        }
    }
}

/// All at once: what a client says fits into any socket.
fn send(tls: &mut ClientConnection, stream: &mut TcpStream) {
    let mut bytes = Vec::with_capacity(2048);
    while tls.wants_write() {
        tls.write_tls(&mut bytes).unwrap();
    }
    stream.write_all(&bytes).unwrap();
}
