//! A site on a free local port, and a browser that visits it over real sockets.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{BoxError, Service};
use tower_qq_auth::{QqApp, QqAppBuilder, QqAuthLayer, QqAuthLayerBuilder, QqClient, mock::MockQq};

use crate::site::{APP_ID, APP_KEY, Clock, Reply, keys, path};

/// Everything needed to serve a site whose redirect URI names the port of its listener.
pub(crate) struct Local {
    pub(crate) listener: TcpListener,
    pub(crate) layer: QqAuthLayer,
    pub(crate) qq: MockQq,
    pub(crate) clock: Clock,
    pub(crate) browser: Browser,
}

impl Local {
    pub(crate) async fn new() -> Self {
        Self::with(|app| app, |layer| layer).await
    }

    pub(crate) async fn with(
        app: impl FnOnce(QqAppBuilder) -> QqAppBuilder,
        layer: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let callback = format!("http://{address}/auth/qq/callback");
        let qq = MockQq::new(APP_ID, APP_KEY, &callback);
        let app = app(QqApp::builder(APP_ID, APP_KEY, &callback));
        let client = QqClient::with_service(app.build().unwrap(), qq.clone());
        let clock = Clock::new();
        let time = clock.clone();
        let builder = QqAuthLayer::builder(client, keys()).clock(move || time.now());
        Self {
            listener,
            layer: layer(builder).build().unwrap(),
            qq,
            clock,
            browser: Browser::at(address),
        }
    }
}

/// Serves `service` with plain hyper until the test ends.
pub(crate) fn serve<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let service = TowerToHyperService::new(service);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
}

/// A browser that opens a connection for each request. It does not follow redirects.
#[derive(Clone)]
pub(crate) struct Browser {
    address: SocketAddr,
    jar: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn at(address: SocketAddr) -> Self {
        let jar = BTreeMap::new();
        Self { address, jar }
    }

    /// Returns a new browser for the same site.
    pub(crate) fn another(&self) -> Self {
        Self::at(self.address)
    }

    /// Sends a request with additional header lines and returns the connection, from which the
    /// response is still to be read.
    pub(crate) async fn send(&self, path: &str, more: &str) -> TcpStream {
        self.send_by("GET", path, more).await
    }

    async fn send_by(&self, method: &str, path: &str, more: &str) -> TcpStream {
        let pairs = self
            .jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        let address = self.address;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookies}\r\n{more}\r\n"
        );
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        connection
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.visit("GET", path).await
    }

    /// Submits an empty form.
    pub(crate) async fn post(&mut self, path: &str) -> Reply {
        self.visit("POST", path).await
    }

    async fn visit(&mut self, method: &str, path: &str) -> Reply {
        let mut connection = self
            .send_by(
                method,
                path,
                "Accept: text/html\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n",
            )
            .await;
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let reply = reply(head, body);
        self.keep_cookies(&reply);
        let length = reply.header("content-length").parse::<usize>().unwrap();
        assert_eq!(reply.body.len(), length);
        reply
    }

    /// Applies the `Set-Cookie` headers of a response.
    pub(crate) fn keep_cookies(&mut self, reply: &Reply) {
        for cookie in reply.cookies() {
            let cookie = cookie::Cookie::parse(cookie).unwrap();
            if cookie.max_age().is_some_and(|age| age.is_zero()) {
                self.jar.remove(cookie.name());
            } else {
                self.jar.insert(cookie.name().into(), cookie.value().into());
            }
        }
    }

    /// Starts a login, approves it as the first user of the mock, and returns the callback that QQ
    /// redirects to.
    pub(crate) async fn callback_from(&mut self, qq: &MockQq, login: &str) -> String {
        let start = self.get(login).await;
        path(&qq.approve(start.location()).unwrap())
    }

    /// Completes a login and returns the response to its callback.
    pub(crate) async fn sign_in(&mut self, qq: &MockQq, login: &str) -> Reply {
        let callback = self.callback_from(qq, login).await;
        self.get(&callback).await
    }
}

/// Reads the head of a response and not a byte beyond it.
pub(crate) async fn head(connection: &mut TcpStream) -> Reply {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    reply(std::str::from_utf8(&head).unwrap().trim_end(), "")
}

fn reply(head: &str, body: &str) -> Reply {
    let (status, lines) = head.split_once("\r\n").unwrap();
    let mut headers = HeaderMap::new();
    for line in lines.split("\r\n") {
        let (name, value) = line.split_once(": ").unwrap();
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    assert!(!headers.contains_key(header::TRANSFER_ENCODING));
    Reply {
        status: status
            .split(' ')
            .nth(1)
            .unwrap()
            .parse::<http::StatusCode>()
            .unwrap(),
        headers,
        body: body.to_owned(),
        extensions: http::Extensions::new(),
    }
}
