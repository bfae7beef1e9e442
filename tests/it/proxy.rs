//! The built-in client behind a proxy that the environment names.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower_qq_auth::mock::{Endpoint, MockQq};

use crate::{
    process::{Running, callback_at},
    site::{APP_ID, APP_KEY, param, qq},
    socket::Browser,
    tls::Authority,
};

/// The names of QQ, which only the proxy reaches.
const HOST: &str = "qq.example";
const ADDRESS: &str = "203.0.113.7";

/// The credentials of the proxy, as they stand in its URL, and in base64.
const CREDENTIALS: &str = "ann:canary-password";
const BASIC: &str = "Basic YW5uOmNhbmFyeS1wYXNzd29yZA==";

/// A proxy that speaks SOCKS5 and CONNECT, and is QQ itself.
#[derive(Clone)]
struct Proxy {
    address: SocketAddr,
    qq: Arc<Mutex<MockQq>>,
    /// The protocol and the destination of each connection.
    used: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn serve(tls: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            qq: Arc::new(Mutex::new(qq())),
            used: Arc::default(),
        };
        let served = proxy.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(served.clone().serve_connection(stream, tls.clone()));
            }
        });
        proxy
    }

    async fn serve_connection(self, mut stream: TcpStream, tls: TlsAcceptor) {
        let mut first = [0];
        stream.peek(&mut first).await.unwrap();
        match first[0] {
            5 => self.accept_socks(&mut stream).await,
            _ => self.accept_connect(&mut stream).await,
        }
        let Ok(stream) = tls.accept(stream).await else {
            return;
        };
        let qq = self.qq.lock().unwrap().clone();
        let service = TowerToHyperService::new(qq);
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn accept_socks(&self, stream: &mut TcpStream) {
        let mut methods = [0; 2];
        stream.read_exact(&mut methods).await.unwrap();
        read_text(stream, methods[1]).await;
        stream.write_all(&[5, 2]).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 1);
        let length = stream.read_u8().await.unwrap();
        let user = read_text(stream, length).await;
        let length = stream.read_u8().await.unwrap();
        let password = read_text(stream, length).await;
        assert_eq!(format!("{user}:{password}"), CREDENTIALS);
        stream.write_all(&[1, 0]).await.unwrap();

        let mut request = [0; 4];
        stream.read_exact(&mut request).await.unwrap();
        let destination = match request {
            [5, 1, 0, 1] => {
                let mut address = [0; 4];
                stream.read_exact(&mut address).await.unwrap();
                SocketAddr::from((address, 0)).ip().to_string()
            }
            [5, 1, 0, 3] => {
                let length = stream.read_u8().await.unwrap();
                read_text(stream, length).await
            }
            other => panic!("{other:?}"),
        };
        let port = stream.read_u16().await.unwrap();
        self.note(format!("socks {destination}:{port}"));
        let granted = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        stream.write_all(&granted).await.unwrap();
    }

    async fn accept_connect(&self, stream: &mut TcpStream) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap().into());
        }
        assert!(head.contains(BASIC), "{head}");
        let destination = head.split(' ').nth(1).unwrap();
        self.note(format!("connect {destination}"));
        let granted = b"HTTP/1.1 200 OK\r\n\r\n";
        stream.write_all(granted).await.unwrap();
    }

    fn note(&self, connection: String) {
        self.used.lock().unwrap().push(connection);
    }
}

