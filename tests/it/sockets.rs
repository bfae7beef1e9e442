//! The built-in way to QQ, over real sockets on this machine.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use tower_qq_auth::{LoginErrorKind, QqApp, QqAuthLayer, QqClient};

use crate::site::{APP_ID, APP_KEY, CALLBACK, Site, keys, pages, param, qq};

const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";
const TOKEN: &str = r#"{"access_token":"T0KEN","expires_in":"7776000","refresh_token":"R3FRESH","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}"#;
const PROFILE: &str = r#"{"ret":0,"msg":"","nickname":"小明"}"#;

/// What a server does when it has read a request.
struct Turn {
    bytes: Vec<u8>,
    /// Whether it reads another from the same connection.
    stays: bool,
}

impl Turn {
    fn stay(bytes: impl Into<Vec<u8>>) -> Self {
        let (bytes, stays) = (bytes.into(), true);
        Self { bytes, stays }
    }

    fn leave(bytes: impl Into<Vec<u8>>) -> Self {
        let (bytes, stays) = (bytes.into(), false);
        Self { bytes, stays }
    }
}

/// A good answer, as long as it says.
fn answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// What QQ would say to this request.
fn good(request: &str) -> Turn {
    let profile = request.contains("/user/get_user_info?");
    Turn::stay(answer(if profile { PROFILE } else { TOKEN }))
}

/// A server on a port of its own that writes down what it is asked.
struct Fake {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Heard {
    connections: usize,
    /// The heads of requests.
    requests: Vec<String>,
    /// How many connections the server has closed.
    closed: usize,
}

impl Fake {
    /// `turn` is given the number of the request, from 0, and its head.
    async fn new(turn: impl Fn(usize, &str) -> Turn + Send + Sync + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), turn)
    }

    fn at(
        listener: TcpListener,
        turn: impl Fn(usize, &str) -> Turn + Send + Sync + 'static,
    ) -> Self {
        let (address, heard) = (listener.local_addr().unwrap(), Arc::default());
        let server = serve(listener, Arc::clone(&heard), Arc::new(turn));
        Self {
            address,
            heard,
            server: tokio::spawn(server),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.heard.lock().unwrap().requests.clone()
    }

    fn connections(&self) -> usize {
        self.heard.lock().unwrap().connections
    }

    fn closed(&self) -> usize {
        self.heard.lock().unwrap().closed
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type TurnOf = dyn Fn(usize, &str) -> Turn + Send + Sync;

async fn serve(listener: TcpListener, heard: Arc<Mutex<Heard>>, turn: Arc<TurnOf>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        heard.lock().unwrap().connections += 1;
        let (heard, turn) = (Arc::clone(&heard), Arc::clone(&turn));
        tokio::spawn(async move {
            converse(stream, &heard, &*turn).await;
            heard.lock().unwrap().closed += 1;
        });
    }
}

async fn converse(mut stream: TcpStream, heard: &Mutex<Heard>, turn: &TurnOf) {
    while let Some(head) = head(&mut stream).await {
        let number = {
            let mut heard = heard.lock().unwrap();
            heard.requests.push(head.clone());
            heard.requests.len() - 1
        };
        let Turn { bytes, stays } = turn(number, &head);
        // The other side may have had enough before the end.
        let written = stream.write_all(&bytes).await;
        if !stays || written.is_err() {
            return;
        }
    }
}

/// The next request, up to its empty line: a GET has no body.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

fn app(url: &str) -> QqApp {
    let app = QqApp::new(APP_ID, APP_KEY, CALLBACK).unwrap();
    app.base_url(url).unwrap()
}

async fn login(url: &str) -> Result<tower_qq_auth::QqLogin, tower_qq_auth::LoginError> {
    QqClient::new(app(url)).login("C0DE").await
}

#[tokio::test]
async fn a_login_over_a_socket_ends_signed_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (qq, url) = (qq(), format!("http://{}", listener.local_addr().unwrap()));
    let server = tokio::spawn(qq.clone().serve(listener));
    let router = pages().layer(QqAuthLayer::new(app(&url), keys()));
    let clock = crate::site::Clock::new();
    let site = Site { qq, router, clock };
    let mut browser = site.signed_in().await;
    assert_eq!(browser.whoami().await["nickname"], "小明");
    server.abort();
}

