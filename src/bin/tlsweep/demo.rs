//! Servers on loopback to try tlsweep on: one for every kind of answer that matters.

use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tlsweep::cert::Roots;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Half the lifetime of a certificate that has not expired.
const YEAR: Duration = Duration::from_secs(365 * DAY.as_secs());
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A fatal handshake_failure, as a plaintext record (RFC 8446, section 6).
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// Starts the demo's servers, adds their CA to `roots`, and returns their targets. Their names, which end
/// in `.localhost`, are those of this machine (RFC 6761, section 6.3).
///
/// # Errors
/// No certificate could be made, or no port was free.
pub(crate) async fn start(roots: &mut Roots) -> Result<Vec<OsString>> {
    servers(roots).await.context("the demo cannot start")
}

/// What a server does with a connection.
#[derive(Clone)]
enum Behaviour {
    Tls(TlsAcceptor),
    Silent,
    PlainHttp,
    Alert,
}

async fn servers(roots: &mut Roots) -> Result<Vec<OsString>> {
    #[expect(clippy::disallowed_methods, reason = "certificates are made for today")]
    let today = SystemTime::now();
    let authority = authority()?;
    roots.add(authority.der())?;
    let good = issued("good.localhost", &authority, today + YEAR)?;
    let expired = issued("expired.localhost", &authority, today - DAY / 2)?;
    let behaviours = [
        ("good", Behaviour::Tls(good)),
        ("expired", Behaviour::Tls(expired)),
        ("self-signed", Behaviour::Tls(self_signed("self-signed.localhost", today + YEAR)?)),
        ("silent", Behaviour::Silent),
        ("plain-http", Behaviour::PlainHttp),
        ("alert", Behaviour::Alert),
    ];
    let mut targets = Vec::new();
    for (name, behaviour) in behaviours {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        targets.push(target(name, listener.local_addr()?.port()));
        tokio::spawn(serve(listener, behaviour));
    }
    // It is bound and does not listen, so the kernel refuses connections to its port.
    let refusing = TcpSocket::new_v4()?;
    refusing.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    targets.push(target("refused", refusing.local_addr()?.port()));
    std::mem::forget(refusing);
    Ok(targets)
}

fn target(name: &str, port: u16) -> OsString {
    format!("{name}.localhost:{port}").into()
}

async fn serve(listener: TcpListener, behaviour: Behaviour) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The client has left already, or descriptors are short for a moment.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let behaviour = behaviour.clone();
        // An error is ignored: a client may leave at any time.
        tokio::spawn(async move { answer(stream, behaviour).await.is_ok() });
    }
}

async fn answer(mut stream: TcpStream, behaviour: Behaviour) -> io::Result<()> {
    let mut request = [0; 4096];
    match behaviour {
        Behaviour::Tls(acceptor) => {
            let mut session = acceptor.accept(stream).await?;
            while session.read(&mut request).await? > 0 {}
            session.shutdown().await
        }
        Behaviour::Silent => {
            while stream.read(&mut request).await? > 0 {}
            Ok(())
        }
        Behaviour::PlainHttp => {
            let _hello = stream.read(&mut request).await?;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await
        }
        Behaviour::Alert => {
            let _hello = stream.read(&mut request).await?;
            stream.write_all(&ALERT).await
        }
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "tlsweep demo CA");
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn issued(
    name: &str,
    authority: &CertifiedIssuer<'static, KeyPair>,
    not_after: SystemTime,
) -> Result<TlsAcceptor> {
    let key = KeyPair::generate()?;
    let certificate = params(name, not_after)?.signed_by(&key, authority)?;
    acceptor(certificate.der().clone(), &key)
}

fn self_signed(name: &str, not_after: SystemTime) -> Result<TlsAcceptor> {
    let key = KeyPair::generate()?;
    let certificate = params(name, not_after)?.self_signed(&key)?;
    acceptor(certificate.der().clone(), &key)
}

fn params(name: &str, not_after: SystemTime) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.not_before = (not_after - YEAR - YEAR).into();
    params.not_after = not_after.into();
    Ok(params)
}

fn acceptor(
    certificate: rustls::pki_types::CertificateDer<'static>,
    key: &KeyPair,
) -> Result<TlsAcceptor> {
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config).into())
}
