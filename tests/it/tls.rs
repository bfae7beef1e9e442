//! QQ behind TLS, as the built-in client sees it: no code and no key goes to a server that is not proved to be QQ.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd as date};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    },
};
use tower_qq_auth::mock::{Endpoint, MockQq};

use crate::{
    process::{Running, callback_at},
    site::{APP_ID, APP_KEY, param, path},
    socket::Browser,
};

/// What is behind the port of QQ.
#[derive(Clone)]
enum Door {
    Tls(TlsAcceptor),
    /// HTTP without TLS.
    Plain,
    /// It closes the connection in the middle of the handshake.
    Leaves,
    /// It takes the connection and says nothing.
    Silent,
}

/// Who signs certificates here, and the file that says so to a program.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("{name}-{}.pem", process::id());
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, file }
    }

    fn signs(&self, params: CertificateParams) -> Door {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        tls(certificate.der(), &key)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

fn certificate_for(host: &str) -> CertificateParams {
    CertificateParams::new([host.to_owned()]).unwrap()
}

fn self_signed() -> Door {
    let key = KeyPair::generate().unwrap();
    let certificate = certificate_for("localhost").self_signed(&key).unwrap();
    tls(certificate.der(), &key)
}

fn tls(certificate: &CertificateDer<'static>, key: &KeyPair) -> Door {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    Door::Tls(Arc::new(config).into())
}

async fn open(door: Door, mut stream: TcpStream, qq: MockQq) {
    match door {
        Door::Tls(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, qq).await;
            }
        }
        Door::Plain => answer(stream, qq).await,
        Door::Leaves => {
            // The whole first record: to close with bytes unread would be to reset.
            let mut start = [0; 5];
            if stream.read_exact(&mut start).await.is_ok() {
                let length = u16::from_be_bytes([start[3], start[4]]);
                let mut hello = vec![0; length.into()];
                let _ = stream.read_exact(&mut hello).await;
            }
        }
        Door::Silent => {
            // Until the other side has had enough.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, qq: MockQq) {
    let service = TowerToHyperService::new(qq);
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = served.await;
}

/// A QQ at `https://localhost`, and a site in a process of its own that trusts one authority and no other.
struct World {
    qq: MockQq,
    door: Arc<Mutex<Door>>,
    running: Running,
    site: SocketAddr,
}

impl World {
    async fn new(authority: &Authority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let base_url = format!("https://localhost:{port}");
        let trusted = authority.file.to_str().unwrap();
        let (running, site) = Running::at_qq(&base_url, &[("SSL_CERT_FILE", trusted)]).await;
        let qq = MockQq::new(APP_ID, APP_KEY, callback_at(site));
        let door = Arc::new(Mutex::new(Door::Plain));
        let (behind, answers) = (Arc::clone(&door), qq.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let door = behind.lock().unwrap().clone();
                tokio::spawn(open(door, stream, answers.clone()));
            }
        });
        Self {
            qq,
            door,
            running,
            site,
        }
    }

    /// A login while this is behind the port ends like this, for this reason, and QQ hears nothing of it.
    async fn assert_fails(&mut self, case: &str, door: Door, end: (u16, &str), reason: &str) {
        *self.door.lock().unwrap() = door;
        let mut browser = Browser::at(self.site);
        let callback = browser.callback_from(&self.qq, "/auth/qq/login").await;
        let start = Instant::now();
        let reply = browser.get(&callback).await;
        let took = start.elapsed();
        assert_eq!(reply.status, end.0, "{case}: {}", reply.body);
        assert!(took < Duration::from_secs(6), "{case}: {took:?}");
        for cookie in reply.cookies() {
            assert!(!cookie.starts_with("qq_session"), "{case}: {cookie}");
        }
        assert_eq!(browser.get("/whoami").await.body, "null", "{case}");
        assert_eq!(self.qq.calls(Endpoint::Token), 0, "{case}");

        let line = timeout(Duration::from_secs(10), self.running.logged("login ended"));
        let line = line.await.expect("the log tells of it");
        assert!(line.contains(end.1), "{case}: {line}");
        assert!(line.contains(reason), "{case}: {line}");
        let code = param(&callback, "code");
        for hidden in [APP_KEY, code, "https:", "oauth2.0", "client_secret"] {
            assert!(!line.contains(hidden), "{case}: {hidden} in {line}");
        }
        assert!(!reply.body.contains(reason), "{case}: {}", reply.body);
    }
}

#[tokio::test]
async fn who_cannot_prove_to_be_qq_hears_no_code_and_the_log_says_why() {
    let authority = Authority::new("trusted");
    let mut world = World::new(&authority).await;
    let mut expired = certificate_for("localhost");
    expired.not_before = date(2020, 1, 1);
    expired.not_after = date(2021, 1, 1);
    let mut not_yet = certificate_for("localhost");
    not_yet.not_before = date(4000, 1, 1);
    let stranger = Authority::new("stranger");
    let good = || authority.signs(certificate_for("localhost"));
    let unavailable = (502, "qq_unavailable");
    let cases = [
        ("self-signed", self_signed(), "certificate"),
        (
            "signed by a stranger",
            stranger.signs(certificate_for("localhost")),
            "certificate",
        ),
        ("expired", authority.signs(expired), "expired"),
        ("not good yet", authority.signs(not_yet), "not valid yet"),
        (
            "of another host",
            authority.signs(certificate_for("graph.qq.example")),
            "not valid for name",
        ),
        ("no TLS", Door::Plain, "corrupt message"),
        ("a handshake broken off", Door::Leaves, "handshake"),
    ];
    for (case, door, reason) in cases {
        world.assert_fails(case, door, unavailable, reason).await;
    }
    let hang = ("a handshake that hangs", Door::Silent);
    world
        .assert_fails(hang.0, hang.1, (504, "qq_timeout"), "time")
        .await;

    // And with nothing to restart:
    *world.door.lock().unwrap() = good();
    let mut browser = Browser::at(world.site);
    let end = browser.sign_in(&world.qq, "/auth/qq/login").await;
    assert_eq!(end.location(), "/");
    let whoami = browser.get("/whoami").await.body;
    assert!(whoami.contains(&world.qq.people()[0].openid), "{whoami}");
}

#[tokio::test]
async fn a_name_that_nobody_has_is_no_qq_and_the_log_says_why() {
    // A label of 64 letters is one too long: no name server is asked.
    let base_url = format!("https://{}.example", "q".repeat(64));
    let (mut running, site) = Running::at_qq(&base_url, &[]).await;
    let qq = MockQq::new(APP_ID, APP_KEY, callback_at(site));
    let mut browser = Browser::at(site);
    let start = browser.get("/auth/qq/login").await;
    let callback = path(&qq.approve(start.location()).unwrap());
    let reply = browser.get(&callback).await;
    assert_eq!(reply.status, 502, "{}", reply.body);
    let line = timeout(Duration::from_secs(10), running.logged("login ended"));
    let line = line.await.expect("the log tells of it");
    assert!(line.contains("lookup") || line.contains("name"), "{line}");
    assert!(
        !line.contains("https:") && !line.contains(APP_KEY),
        "{line}"
    );
}