#[tokio::test]
async fn requests_are_sent_as_qq_wants_them() {
    let fake = Fake::new(|_, request| good(request)).await;
    let client = QqClient::new(app(&format!("{}/qq/", fake.url())));
    let login = client.login("a%20b&c=d+e").await.unwrap();
    assert_eq!(login.user().openid().as_str(), OPENID);
    assert_eq!(login.user().nickname(), "小明");

    let expected = [
        (
            "/qq/oauth2.0/token",
            vec![
                "client_id=101905280",
                "client_secret=canary-app-key",
                "code=a%2520b%26c%3Dd%2Be",
                "fmt=json",
                "grant_type=authorization_code",
                "need_openid=1",
                "redirect_uri=https%3A%2F%2Fsite.example%2Fauth%2Fqq%2Fcallback",
            ],
        ),
        (
            "/qq/user/get_user_info",
            vec![
                "access_token=T0KEN",
                "oauth_consumer_key=101905280",
                "openid=CC7F5CEFEFC0EBAB9B07EB481AEBC29C",
            ],
        ),
    ];
    let requests = fake.requests();
    assert_eq!(requests.len(), expected.len());
    for (request, (path, params)) in requests.iter().zip(expected) {
        let (line, headers) = request.split_once("\r\n").unwrap();
        let target = line.strip_prefix("GET ").unwrap();
        let target = target.strip_suffix(" HTTP/1.1").unwrap();
        let (asked, query) = target.split_once('?').unwrap();
        let mut sent: Vec<_> = query.split('&').collect();
        sent.sort_unstable();
        assert_eq!((asked, sent), (path, params));
        let headers = headers.to_lowercase();
        assert!(
            headers.contains(&format!("host: {}\r\n", fake.address)),
            "{headers}"
        );
        assert!(headers.contains("user-agent: tower-qq-auth/"), "{headers}");
        for name in [
            "referer",
            "cookie",
            "authorization",
            "accept-encoding",
            "origin",
            "content-length",
            "transfer-encoding",
        ] {
            assert!(!headers.contains(&format!("{name}:")), "{headers}");
        }
    }
    assert_eq!(fake.connections(), 1, "it is kept for the next call");
}

/// What may come instead of an answer with this body.
fn no_answers(body: &str) -> Vec<(&'static str, Vec<u8>)> {
    let long = body.len() + 1;
    let megabyte = "x".repeat(1024 * 1024);
    vec![
        ("nothing", "".into()),
        ("garbage", "\0\x01\x02 canary-page\r\n\r\n".into()),
        ("json alone", body.into()),
        ("another protocol", "SSH-2.0-OpenSSH_9.6\r\n".into()),
        ("status of letters", "HTTP/1.1 abc OK\r\n\r\n".into()),
        ("head cut off", "HTTP/1.1 200 OK\r\nContent-Le".into()),
        (
            "shorter than it says",
            format!("HTTP/1.1 200 OK\r\nContent-Length: {long}\r\n\r\n{body}").into(),
        ),
        (
            "two lengths",
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {long}\r\nContent-Length: 3\r\n\r\n{body}\n"
            )
            .into(),
        ),
        (
            "no last chunk",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n",
                body.len()
            )
            .into(),
        ),
        (
            "a chunk cut off",
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{long:x}\r\n{body}")
                .into(),
        ),
        (
            "a chunk of letters",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n".into(),
        ),
        (
            "a header of 1 MB",
            format!("HTTP/1.1 200 OK\r\nX-Long: {megabyte}\r\nContent-Length: 2\r\n\r\n{{}}")
                .into(),
        ),
        (
            "a megabyte of headers",
            format!(
                "HTTP/1.1 200 OK\r\n{}\r\n{{}}",
                "X-Many: canary-page\r\n".repeat(50_000)
            )
            .into(),
        ),
        (
            "a body of 1 MB",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n{megabyte}").into(),
        ),
        (
            "a body of 1 MB to the end of the connection",
            format!("HTTP/1.1 200 OK\r\n\r\n{megabyte}").into(),
        ),
    ]
}

