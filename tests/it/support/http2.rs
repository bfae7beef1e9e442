//! A QQ that speaks HTTP/2 over TLS, and refuses requests on command.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use tower_qq_auth::mock::MockQq;

/// The treatment of one request that is not answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// RST_STREAM.
    Reset(Reason),
    /// A GOAWAY whose last stream is the one before the request.
    GoAwayBefore(Reason),
    /// A GOAWAY whose last stream is the request. Then the connection closes.
    GoAwayAt(Reason),
    /// The connection closes without a word.
    Cut,
}

/// The server. Clones share it.
#[derive(Clone)]
pub(crate) struct Http2Qq {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    qq: Mutex<MockQq>,
    requests_per_connection: usize,
    streams_per_connection: AtomicU32,
    refusals: Mutex<VecDeque<Refusal>>,
    connections: AtomicUsize,
    /// The number of token requests that reached QQ, answered or not, for each code.
    codes: Mutex<BTreeMap<String, usize>>,
}

impl Http2Qq {
    /// Serves on a free port. Each connection ends after some requests, in the way of nginx with
    /// `keepalive_requests`: a GOAWAY names the last request, later ones are ignored, and the
    /// connection closes after the last response.
    pub(crate) async fn serve(
        tls: TlsAcceptor,
        qq: MockQq,
        requests_per_connection: usize,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            qq: Mutex::new(qq),
            requests_per_connection,
            streams_per_connection: AtomicU32::new(100),
            refusals: Mutex::default(),
            connections: AtomicUsize::new(0),
            codes: Mutex::default(),
        });
        let server = Self { address, shared };
        let served = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, shared) = (tls.clone(), Arc::clone(&served.shared));
                tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        shared.connections.fetch_add(1, Relaxed);
                        shared.serve_connection(stream).await;
                    }
                });
            }
        });
        server
    }

    /// Returns the base URL for a certificate for `localhost`.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Answers as this mock from now on.
    pub(crate) fn replace(&self, qq: MockQq) {
        *self.shared.qq.lock().unwrap() = qq;
    }

    /// Lets new connections have this many requests at a time. Others wait at the client.
    pub(crate) fn limit_streams(&self, streams: u32) {
        self.shared.streams_per_connection.store(streams, Relaxed);
    }

    /// Refuses the next requests.
    pub(crate) fn refuse(&self, refusals: impl IntoIterator<Item = Refusal>) {
        self.shared.refusals.lock().unwrap().extend(refusals);
    }

    /// Returns the number of refusals that are still to come.
    pub(crate) fn refusals(&self) -> usize {
        self.shared.refusals.lock().unwrap().len()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Relaxed)
    }

    /// Returns the number of token requests that reached QQ for each code.
    pub(crate) fn codes(&self) -> BTreeMap<String, usize> {
        self.shared.codes.lock().unwrap().clone()
    }
}

impl Shared {
    async fn serve_connection(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
    ) {
        let (front, back) = duplex(64 * 1024);
        let server = tokio::spawn(Arc::clone(&self).answer(back));
        let _ = self.relay(stream, front).await;
        server.abort();
    }

