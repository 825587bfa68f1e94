//! Limits on the size of the futures that wait in large numbers.

use std::net::Ipv4Addr;
use std::num::NonZero;

use tokio::net::{TcpListener, TcpStream};

use super::connection::Connection;
use super::*;
use crate::dial::connect::connect;
use crate::feed::input::Place;
use crate::pace::permit::Permits;
use crate::tls::handshake::{AlpnOffer, Groups, Hello, Schemes};

/// Bytes of one target's work, which every task of a sweep holds from beginning to end. With eight bytes
/// more, a task would take 768 bytes instead of 640: tokio aligns tasks to 128.
const OF_A_TARGET: usize = 432;
/// Bytes more while it waits for a connection.
const OF_A_CONNECT: usize = 256;
/// Bytes more while it waits for a ServerHello: rustls' own state is most of them.
const OF_A_HANDSHAKE: usize = 1_552;

#[tokio::test]
async fn futures_that_wait_in_large_numbers_are_small() {
    let roots = Roots::read(b"").unwrap_or_else(|_empty| Roots::built_in());
    let clock = Clock::start(SystemTime::UNIX_EPOCH);
    let prober = Prober::new(Config::default(), roots, clock).unwrap();
    let mut permit = Permits::new(NonZero::<usize>::MIN).acquire().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let line = Line { place: Place { line: 1, number: 1 }, text: Ok(address.to_string()) };
    let target = size_of_val(&prober.probe(&line, &mut permit));

    let asked = prober.ask(parse(&line).unwrap());
    let context = prober.visit(&asked, &mut permit).context;
    let hello = Hello { groups: Groups::All, alpn: AlpnOffer::NONE, schemes: Schemes::Configured };
    let dial = Dial { address, speech: Speech::Handshake(hello), patience: Patience::Standby };
    let connect = size_of_val(&connect(address, None, &context.deadline, None));
    let stream = TcpStream::connect(address).await.unwrap();
    let connection = Box::new(Connection { stream, took: Duration::ZERO });
    let handshake = size_of_val(&prober.speak(connection, &context, &dial));

    let sizes = format!("{target} + {connect}, {target} + {handshake}");
    assert!(target <= OF_A_TARGET, "{sizes}");
    assert!(connect <= OF_A_CONNECT, "{sizes}");
    assert!(handshake <= OF_A_HANDSHAKE, "{sizes}");
}