async fn read_text(stream: &mut TcpStream, length: u8) -> String {
    let mut text = vec![0; length.into()];
    stream.read_exact(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

/// Starts a site with one variable for the proxy, and ends a login there.
async fn log_in(
    host: &str,
    (variable, url): (&str, &str),
    authority: &Authority,
    qq: &Mutex<MockQq>,
) -> (u16, String) {
    let environment = [
        (variable, url),
        ("SSL_CERT_FILE", authority.file.to_str().unwrap()),
        ("RUST_LOG", "info"),
    ];
    let (mut running, site) = Running::at_qq(&format!("https://{host}"), &environment).await;
    let mock = MockQq::new(APP_ID, APP_KEY, callback_at(site));
    *qq.lock().unwrap() = mock.clone();
    let mut browser = Browser::at(site);
    let callback = browser.callback_from(&mock, "/auth/qq/login").await;
    let end = browser.get(&callback).await;
    let line = timeout(Duration::from_secs(60), running.logged("login ended"));
    let line = line.await.expect("the login is logged");
    for hidden in [APP_KEY, param(&callback, "code"), "canary", "://"] {
        assert!(!line.contains(hidden), "{hidden} in {line}");
        assert!(!end.body.contains(hidden), "{hidden} in {}", end.body);
    }
    (end.status.as_u16(), line)
}

#[tokio::test]
async fn signs_in_through_a_proxy_of_each_kind() {
    let authority = Authority::new("proxy");
    for (variable, scheme, host, expected) in [
        ("ALL_PROXY", "socks5h", HOST, "socks qq.example:443"),
        ("HTTPS_PROXY", "socks5h", HOST, "socks qq.example:443"),
        // The client resolves the name itself. An address needs no name server.
        ("ALL_PROXY", "socks5", ADDRESS, "socks 203.0.113.7:443"),
        ("ALL_PROXY", "http", HOST, "connect qq.example:443"),
        ("https_proxy", "http", HOST, "connect qq.example:443"),
    ] {
        // Each site has a proxy of its own: the connection that one opened ahead of a callback may
        // reach the proxy after the site has ended.
        let proxy = Proxy::serve(authority.acceptor(&[HOST, ADDRESS], &[])).await;
        let url = format!("{scheme}://{CREDENTIALS}@{}", proxy.address);
        let environment = (variable, url.as_str());
        let (status, line) = log_in(host, environment, &authority, &proxy.qq).await;
        assert_eq!(status, 303, "{scheme}: {line}");
        let qq = proxy.qq.lock().unwrap().clone();
        assert_eq!(qq.calls(Endpoint::Token), 1, "{scheme}");
        let used = proxy.used.lock().unwrap();
        assert!(!used.is_empty(), "{scheme}");
        assert!(used.iter().all(|it| it == expected), "{scheme}: {used:?}");
    }
}

#[tokio::test]
async fn the_log_says_that_the_proxy_is_unreachable() {
    let authority = Authority::new("dead-proxy");
    // The socket holds the port, but does not listen.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let dead = socket.local_addr().unwrap();
    for (variable, scheme) in [("ALL_PROXY", "socks5h"), ("HTTPS_PROXY", "http")] {
        let url = format!("{scheme}://{CREDENTIALS}@{dead}");
        let unused = Mutex::new(qq());
        let (status, line) = log_in(HOST, (variable, &url), &authority, &unused).await;
        assert_eq!(status, 424, "{scheme}");
        assert!(line.contains("qq_unavailable at token"), "{line}");
        assert!(line.contains("the proxy is unreachable"), "{line}");
        assert!(
            line.contains("refused") || line.contains("failed to create underlying connection"),
            "the log says why: {line}"
        );
    }
}

#[tokio::test]
async fn the_log_says_that_the_proxy_does_not_connect() {
    let authority = Authority::new("strict-proxy");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{CREDENTIALS}@{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let refused = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
            let _ = stream.write_all(refused).await;
        }
    });
    let unused = Mutex::new(qq());
    let (status, line) = log_in(HOST, ("HTTPS_PROXY", &url), &authority, &unused).await;
    assert_eq!(status, 424);
    assert!(
        line.contains("the proxy is unreachable or does not connect"),
        "{line}"
    );
    assert!(line.contains("authorization required"), "{line}");
}

#[tokio::test]
async fn a_certificate_behind_the_proxy_is_not_blamed_on_the_proxy() {
    let authority = Authority::new("proxied");
    let other = authority.acceptor(&["other.example"], &[]);
    let proxy = Proxy::serve(other).await;
    for scheme in ["http", "socks5h"] {
        let url = format!("{scheme}://{CREDENTIALS}@{}", proxy.address);
        let (status, line) = log_in(HOST, ("ALL_PROXY", &url), &authority, &proxy.qq).await;
        assert_eq!(status, 424, "{scheme}");
        assert!(line.contains("not valid for name"), "{scheme}: {line}");
        assert!(!line.contains("proxy"), "{scheme}: {line}");
    }
}
