//! A QQ behind TLS, a round trip away: each byte takes half of it, and so does each packet of TCP's own handshake.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex, split},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::yield_now,
    time::{Instant, sleep_until},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs::default_provider,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
        version::TLS13,
    },
};
use tower_qq_auth::mock::MockQq;

const TICKS: Duration = Duration::from_millis(2);

/// Who proves that `localhost` is QQ.
pub struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// Writes to this file whom to trust.
    pub fn new(file: &Path) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(file, certificate.pem()).expect("a file");
        Self(Issuer::new(params, key))
    }

    fn acceptor(&self, protocol: &str) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(default_provider().into())
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a key that fits");
        config.alpn_protocols = vec![protocol.into()];
        Arc::new(config).into()
    }
}

/// Serves `qq` by one protocol, `http/1.1` or `h2`; the address.
pub async fn serve(
    qq: MockQq,
    authority: &Authority,
    protocol: &str,
    round_trip: Duration,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let acceptor = authority.acceptor(protocol);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("an option");
            let (acceptor, qq) = (acceptor.clone(), qq.clone());
            tokio::spawn(async move {
                let stream = acceptor.accept(across(stream, round_trip)).await?;
                let server = auto::Builder::new(TokioExecutor::new());
                let served = server
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(qq))
                    .await;
                // The other side leaves as it likes.
                drop(served);
                io::Result::Ok(())
            });
        }
    });
    format!("https://localhost:{port}")
}

/// What the far end of this connection sees of it.
fn across(near: TcpStream, round_trip: Duration) -> impl AsyncRead + AsyncWrite + Unpin {
    let (far, between) = duplex(64 * 1024);
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = split(between);
    // The operating system has connected at once; over a distance nothing could be sent before a round trip.
    let connected = Instant::now() + round_trip;
    tokio::spawn(carry(from_near, to_far, round_trip / 2, connected));
    tokio::spawn(carry(from_far, to_near, round_trip / 2, connected));
    far
}

async fn carry(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    time: Duration,
    connected: Instant,
) -> io::Result<()> {
    let (sender, mut under_way) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let sent = Instant::now().max(connected);
            if sender
                .send((sent + time, buffer[..length].to_vec()))
                .is_err()
            {
                break;
            }
        }
    });
    while let Some((arrives, bytes)) = under_way.recv().await {
        // The timer of the runtime counts whole milliseconds.
        sleep_until(arrives - TICKS).await;
        while Instant::now() < arrives {
            yield_now().await;
        }
        to.write_all(&bytes).await?;
    }
    to.shutdown().await
}
