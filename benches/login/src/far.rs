//! A mock behind TLS at a distance: bytes and TCP handshakes take the time of a round trip.

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

/// Slept less than the delay, because the timer of the runtime counts whole milliseconds.
const MARGIN: Duration = Duration::from_millis(2);

/// The certificate authority that the client trusts.
pub struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// Makes an authority and writes its certificate to this file.
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

/// Serves `qq` by one protocol, `http/1.1` or `h2`, and returns its URL.
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
                let stream = acceptor.accept(delay(stream, round_trip)).await?;
                let server = auto::Builder::new(TokioExecutor::new());
                let served = server
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(qq))
                    .await;
                drop(served); // the client may close the connection at any time
                io::Result::Ok(())
            });
        }
    });
    format!("https://localhost:{port}")
}

/// Returns the far end of a connection on which bytes take half a round trip.
fn delay(near: TcpStream, round_trip: Duration) -> impl AsyncRead + AsyncWrite + Unpin {
    let (far, between) = duplex(64 * 1024);
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = split(between);
    // Locally the connection is there at once; at a distance the handshake takes a round trip.
    let connected = Instant::now() + round_trip;
    tokio::spawn(forward(from_near, to_far, round_trip / 2, connected));
    tokio::spawn(forward(from_far, to_near, round_trip / 2, connected));
    far
}

async fn forward(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    time: Duration,
    connected: Instant,
) -> io::Result<()> {
    let (sender, mut in_transit) = mpsc::unbounded_channel();
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
    while let Some((arrival, bytes)) = in_transit.recv().await {
        sleep_until(arrival - MARGIN).await;
        while Instant::now() < arrival {
            yield_now().await;
        }
        to.write_all(&bytes).await?;
    }
    to.shutdown().await
}