    /// Answers the requests that the relay lets through.
    async fn answer(self: Arc<Self>, stream: DuplexStream) {
        let mut server = h2::server::Builder::new();
        server.max_concurrent_streams(self.streams_per_connection.load(Relaxed));
        let Ok(mut connection) = server.handshake::<_, Bytes>(stream).await else {
            return;
        };
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            self.note_code(request.uri().query());
            let refusal = match *request.method() {
                Method::GET => self.refusals.lock().unwrap().pop_front(),
                _ => None,
            };
            match refusal {
                None => drop(tokio::spawn(Arc::clone(&self).respond(request, respond))),
                Some(Refusal::Reset(reason)) => respond.send_reset(reason),
                Some(Refusal::GoAwayAt(reason)) => connection.abrupt_shutdown(reason),
                Some(Refusal::GoAwayBefore(_) | Refusal::Cut) => return,
            }
        }
    }

    fn note_code(&self, query: Option<&str>) {
        let mut pairs = query.unwrap_or_default().split('&');
        if let Some(code) = pairs.find_map(|pair| pair.strip_prefix("code=")) {
            *self.codes.lock().unwrap().entry(code.into()).or_default() += 1;
        }
    }

    async fn respond(
        self: Arc<Self>,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) {
        let qq = self.qq.lock().unwrap().clone();
        let request = request.map(|_| Empty::<Bytes>::new());
        let (head, body) = qq.oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await;
        let Ok(mut stream) = respond.send_response(http::Response::from_parts(head, ()), false)
        else {
            return;
        };
        match body {
            Ok(body) => drop(stream.send_data(body.to_bytes(), true)),
            Err(_) => stream.send_reset(Reason::INTERNAL_ERROR),
        }
    }

    /// Returns whether the next request is refused by a GOAWAY whose last stream is an earlier one.
    fn next_go_away(&self) -> Option<Reason> {
        let mut refusals = self.refusals.lock().unwrap();
        let Some(&Refusal::GoAwayBefore(reason)) = refusals.front() else {
            return None;
        };
        refusals.pop_front();
        Some(reason)
    }

    /// Passes frames on in both directions up to a GOAWAY.
    async fn relay(
        &self,
        client: impl AsyncRead + AsyncWrite,
        server: DuplexStream,
    ) -> io::Result<()> {
        let (mut from_client, mut to_client) = split(client);
        let (mut from_server, mut to_server) = split(server);
        let mut preface = [0; 24];
        from_client.read_exact(&mut preface).await?;
        to_server.write_all(&preface).await?;

        let (mut open, mut last, mut requests) = (BTreeSet::new(), 0, 0);
        let mut is_closing = false;
        let (mut request, mut response) = (FrameReader::default(), FrameReader::default());
        while !is_closing || !open.is_empty() {
            tokio::select! {
                frame = request.next(&mut from_client) => {
                    let frame = frame?;
                    let mut go_away = None;
                    if frame.is_headers() && !is_closing {
                        // The site may open a connection by a HEAD at any time.
                        go_away = if frame.is_get() { self.next_go_away() } else { None };
                        if go_away.is_none() {
                            requests += 1;
                            last = frame.stream();
                            open.insert(last);
                            let is_last = requests == self.requests_per_connection;
                            go_away = is_last.then_some(Reason::NO_ERROR);
                        }
                    }
                    // GOAWAYs of the client do not matter.
                    if frame.stream() <= last && !frame.is_go_away() {
                        to_server.write_all(&frame.0).await?;
                    }
                    if let Some(reason) = go_away {
                        to_client.write_all(&write_go_away(last, reason)).await?;
                        to_client.flush().await?;
                        is_closing = true;
                    }
                }
                frame = response.next(&mut from_server) => {
                    let frame = frame?;
                    to_client.write_all(&frame.0).await?;
                    to_client.flush().await?;
                    if frame.ends_stream() {
                        open.remove(&frame.stream());
                    }
                }
            }
        }
        // To close with unread bytes would reset the connection.
        to_client.shutdown().await?;
        tokio::io::copy(&mut from_client, &mut tokio::io::sink()).await?;
        Ok(())
    }
}

/// A frame with its head: length (3 bytes), type, flags, stream (4 bytes).
struct Frame(Vec<u8>);

impl Frame {
    fn stream(&self) -> u32 {
        u32::from_be_bytes(self.0[5..9].try_into().unwrap())
    }

    fn is_headers(&self) -> bool {
        self.0[3] == 1
    }

    /// Whether it is HEADERS that start with `:method: GET`, which has a number of its own.
    fn is_get(&self) -> bool {
        self.is_headers() && self.0[9] == 0x82
    }

    fn is_go_away(&self) -> bool {
        self.0[3] == 7
    }

    /// Whether it is DATA or HEADERS with END_STREAM, or RST_STREAM.
    fn ends_stream(&self) -> bool {
        (self.0[3] <= 1 && self.0[4] & 1 == 1) || self.0[3] == 3
    }
}

/// Keeps what it has read of a frame if its future is dropped.
#[derive(Default)]
struct FrameReader(Vec<u8>);

impl FrameReader {
    async fn next(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
        loop {
            let length = match *self.0 {
                [a, b, c, ..] => 9 + u32::from_be_bytes([0, a, b, c]) as usize,
                _ => 9,
            };
            if self.0.len() >= length {
                let rest = self.0.split_off(length);
                return Ok(Frame(std::mem::replace(&mut self.0, rest)));
            }
            if stream.read_buf(&mut self.0).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn write_go_away(last: u32, reason: Reason) -> Vec<u8> {
    let head = [0, 0, 8, 7, 0, 0, 0, 0, 0];
    let reason = u32::from(reason).to_be_bytes();
    [&head[..], &last.to_be_bytes(), &reason].concat()
}
