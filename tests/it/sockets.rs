//! The built-in HTTP client over real sockets on this machine.

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
use tower_qq_auth::{LoginError, LoginErrorKind, QqAppBuilder, QqAuthLayer, QqClient, QqLogin};

use crate::site::{Clock, Site, app_builder, keys, pages, param, qq};

const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";
const TOKEN: &str = r#"{"access_token":"T0KEN","expires_in":"7776000","refresh_token":"R3FRESH","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}"#;
const PROFILE: &str = r#"{"ret":0,"msg":"","nickname":"小明"}"#;

/// The bytes that a server sends for one request, well-formed or not.
struct RawResponse {
    bytes: Vec<u8>,
    keep_alive: bool,
}

impl RawResponse {
    fn keep_alive(bytes: impl Into<Vec<u8>>) -> Self {
        let (bytes, keep_alive) = (bytes.into(), true);
        Self { bytes, keep_alive }
    }

    fn then_close(bytes: impl Into<Vec<u8>>) -> Self {
        let (bytes, keep_alive) = (bytes.into(), false);
        Self { bytes, keep_alive }
    }
}

/// Returns a well-formed response with this body.
fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// Responds to a token or profile request as QQ would.
fn respond(request: &str) -> RawResponse {
    let is_profile = request.contains("/user/get_user_info?");
    RawResponse::keep_alive(ok(if is_profile { PROFILE } else { TOKEN }))
}

/// A server on a free port that records what it receives.
struct FakeQq {
    address: SocketAddr,
    record: Arc<Mutex<Record>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Record {
    connections: usize,
    /// The request heads.
    requests: Vec<String>,
    /// The number of connections that the server has closed.
    closed: usize,
}

impl FakeQq {
    /// Calls `respond` with the number of each request, counted from 0, and its head.
    async fn new(respond: impl Fn(usize, &str) -> RawResponse + Send + Sync + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), respond)
    }

    fn at(
        listener: TcpListener,
        respond: impl Fn(usize, &str) -> RawResponse + Send + Sync + 'static,
    ) -> Self {
        let (address, record) = (listener.local_addr().unwrap(), Arc::default());
        let server = serve(listener, Arc::clone(&record), Arc::new(respond));
        Self {
            address,
            record,
            server: tokio::spawn(server),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.record.lock().unwrap().requests.clone()
    }

    fn connections(&self) -> usize {
        self.record.lock().unwrap().connections
    }

    fn closed(&self) -> usize {
        self.record.lock().unwrap().closed
    }
}

impl Drop for FakeQq {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Respond = dyn Fn(usize, &str) -> RawResponse + Send + Sync;

async fn serve(listener: TcpListener, record: Arc<Mutex<Record>>, respond: Arc<Respond>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        record.lock().unwrap().connections += 1;
        let (record, respond) = (Arc::clone(&record), Arc::clone(&respond));
        tokio::spawn(async move {
            serve_connection(stream, &record, &*respond).await;
            record.lock().unwrap().closed += 1;
        });
    }
}

async fn serve_connection(mut stream: TcpStream, record: &Mutex<Record>, respond: &Respond) {
    while let Some(head) = read_head(&mut stream).await {
        let number = {
            let mut record = record.lock().unwrap();
            record.requests.push(head.clone());
            record.requests.len() - 1
        };
        let RawResponse { bytes, keep_alive } = respond(number, &head);
        // The client may close the connection before the end.
        let written = stream.write_all(&bytes).await;
        if !keep_alive || written.is_err() {
            return;
        }
    }
}

/// Reads the next request up to its empty line: a GET has no body.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

fn app(url: &str) -> QqAppBuilder {
    app_builder().base_url(url)
}

fn client(app: QqAppBuilder) -> QqClient {
    QqClient::new(app.build().unwrap())
}

async fn login(url: &str) -> Result<QqLogin, LoginError> {
    client(app(url)).login("C0DE").await
}

#[tokio::test]
async fn signs_in_over_a_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (qq, url) = (qq(), format!("http://{}", listener.local_addr().unwrap()));
    let server = tokio::spawn(qq.clone().serve(listener));
    let router = pages().layer(QqAuthLayer::new(app(&url).build().unwrap(), keys()));
    let clock = Clock::new();
    let site = Site { qq, router, clock };
    let mut browser = site.signed_in().await;
    assert_eq!(browser.whoami().await["nickname"], "小明");
    server.abort();
}

#[tokio::test]
async fn sends_requests_in_the_form_that_qq_expects() {
    let fake = FakeQq::new(|_, request| respond(request)).await;
    let client = client(app(&format!("{}/qq/", fake.url())));
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
        let (sent_path, query) = target.split_once('?').unwrap();
        let mut sent: Vec<_> = query.split('&').collect();
        sent.sort_unstable();
        assert_eq!((sent_path, sent), (path, params));
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
    assert_eq!(fake.connections(), 1, "the second call reuses it");
}

