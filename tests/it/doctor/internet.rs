//! A small internet behind a proxy: the hosts of a site, over https and plain http.

use std::{fs, net::SocketAddr, path::PathBuf, process, sync::Arc};

use axum::{Router, body::Body};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs::default_provider, pki_types::PrivatePkcs8KeyDer},
};
use tower::ServiceExt;

/// The answer of a host to a request.
pub(super) enum Answer {
    /// The app answers, and gets this path.
    App(String),
    /// Another server answers.
    Other(Response<Body>),
    /// The host does not exist.
    Nothing,
}

/// Decides on the answer to a URL.
pub(super) type Hosts = fn(&Uri) -> Answer;

/// A proxy to the hosts, and the certificate authority that they trust.
pub(super) struct Internet {
    pub(super) proxy: SocketAddr,
    pub(super) authority: PathBuf,
}

#[derive(Clone)]
struct Server {
    app: Router,
    hosts: Hosts,
    tls: TlsAcceptor,
}

impl Internet {
    /// Starts it. The certificate is for these names.
    pub(super) async fn start(name: &str, app: Router, hosts: Hosts, names: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let file = format!("doctor-{name}-{}.pem", process::id());
        let authority = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
        let tls = tls(&authority, names);
        let server = Server { app, hosts, tls };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(stream, None));
            }
        });
        Self { proxy, authority }
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.authority);
    }
}

impl Server {
    /// Serves a connection to the proxy, or a tunnel through it to this host.
    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        host: Option<String>,
    ) {
        let service = service_fn(move |request| {
            let (server, host) = (self.clone(), host.clone());
            async move { Ok::<_, std::convert::Infallible>(server.answer(request, host).await) }
        });
        let server = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let _ = server.with_upgrades().await;
    }

    async fn answer(self, request: Request<Incoming>, host: Option<String>) -> Response<Body> {
        if request.method() == Method::CONNECT {
            return self.open_tunnel(request);
        }
        let uri: Uri = match host {
            Some(host) => format!("https://{host}{}", request.uri()).parse().unwrap(),
            None => request.uri().clone(),
        };
        match (self.hosts)(&uri) {
            Answer::App(path) => {
                let (mut head, body) = request.into_parts();
                let query = uri.query().map(|query| format!("?{query}"));
                let path = format!("{path}{}", query.unwrap_or_default());
                head.uri = path.parse().unwrap();
                let request = Request::from_parts(head, Body::new(body));
                self.app.oneshot(request).await.unwrap()
            }
            Answer::Other(response) => response,
            Answer::Nothing => status(502),
        }
    }

    fn open_tunnel(self, request: Request<Incoming>) -> Response<Body> {
        let host = request.uri().host().unwrap().to_owned();
        let url: Uri = format!("https://{host}/").parse().unwrap();
        if matches!((self.hosts)(&url), Answer::Nothing) {
            return status(502);
        }
        tokio::spawn(async move {
            let stream = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
            if let Ok(stream) = self.tls.clone().accept(stream).await {
                Box::pin(self.serve(stream, Some(host))).await;
            }
        });
        status(200)
    }
}

pub(super) fn status(status: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

pub(super) fn redirect(url: impl AsRef<str>) -> Answer {
    let response = Response::builder().status(301);
    let response = response.header("location", url.as_ref());
    Answer::Other(response.body(Body::empty()).unwrap())
}

/// Writes the certificate of a new authority to the file.
fn tls(file: &PathBuf, names: &[&str]) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
