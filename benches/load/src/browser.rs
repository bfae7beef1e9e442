//! A browser that follows no redirects, and its connections, which it keeps open.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use cookie::Cookie;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// Longer than the layer takes for any answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The cookies of one browser.
pub type Jar = BTreeMap<String, String>;

#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn location(&self) -> &str {
        let location = self.headers.get(header::LOCATION);
        location.and_then(|it| it.to_str().ok()).unwrap_or_default()
    }
}

/// A connection to one machine.
pub struct Connection {
    machine: SocketAddr,
    sender: Option<SendRequest<Empty<Bytes>>>,
}

impl Connection {
    pub fn new(machine: SocketAddr) -> Self {
        let sender = None;
        Self { machine, sender }
    }

    pub async fn get(&mut self, path: &str, jar: &mut Jar) -> Result<Reply, String> {
        self.send(Method::GET, path, jar).await
    }

    /// Submits an empty form.
    pub async fn post(&mut self, path: &str, jar: &mut Jar) -> Result<Reply, String> {
        self.send(Method::POST, path, jar).await
    }

    /// Sends a request and disconnects after this time, if there is no answer yet.
    pub async fn leave(&mut self, path: &str, jar: &Jar, after: Duration) {
        let mut jar = jar.clone();
        let _ = timeout(after, self.get(path, &mut jar)).await;
        self.sender = None;
    }

    async fn send(&mut self, method: Method, path: &str, jar: &mut Jar) -> Result<Reply, String> {
        let what = format!("{method} {}", path.split('?').next().unwrap_or_default());
        let reply = timeout(PATIENCE, self.exchange(method, path, jar)).await;
        let reply = reply.unwrap_or_else(|_| Err("no answer in 30 s".into()));
        if reply.is_err() {
            self.sender = None;
        }
        reply.map_err(|error| format!("{what}: {error}"))
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        jar: &mut Jar,
    ) -> Result<Reply, String> {
        let pairs = jar.iter().map(|(name, value)| format!("{name}={value}"));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "site.example")
            .header(header::ACCEPT, "text/html")
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header(header::COOKIE, pairs.collect::<Vec<_>>().join("; "));
        let request = request.body(Empty::new()).map_err(|it| it.to_string())?;
        let sender = self.sender().await.map_err(|it| it.to_string())?;
        let response = sender.send_request(request).await;
        let (head, body) = response.map_err(|it| it.to_string())?.into_parts();
        let body = body.collect().await.map_err(|it| it.to_string())?;
        for value in head.headers.get_all(header::SET_COOKIE) {
            let cookie = value.to_str().ok().and_then(|it| Cookie::parse(it).ok());
            let cookie = cookie.ok_or("an unreadable cookie")?;
            match cookie.max_age().is_some_and(|age| age.is_zero()) {
                true => jar.remove(cookie.name()),
                false => jar.insert(cookie.name().into(), cookie.value().into()),
            };
        }
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        })
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Empty<Bytes>>, BoxError> {
        if let Some(sender) = &mut self.sender {
            if sender.ready().await.is_err() {
                self.sender = None;
            }
        }
        if self.sender.is_none() {
            let stream = TcpStream::connect(self.machine).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        self.sender.as_mut().ok_or_else(|| "no connection".into())
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