/// Malformed or oversized HTTP responses, most of them around this body.
fn malformed_responses(body: &str) -> Vec<(&'static str, Vec<u8>)> {
    let too_long = body.len() + 1;
    let megabyte = "x".repeat(1024 * 1024);
    vec![
        ("nothing", "".into()),
        ("garbage", "\0\x01\x02 canary-page\r\n\r\n".into()),
        ("JSON without a head", body.into()),
        ("another protocol", "SSH-2.0-OpenSSH_9.6\r\n".into()),
        ("a status of letters", "HTTP/1.1 abc OK\r\n\r\n".into()),
        ("a truncated head", "HTTP/1.1 200 OK\r\nContent-Le".into()),
        (
            "a truncated body",
            format!("HTTP/1.1 200 OK\r\nContent-Length: {too_long}\r\n\r\n{body}").into(),
        ),
        (
            "two lengths",
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {too_long}\r\nContent-Length: 3\r\n\r\n{body}\n"
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
            "a truncated chunk",
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{too_long:x}\r\n{body}")
                .into(),
        ),
        (
            "a chunk size of letters",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n".into(),
        ),
        (
            "a header of 1 MB",
            format!("HTTP/1.1 200 OK\r\nX-Long: {megabyte}\r\nContent-Length: 2\r\n\r\n{{}}")
                .into(),
        ),
        (
            "1 MB of headers",
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
            "a body of 1 MB up to the end of the connection",
            format!("HTTP/1.1 200 OK\r\n\r\n{megabyte}").into(),
        ),
    ]
}

const ME: &str = r#"{"client_id":"101905280","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}"#;
const BARE_TOKEN: &str = r#"{"access_token":"T0KEN","expires_in":"7776000"}"#;

#[tokio::test]
async fn reports_malformed_http_as_unavailable_at_every_step() {
    let steps = [
        ("/oauth2.0/token?", BARE_TOKEN),
        ("/oauth2.0/me?", ME),
        ("/user/get_user_info?", PROFILE),
    ];
    for (at, (path, body)) in steps.into_iter().enumerate() {
        for (case, bytes) in malformed_responses(body) {
            let fake = FakeQq::new(move |_, request| {
                if request.contains(path) {
                    return RawResponse::then_close(bytes.clone());
                }
                let step = steps.iter().find(|(path, _)| request.contains(path));
                RawResponse::keep_alive(ok(step.unwrap().1))
            })
            .await;
            let strict = client(app(&fake.url()).require_profile());
            let error = strict.login("C0DE").await.unwrap_err();
            let case = format!("{case} at {path}");
            assert_eq!(error.kind(), LoginErrorKind::QqUnavailable, "{case}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("canary-page"), "{case}: {error}");
            // The code is sent once, and an oversized body is not requested again.
            let is_retried = at > 0 && !case.starts_with("a body of 1 MB");
            let requests = at + 1 + usize::from(is_retried);
            assert_eq!(fake.requests().len(), requests, "{case}");
            if at == 2 {
                let login = login(&fake.url()).await.unwrap();
                assert_eq!(login.user().openid().as_str(), OPENID, "{case}");
                assert!(!login.user().profile_complete(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn reads_a_body_in_chunks_or_up_to_the_end_of_the_connection() {
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
        let bytes = layout.clone();
        let fake = FakeQq::new(move |number, request| match number {
            0 => RawResponse::then_close(bytes.clone()),
            _ => respond(request),
        })
        .await;
        let login = login(&fake.url()).await.unwrap();
        assert_eq!(login.user().nickname(), "小明", "{layout}");
    }
}

#[tokio::test]
async fn reports_a_refused_connection_as_unavailable() {
    // The socket holds the port, but does not listen.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let error = login(&url).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
    let text = error.to_string();
    assert!(text.contains("refused"), "the log says why: {text}");
    assert!(!text.contains("C0DE"), "{text}");
}

#[tokio::test]
async fn a_login_that_reached_no_connection_keeps_its_code() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let router = pages().layer(QqAuthLayer::new(app(&url).build().unwrap(), keys()));
    let (qq, clock) = (qq(), Clock::new());
    let site = Site { qq, router, clock };
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    for _ in 0..2 {
        assert_eq!(browser.get(&callback).await.status, 424);
    }
    let server = tokio::spawn(site.qq.clone().serve(socket.listen(8).unwrap()));
    assert_eq!(browser.get(&callback).await.status, 303);
    assert_eq!(browser.whoami().await["nickname"], "小明");
    server.abort();
}

#[tokio::test]
async fn a_login_whose_request_was_sent_has_used_up_its_code() {
    let fake = FakeQq::new(|_, _| RawResponse::then_close("")).await;
    let router = pages().layer(QqAuthLayer::new(app(&fake.url()).build().unwrap(), keys()));
    let (qq, clock) = (qq(), Clock::new());
    let site = Site { qq, router, clock };
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    assert_eq!(browser.get(&callback).await.status, 424);
    assert_ne!(browser.get(&callback).await.status, 303);
    assert_eq!(fake.requests().len(), 1, "the code is sent once");
}

#[tokio::test]
async fn reports_a_connection_reset_as_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(Mutex::new(0));
    let count = Arc::clone(&connections);
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            *count.lock().unwrap() += 1;
            // Closing with unread bytes resets the connection.
            let _ = stream.read_u8().await;
        }
    });
    let error = login(&url).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::QqUnavailable, "{error}");
    assert_eq!(*connections.lock().unwrap(), 1, "the code is sent once");
    server.abort();
}