const ME: &str = r#"{"client_id":"101905280","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}"#;
const BARE_TOKEN: &str = r#"{"access_token":"T0KEN","expires_in":"7776000"}"#;

#[tokio::test]
async fn what_is_no_answer_of_http_is_no_answer_of_qq_at_any_call() {
    let calls = [
        ("/oauth2.0/token?", BARE_TOKEN),
        ("/oauth2.0/me?", ME),
        ("/user/get_user_info?", PROFILE),
    ];
    for (at, (path, body)) in calls.into_iter().enumerate() {
        for (case, bytes) in no_answers(body) {
            let fake = Fake::new(move |_, request| {
                if request.contains(path) {
                    return Turn::leave(bytes.clone());
                }
                let asked = calls.iter().find(|(path, _)| request.contains(path));
                Turn::stay(answer(asked.unwrap().1))
            })
            .await;
            let strict = app(&fake.url()).require_profile(true);
            let error = QqClient::new(strict).login("C0DE").await.unwrap_err();
            let case = format!("{case} at {path}");
            assert_eq!(error.kind(), LoginErrorKind::QqUnavailable, "{case}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("canary-page"), "{case}: {error}");
            // The code is sent once; what is too long is as long the next time.
            let again = at > 0 && !case.starts_with("a body of 1 MB");
            assert_eq!(fake.requests().len(), at + 1 + usize::from(again), "{case}");
            if at == 2 {
                let login = login(&fake.url()).await.unwrap();
                assert_eq!(login.user().openid().as_str(), OPENID, "{case}");
                assert!(!login.user().profile_complete(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_in_chunks_or_to_the_end_of_the_connection_is_read() {
    let (start, end) = TOKEN.split_at(20);
    let layouts = [
        format!("HTTP/1.1 200 OK\r\n\r\n{TOKEN}"),
        format!("HTTP/1.0 200 OK\r\n\r\n{TOKEN}"),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{start}\r\n{:x}\r\n{end}\r\n0\r\n\r\n",
            start.len(),
            end.len()
        ),
        format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{TOKEN}",
            TOKEN.len()
        ),
    ];
    for layout in layouts {
        let head = layout.clone();
        let fake = Fake::new(move |number, request| match number {
            0 => Turn::leave(layout.clone()),
            _ => good(request),
        })
        .await;
        let login = login(&fake.url()).await.unwrap();
        assert_eq!(login.user().nickname(), "小明", "{head}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_no_answer() {
    // Bound, so that nobody else gets the port, but it does not listen.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let error = login(&url).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
    let text = error.to_string();
    assert!(text.contains("refused"), "the operator learns why: {text}");
    assert!(!text.contains("C0DE"), "{text}");
}

#[tokio::test]
async fn a_connection_reset_by_qq_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(Mutex::new(0));
    let count = Arc::clone(&connections);
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            *count.lock().unwrap() += 1;
            // To close with bytes unread is to reset.
            let _ = stream.read_u8().await;
        }
    });
    let error = login(&url).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::QqUnavailable, "{error}");
    assert_eq!(*connections.lock().unwrap(), 1, "the code is sent once");
    server.abort();
}

/// TOKEN in the format of gzip, not made smaller: read as gzip, it would be a good answer.
fn gzip() -> Vec<u8> {
    let length = u16::try_from(TOKEN.len()).unwrap();
    let mut crc = !0_u32;
    for byte in TOKEN.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    [
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".as_slice(),
        &length.to_le_bytes(),
        &(!length).to_le_bytes(),
        TOKEN.as_bytes(),
        &(!crc).to_le_bytes(),
        &u32::from(length).to_le_bytes(),
    ]
    .concat()
}

#[tokio::test]
async fn nothing_is_decompressed() {
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let body = gzip();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [head.into_bytes(), body].concat();
        let fake = Fake::new(move |_, _| Turn::stay(bytes.clone())).await;
        let error = login(&fake.url()).await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqUnavailable, "{encoding}");
        assert_eq!(fake.requests().len(), 1, "{encoding}");
    }
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    for status in [301, 302, 303, 307, 308] {
        let other = Fake::new(|_, request| good(request)).await;
        let location = format!("{}/oauth2.0/token?code=x", other.url());
        let fake = Fake::new(move |_, _| {
            let moved = format!(
                "HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
            );
            Turn::stay(moved)
        })
        .await;
        let error = login(&fake.url()).await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqUnavailable, "{status}");
        assert_eq!(fake.requests().len(), 1, "{status}");
        assert_eq!(other.connections(), 0, "{status}: the other hears nothing");
    }
}

