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
use tower_qq_auth::{
    QqAuthLayer,
    mock::{Endpoint, MockQq},
};

use crate::{
    process::{Running, callback_at},
    site::{APP_ID, APP_KEY, Site, app, keys, pages, param, path},
    socket::Browser,
};

/// What a connection to the port of QQ leads to.
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

async fn open(door: Door, mut stream: TcpStream, qq: MockQq, keep_alive: bool) {
    match door {
        Door::Tls(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, qq, keep_alive).await;
            }
        }
        Door::Plain => answer(stream, qq, keep_alive).await,
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

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, qq: MockQq, keep_alive: bool) {
    let service = TowerToHyperService::new(qq);
    let mut server = http1::Builder::new();
    let served = server.keep_alive(keep_alive);
    let _ = served.serve_connection(TokioIo::new(stream), service).await;
}

/// The doors of a login's connections: good ones at first, and another from one of them on.
struct Doors {
    good: Door,
    other: Door,
    from: usize,
    opened: usize,
}

impl Doors {
    fn next(&mut self) -> Door {
        self.opened += 1;
        let good = self.opened <= self.from;
        if good { &self.good } else { &self.other }.clone()
    }
}

/// A QQ at `https://localhost`, and a site in a process of its own that trusts one authority and no other.
struct World {
    qq: MockQq,
    doors: Arc<Mutex<Doors>>,
    running: Running,
    site: SocketAddr,
    port: String,
}

/// The calls of a login, by the names that the log has for them.
const CALLS: [(&str, Endpoint); 3] = [
    ("token", Endpoint::Token),
    ("openid", Endpoint::Me),
    ("profile", Endpoint::UserInfo),
];

impl World {
    /// Each call has a connection of its own, and so a door; the one for warming up has been.
    async fn new(authority: &Authority) -> Self {
        let mut world = Self::with(authority, false).await;
        Browser::at(world.site).get("/auth/qq/login").await;
        world.logged("ahead of the callback").await;
        world
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
        let good = authority.signs(certificate_for("localhost"));
        let doors = Arc::new(Mutex::new(Doors {
            other: good.clone(),
            good,
            from: usize::MAX,
            opened: 0,
        }));
        let (behind, answers) = (Arc::clone(&doors), qq.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let door = behind.lock().unwrap().next();
                tokio::spawn(open(door, stream, answers.clone(), keep_alive));
            }
        });
        Self {
            qq,
            doors,
            running,
            site,
            port,
        }
    }

    fn calls(&self) -> [usize; 3] {
        CALLS.map(|(_, endpoint)| self.qq.calls(endpoint))
    }

    /// A login whose calls from this one on find another door ends like this, for this reason. The door is knocked at
    /// as often as a call may be made, and who is behind it hears nothing.
    async fn assert_left(
        &mut self,
        case: &str,
        (at, door): (usize, Door),
        (status, outcome): (u16, &str),
        reason: &str,
    ) {
        let (hop, _) = CALLS[at];
        let case = format!("{case} at {hop}");
        let mut browser = Browser::at(self.site);
        let callback = browser.callback_from(&self.qq, "/auth/qq/login").await;
        let before = self.calls();
        {
            let mut doors = self.doors.lock().unwrap();
            (doors.other, doors.from, doors.opened) = (door, at, 0);
        }
        let start = Instant::now();
        let reply = browser.get(&callback).await;
        let took = start.elapsed();
        assert_eq!(reply.status, status, "{case}: {}", reply.body);
        assert!(took < Duration::from_secs(6), "{case}: {took:?}");
        let after = self.calls();
        for (call, (name, _)) in CALLS.iter().enumerate() {
            let heard = after[call] - before[call];
            assert_eq!(heard, usize::from(call < at), "{case}: {name}");
        }
        // The code is sent once; a call that may pass is made once more, but not when its time is over.
        let again = at > 0 && outcome != "qq_timeout";
        let opened = self.doors.lock().unwrap().opened;
        assert_eq!(opened, at + 1 + usize::from(again), "{case}");

        let whoami = browser.get("/whoami").await.body;
        let line = if hop == "profile" {
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
        for told in [reason, hop] {
            assert!(line.contains(told), "{case}: no {told} in {line}");
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

    /// With nothing to restart, a login whose calls all find a good door succeeds.
    async fn assert_well(&mut self) {
        self.doors.lock().unwrap().from = usize::MAX;
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
        line.await.expect("the log tells of it")
    }
}

#[tokio::test]
async fn who_cannot_prove_to_be_qq_hears_nothing_at_any_call_and_the_log_says_why() {
    let authority = Authority::new("trusted");
    let mut world = World::new(&authority).await;
    let mut expired = certificate_for("localhost");
    expired.not_before = date(2020, 1, 1);
    expired.not_after = date(2021, 1, 1);
    let mut not_yet = certificate_for("localhost");
    not_yet.not_before = date(4000, 1, 1);
    let stranger = Authority::new("stranger");
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
    for (at, end) in [
        (502, "qq_unavailable"),
        (502, "qq_unavailable"),
        // Who it is, is known by then.
        (303, "ok"),
    ]
    .into_iter()
    .enumerate()
    {
        world.assert_well().await;
        for (case, door, reason) in &cases {
            let door = (at, door.clone());
            world.assert_left(case, door, end, reason).await;
        }
    }
    let (hang, end) = ((0, Door::Silent), (504, "qq_timeout"));
    world
        .assert_left("a handshake that hangs", hang, end, "time")
        .await;
    world.assert_well().await;
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

#[tokio::test]
async fn a_login_finds_the_connection_that_its_start_has_opened() {
    let authority = Authority::new("warm");
    let mut world = World::with(&authority, true).await;
    let mut browser = Browser::at(world.site);
    let callback = browser.callback_from(&world.qq, "/auth/qq/login").await;
    world.logged("is open ahead of the callback").await;
    for _ in 0..20 {
        Browser::at(world.site).get("/auth/qq/login").await;
    }
    assert_eq!(world.calls(), [0; 3]);
    assert_eq!(browser.get(&callback).await.status, 303);
    assert_eq!(world.calls(), [1; 3]);
    assert_eq!(world.doors.lock().unwrap().opened, 1);
}

/// How many connections a QQ has met, that takes them and says nothing, when a login at it has timed out.
async fn met_by_a_silent_qq(warm_up: bool) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let silent = tokio::spawn(async move {
        let mut met = Vec::new();
        while let Ok(Ok((stream, _))) = timeout(Duration::from_secs(2), listener.accept()).await {
            met.push(stream);
        }
        met.len()
    });
    let app = app().base_url(url).unwrap().warm_up(warm_up);
    let app = app.call_timeout(Duration::from_millis(500)).unwrap();
    let layer = QqAuthLayer::new(app, keys());
    let mut site = Site::new();
    site.router = pages().layer(layer);
    let mut browser = site.browser();
    let start = Instant::now();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    for _ in 0..20 {
        site.browser().get("/auth/qq/login").await;
    }
    assert_eq!(browser.get(&callback).await.status, 504);
    assert!(start.elapsed() < Duration::from_millis(1500));
    silent.await.unwrap()
}

#[tokio::test]
async fn a_qq_that_hangs_while_it_is_warmed_up_delays_no_login() {
    assert_eq!(met_by_a_silent_qq(true).await, 2);
}

#[tokio::test]
async fn an_app_may_do_without_the_early_connection() {
    assert_eq!(met_by_a_silent_qq(false).await, 1);
}