/// `TOKEN` in gzip format, uncompressed: a client that decompressed it would accept it.
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
async fn decompresses_no_response() {
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let body = gzip();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [head.into_bytes(), body].concat();
        let fake = FakeQq::new(move |_, _| RawResponse::keep_alive(bytes.clone())).await;
        let error = login(&fake.url()).await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqUnavailable, "{encoding}");
        assert_eq!(fake.requests().len(), 1, "{encoding}");
    }
}

#[tokio::test]
async fn follows_no_redirect() {
    for status in [301, 302, 303, 307, 308] {
        let other = FakeQq::new(|_, request| respond(request)).await;
        let location = format!("{}/oauth2.0/token?code=x", other.url());
        let fake = FakeQq::new(move |_, _| {
            let redirect = format!(
                "HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
            );
            RawResponse::keep_alive(redirect)
        })
        .await;
        let error = login(&fake.url()).await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqUnavailable, "{status}");
        assert_eq!(fake.requests().len(), 1, "{status}");
        assert_eq!(other.connections(), 0, "{status}");
    }
}

#[tokio::test]
async fn a_login_survives_an_idle_connection_that_qq_has_closed() {
    let fake = FakeQq::new(|number, request| {
        let RawResponse { bytes, .. } = respond(request);
        // Each login makes two requests. The server closes the connection after the second.
        let keep_alive = number % 2 == 0;
        RawResponse { bytes, keep_alive }
    })
    .await;
    let client = client(app(&fake.url()));
    for login in 1..=5 {
        let user = client.login("C0DE").await.unwrap().user().clone();
        assert_eq!(user.nickname(), "小明");
        while fake.closed() < login {
            tokio::task::yield_now().await;
        }
        // The runtime polls its sockets before it resumes this task.
        tokio::task::yield_now().await;
    }
    let requests = fake.requests();
    let tokens = requests
        .iter()
        .filter(|request| request.contains("/oauth2.0/token?"));
    assert_eq!(tokens.count(), 5, "one for each login");
}

#[tokio::test]
async fn times_out_while_a_response_is_incomplete() {
    let beginnings = [
        "H",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Slow: a",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ];
    for bytes in beginnings {
        let fake = FakeQq::new(move |_, _| RawResponse::keep_alive(bytes)).await;
        let client = client(app(&fake.url()).call_timeout(Duration::from_millis(200)));
        let start = Instant::now();
        let error = client.login("C0DE").await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqTimeout, "{bytes}");
        assert!(start.elapsed() < Duration::from_secs(5), "{bytes}");
        assert_eq!(fake.requests().len(), 1, "{bytes}: the code is sent once");
    }
}

#[tokio::test]
async fn reconnects_as_soon_as_qq_is_back() {
    // The server closes every connection, so that none outlives it.
    let last = |request: &str| RawResponse::then_close(respond(request).bytes);
    let fake = FakeQq::new(move |_, request| last(request)).await;
    let (address, client) = (fake.address, client(app(&fake.url())));
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
    let restarted = FakeQq::at(listener, move |_, request| last(request));
    client.login("C0DE").await.unwrap();
    assert_eq!(restarted.requests().len(), 2);
}

#[tokio::test]
async fn a_token_request_that_qq_has_read_is_never_sent_again() {
    for before in [0, 1, 2] {
        let fake = FakeQq::new(move |number, request| {
            if number == before * 2 {
                return RawResponse::then_close("");
            }
            respond(request)
        })
        .await;
        let client = client(app(&fake.url()));
        for _ in 0..before {
            client.login("C0DE").await.unwrap();
        }
        let error = client.login("0NCE").await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
        let requests = fake.requests();
        let sent = requests
            .iter()
            .filter(|request| request.contains("code=0NCE"));
        assert_eq!(sent.count(), 1, "after {before} logins on this connection");
        assert_eq!(fake.connections(), 1, "after {before} logins");
        client.login("C0DE").await.unwrap();
    }
}

#[tokio::test]
async fn clones_of_a_client_share_connections() {
    let fake = FakeQq::new(|_, request| respond(request)).await;
    let client = client(app(&fake.url()));
    client.clone().login("C0DE").await.unwrap();
    client.login("C0DE").await.unwrap();
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn the_authorize_url_carries_the_state_unchanged() {
    let client = client(app_builder());
    let url = client.authorize_url("a_B-9", true);
    assert_eq!(param(&url, "state"), "a_B-9");
}