#[tokio::test]
async fn a_connection_closed_while_idle_does_not_cost_the_next_login() {
    let fake = Fake::new(|number, request| {
        let Turn { bytes, .. } = good(request);
        // The last request of each login, and then without a word.
        let stays = number % 2 == 0;
        Turn { bytes, stays }
    })
    .await;
    let client = QqClient::new(app(&fake.url()));
    for login in 1..=5 {
        let user = client.login("C0DE").await.unwrap().user().clone();
        assert_eq!(user.nickname(), "小明");
        while fake.closed() < login {
            tokio::task::yield_now().await;
        }
        // The runtime looks at its sockets before it comes back here.
        tokio::task::yield_now().await;
    }
    let tokens = fake.requests();
    let tokens = tokens.iter().filter(|it| it.contains("/oauth2.0/token?"));
    assert_eq!(tokens.count(), 5, "once for each login");
}

#[tokio::test]
async fn slow_headers_are_left_in_time() {
    let starts = [
        "H",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Slow: a",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ];
    for bytes in starts {
        let fake = Fake::new(move |_, _| Turn::stay(bytes)).await;
        let app = app(&fake.url()).call_timeout(Duration::from_millis(200));
        let (client, start) = (QqClient::new(app.unwrap()), Instant::now());
        let error = client.login("C0DE").await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqTimeout, "{bytes}");
        assert!(start.elapsed() < Duration::from_secs(5), "{bytes}");
        assert_eq!(fake.requests().len(), 1, "{bytes}: the code is sent once");
    }
}

#[tokio::test]
async fn qq_that_comes_back_is_found_again_at_once() {
    // It closes each connection, so that none outlives the server.
    let last = |request: &str| Turn::leave(good(request).bytes);
    let fake = Fake::new(move |_, request| last(request)).await;
    let (address, client) = (fake.address, QqClient::new(app(&fake.url())));
    client.login("C0DE").await.unwrap();
    drop(fake);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        let error = client.login("C0DE").await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
    }
    let listener = TcpListener::bind(address).await.unwrap();
    let again = Fake::at(listener, move |_, request| last(request));
    client.login("C0DE").await.unwrap();
    assert_eq!(again.requests().len(), 2);
}

#[tokio::test]
async fn a_token_request_that_was_read_is_never_sent_again() {
    for before in [0, 1, 2] {
        let fake = Fake::new(move |number, request| {
            if number == before * 2 {
                return Turn::leave("");
            }
            good(request)
        })
        .await;
        let client = QqClient::new(app(&fake.url()));
        for _ in 0..before {
            client.login("C0DE").await.unwrap();
        }
        let error = client.login("0NCE").await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
        let requests = fake.requests();
        let sent = requests.iter().filter(|it| it.contains("code=0NCE"));
        assert_eq!(sent.count(), 1, "after {before} logins on this connection");
        assert_eq!(fake.connections(), 1, "after {before} logins");
        client.login("C0DE").await.unwrap();
    }
}

#[tokio::test]
async fn clones_share_connections_and_a_state_comes_back_as_it_was() {
    let fake = Fake::new(|_, request| good(request)).await;
    let client = QqClient::new(app(&fake.url()));
    assert_eq!(
        param(&client.authorize_url("a_B-9", true), "state"),
        "a_B-9"
    );
    client.clone().login("C0DE").await.unwrap();
    client.login("C0DE").await.unwrap();
    assert_eq!(fake.connections(), 1);
}
