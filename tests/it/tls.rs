//! The built-in client sends no code and no key to a server without a valid certificate for QQ.

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
use tower_qq_auth::{
    QqAppBuilder, QqAuthLayer,
    mock::{Endpoint, MockQq},
};

use crate::{
    process::{Running, callback_at},
    site::{APP_ID, APP_KEY, Site, app_builder, keys, pages, param, path},
    socket::Browser,
};

/// How the server treats a connection.
#[derive(Clone)]
enum Behavior {
    Tls(TlsAcceptor),
    /// Speaks HTTP without TLS.
    Plain,
    /// Closes the connection in the middle of the handshake.
    CloseInHandshake,
    /// Accepts the connection and sends nothing.
    Hang,
}

/// A certificate authority, and the file with its certificate.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) file: PathBuf,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("{name}-{}.pem", process::id());
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, file }
    }

    fn sign(&self, params: CertificateParams) -> Behavior {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        tls(certificate.der(), &key)
    }

    /// Returns a certificate for these hosts and its key, as PEM.
    #[cfg(feature = "redis")]
    pub(crate) fn pem(&self, hosts: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let hosts = hosts.iter().map(|&host| host.to_owned());
        let params = CertificateParams::new(hosts.collect::<Vec<_>>()).unwrap();
        let certificate = params.signed_by(&key, &self.issuer);
        (certificate.unwrap().pem(), key.serialize_pem())
    }

    /// Returns an acceptor for these hosts and protocols.
    pub(crate) fn acceptor(&self, hosts: &[&str], protocols: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let hosts = hosts.iter().map(|&host| host.to_owned());
        let params = CertificateParams::new(hosts.collect::<Vec<_>>()).unwrap();
        let certificate = params.signed_by(&key, &self.issuer);
        let mut config = server_config(certificate.unwrap().der(), &key);
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        config.alpn_protocols = protocols.collect();
        Arc::new(config).into()
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

fn self_signed() -> Behavior {
    let key = KeyPair::generate().unwrap();
    let certificate = certificate_for("localhost").self_signed(&key).unwrap();
    tls(certificate.der(), &key)
}

fn tls(certificate: &CertificateDer<'static>, key: &KeyPair) -> Behavior {
    Behavior::Tls(Arc::new(server_config(certificate, key)).into())
}

fn server_config(certificate: &CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap()
}

async fn serve(behavior: Behavior, mut stream: TcpStream, qq: MockQq, keep_alive: bool) {
    match behavior {
        Behavior::Tls(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve_http(stream, qq, keep_alive).await;
            }
        }
        Behavior::Plain => serve_http(stream, qq, keep_alive).await,
        Behavior::CloseInHandshake => {
            // Reads the whole first record, because closing with unread bytes would be a reset.
            let mut start = [0; 5];
            if stream.read_exact(&mut start).await.is_ok() {
                let length = u16::from_be_bytes([start[3], start[4]]);
                let mut hello = vec![0; length.into()];
                let _ = stream.read_exact(&mut hello).await;
            }
        }
        Behavior::Hang => {
            // Ends when the client closes the connection.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    }
}

async fn serve_http(stream: impl AsyncRead + AsyncWrite + Unpin, qq: MockQq, keep_alive: bool) {
    let service = TowerToHyperService::new(qq);
    let mut server = http1::Builder::new();
    let server = server.keep_alive(keep_alive);
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// The behavior towards the connections of a login: `good` for the first ones, then `other`.
struct Schedule {
    good: Behavior,
    other: Behavior,
    good_connections: usize,
    connections: usize,
}

impl Schedule {
    fn next(&mut self) -> Behavior {
        self.connections += 1;
        let is_good = self.connections <= self.good_connections;
        if is_good { &self.good } else { &self.other }.clone()
    }
}

/// A QQ at `https://localhost`, and a site in its own process that trusts one authority only.
struct Setup {
    qq: MockQq,
    schedule: Arc<Mutex<Schedule>>,
    running: Running,
    site: SocketAddr,
    port: String,
}

/// The steps of a login by their names in the log.
const STEPS: [(&str, Endpoint); 3] = [
    ("token", Endpoint::Token),
    ("openid", Endpoint::Me),
    ("profile", Endpoint::UserInfo),
];

impl Setup {
    /// Opens a new connection for each step. The warm-up connection has been used already.
    async fn new(authority: &Authority) -> Self {
        let mut setup = Self::with(authority, false).await;
        Browser::at(setup.site).get("/auth/qq/login").await;
        setup.logged("ahead of the callback").await;
        setup
    }

    async fn with(authority: &Authority, keep_alive: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let base_url = format!("https://localhost:{port}");
        let trusted = authority.file.to_str().unwrap();
        let environment = [
            ("SSL_CERT_FILE", trusted),
            ("RUST_LOG", "info,tower_qq_auth=debug"),
        ];
        let (running, site) = Running::at_qq(&base_url, &environment).await;
        let qq = MockQq::new(APP_ID, APP_KEY, callback_at(site));
        qq.ignore_need_openid(true);
        let good = authority.sign(certificate_for("localhost"));
        let schedule = Arc::new(Mutex::new(Schedule {
            other: good.clone(),
            good,
            good_connections: usize::MAX,
            connections: 0,
        }));
        let (behaviors, served) = (Arc::clone(&schedule), qq.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let behavior = behaviors.lock().unwrap().next();
                tokio::spawn(serve(behavior, stream, served.clone(), keep_alive));
            }
        });
        Self {
            qq,
            schedule,
            running,
            site,
            port,
        }
    }

    fn calls(&self) -> [usize; 3] {
        STEPS.map(|(_, endpoint)| self.qq.calls(endpoint))
    }

    /// Fails unless a login ends like this, for this reason in the log, if the server changes its
    /// behavior at step `at`. The server gets no request then, and no more connections than the
    /// step may be tried.
    async fn assert_unverified(
        &mut self,
        case: &str,
        (at, behavior): (usize, Behavior),
        (status, outcome): (u16, &str),
        reason: &str,
    ) {
        let (step, _) = STEPS[at];
        let case = format!("{case} at {step}");
        let mut browser = Browser::at(self.site);
        let callback = browser.callback_from(&self.qq, "/auth/qq/login").await;
        let before = self.calls();
        {
            let mut schedule = self.schedule.lock().unwrap();
            schedule.other = behavior;
            schedule.good_connections = at;
            schedule.connections = 0;
        }
        let start = Instant::now();
        let reply = browser.get(&callback).await;
        let elapsed = start.elapsed();
        assert_eq!(reply.status, status, "{case}: {}", reply.body);
        assert!(elapsed < Duration::from_secs(6), "{case}: {elapsed:?}");
        let after = self.calls();
        for (number, (name, _)) in STEPS.iter().enumerate() {
            let calls = after[number] - before[number];
            assert_eq!(calls, usize::from(number < at), "{case}: {name}");
        }
        // The code is sent once. The other steps are retried once, unless their time is over.
        let is_retried = at > 0 && outcome != "qq_timeout";
        let connections = self.schedule.lock().unwrap().connections;
        assert_eq!(connections, at + 1 + usize::from(is_retried), "{case}");

        let whoami = browser.get("/whoami").await.body;
        let line = if step == "profile" {
            assert_eq!(reply.location(), "/", "{case}");
            assert!(whoami.contains(&self.qq.people()[0].openid), "{case}");
            assert!(!whoami.contains(&self.qq.people()[0].nickname), "{case}");
            let line = self.logged("signing in without a profile").await;
            self.logged("login ended").await;
            line
        } else {
            for cookie in reply.cookies() {
                assert!(!cookie.starts_with("qq_session"), "{case}: {cookie}");
            }
            assert_eq!(whoami, "null", "{case}");
            let line = self.logged("login ended").await;
            assert!(line.contains(outcome), "{case}: {line}");
            line
        };
        for part in [reason, step] {
            assert!(line.contains(part), "{case}: no {part} in {line}");
        }
        let shown = format!("{:?} {}", reply.headers, reply.body);
        let code = param(&callback, "code");
        for hidden in [APP_KEY, code, &self.port, "oauth2.0", "client_secret"] {
            assert!(!line.contains(hidden), "{case}: {hidden} in {line}");
            assert!(!shown.contains(hidden), "{case}: {hidden} in {shown}");
        }
        assert!(!line.contains("https:"), "{case}: {line}");
        assert!(!shown.contains(reason), "{case}: {shown}");
    }

    /// Fails unless a login succeeds as soon as every connection is good again.
    async fn assert_recovers(&mut self) {
        self.schedule.lock().unwrap().good_connections = usize::MAX;
        let before = self.calls();
        let mut browser = Browser::at(self.site);
        let end = browser.sign_in(&self.qq, "/auth/qq/login").await;
        assert_eq!(end.location(), "/");
        assert_eq!(self.calls(), before.map(|calls| calls + 1));
        let whoami = browser.get("/whoami").await.body;
        assert!(whoami.contains(&self.qq.people()[0].openid), "{whoami}");
        assert!(whoami.contains(&self.qq.people()[0].nickname), "{whoami}");
        self.logged("login ended").await;
    }

    async fn logged(&mut self, part: &str) -> String {
        let line = timeout(Duration::from_secs(10), self.running.logged(part));
        line.await.expect("a log line contains it")
    }
}

#[tokio::test]
async fn an_unverified_server_gets_no_request_and_the_log_says_why() {
    let authority = Authority::new("trusted");
    let mut setup = Setup::new(&authority).await;
    let mut expired = certificate_for("localhost");
    expired.not_before = date(2020, 1, 1);
    expired.not_after = date(2021, 1, 1);
    let mut not_yet_valid = certificate_for("localhost");
    not_yet_valid.not_before = date(4000, 1, 1);
    let unknown = Authority::new("unknown");
    let cases = [
        ("self-signed", self_signed(), "certificate"),
        (
            "signed by an unknown authority",
            unknown.sign(certificate_for("localhost")),
            "certificate",
        ),
        ("expired", authority.sign(expired), "expired"),
        (
            "not valid yet",
            authority.sign(not_yet_valid),
            "not valid yet",
        ),
        (
            "for another host",
            authority.sign(certificate_for("graph.qq.example")),
            "not valid for name",
        ),
        ("no TLS", Behavior::Plain, "corrupt message"),
        (
            "an interrupted handshake",
            Behavior::CloseInHandshake,
            "handshake",
        ),
    ];
    for (at, end) in [
        (424, "qq_unavailable"),
        (424, "qq_unavailable"),
        // The openid is known by then.
        (303, "ok"),
    ]
    .into_iter()
    .enumerate()
    {
        setup.assert_recovers().await;
        for (case, behavior, reason) in &cases {
            let change = (at, behavior.clone());
            setup.assert_unverified(case, change, end, reason).await;
        }
    }
    let (change, end) = ((0, Behavior::Hang), (424, "qq_timeout"));
    setup
        .assert_unverified("a handshake that hangs", change, end, "time")
        .await;
    setup.assert_recovers().await;
}

#[tokio::test]
async fn an_unresolvable_host_fails_the_login_and_the_log_says_why() {
    // A label may have 63 letters, so this one fails without a name server.
    let base_url = format!("https://{}.example", "q".repeat(64));
    let (mut running, site) = Running::at_qq(&base_url, &[]).await;
    let qq = MockQq::new(APP_ID, APP_KEY, callback_at(site));
    let mut browser = Browser::at(site);
    let start = browser.get("/auth/qq/login").await;
    let callback = path(&qq.approve(start.location()).unwrap());
    let reply = browser.get(&callback).await;
    assert_eq!(reply.status, 424, "{}", reply.body);
    let line = timeout(Duration::from_secs(10), running.logged("login ended"));
    let line = line.await.expect("the login is logged");
    assert!(line.contains("lookup") || line.contains("name"), "{line}");
    assert!(
        !line.contains("https:") && !line.contains(APP_KEY),
        "{line}"
    );
}

#[tokio::test]
async fn a_callback_uses_the_connection_that_the_login_start_opened() {
    let authority = Authority::new("warm-up");
    let mut setup = Setup::with(&authority, true).await;
    let mut browser = Browser::at(setup.site);
    let callback = browser.callback_from(&setup.qq, "/auth/qq/login").await;
    setup.logged("connected to QQ ahead of the callback").await;
    for _ in 0..20 {
        Browser::at(setup.site).get("/auth/qq/login").await;
    }
    assert_eq!(setup.calls(), [0; 3]);
    assert_eq!(browser.get(&callback).await.status, 303);
    assert_eq!(setup.calls(), [1; 3]);
    assert_eq!(setup.schedule.lock().unwrap().connections, 1);
}

/// Lets a login time out at a QQ that accepts connections and sends nothing. Returns the number of
/// connections.
async fn connections_to_a_hanging_qq(
    configure: impl FnOnce(QqAppBuilder) -> QqAppBuilder,
) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let hanging = tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok(Ok((stream, _))) = timeout(Duration::from_secs(2), listener.accept()).await {
            connections.push(stream);
        }
        connections.len()
    });
    let app = app_builder()
        .base_url(&url)
        .call_timeout(Duration::from_millis(500));
    let layer = QqAuthLayer::new(configure(app).build().unwrap(), keys());
    let mut site = Site::new();
    site.router = pages().layer(layer);
    let mut browser = site.browser();
    let start = Instant::now();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    for _ in 0..20 {
        site.browser().get("/auth/qq/login").await;
    }
    assert_eq!(browser.get(&callback).await.status, 424);
    assert!(start.elapsed() < Duration::from_millis(1500));
    hanging.await.unwrap()
}

#[tokio::test]
async fn a_hanging_warm_up_delays_no_login() {
    assert_eq!(connections_to_a_hanging_qq(|app| app).await, 2);
}

#[tokio::test]
async fn without_warm_up_no_connection_is_opened_early() {
    let connections = connections_to_a_hanging_qq(|app| app.without_warm_up()).await;
    assert_eq!(connections, 1);
}
