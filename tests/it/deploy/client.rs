//! Browsers that reach a proxy by its socket.

use std::{error::Error, net::SocketAddr, path::Path, sync::Arc};

use axum::{Router, body::Body};
use http::{HeaderValue, Request, Response, Uri, Version, header};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::Mutex};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use tower::{BoxError, service_fn};

/// A way to a host of the site.
#[derive(Clone)]
pub(super) struct Client {
    address: SocketAddr,
    host: &'static str,
    /// `None` for http.
    tls: Option<TlsConnector>,
    /// The connection by HTTP/2 that all requests share.
    open: Arc<Mutex<Option<SendRequest>>>,
}

type SendRequest = http2::SendRequest<Body>;

impl Client {
    pub(super) fn http(address: SocketAddr, host: &'static str) -> Self {
        Self::new(address, host, None)
    }

    fn new(address: SocketAddr, host: &'static str, tls: Option<TlsConnector>) -> Self {
        let open = Arc::default();
        Self {
            address,
            host,
            tls,
            open,
        }
    }

    /// Speaks HTTP/2 as browsers do, or another protocol.
    pub(super) fn https(
        address: SocketAddr,
        host: &'static str,
        authority: &Path,
        protocol: &str,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(authority).unwrap();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder_with_provider(default_provider().into());
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let tls = TlsConnector::from(Arc::new(config));
        Self::new(address, host, Some(tls))
    }

    /// Returns a router that sends every request to the proxy.
    pub(super) fn router(self) -> Router {
        let ask = service_fn(move |request: Request<Body>| {
            let client = self.clone();
            async move {
                let response = client.send(request).await;
                Ok(response.expect("the proxy answers").map(Body::new))
            }
        });
        Router::new().fallback_service(ask)
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Incoming>, BoxError> {
        if self.tls.is_some() {
            let uri = format!("https://{}{}", self.host, request.uri());
            *request.uri_mut() = Uri::try_from(uri)?;
            *request.version_mut() = Version::HTTP_2;
            let mut again = Request::new(Body::empty());
            *again.uri_mut() = request.uri().clone();
            *again.headers_mut() = request.headers().clone();
            let error = match self.sender().await?.send_request(request).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let cause = error.source().and_then(|it| it.downcast_ref::<h2::Error>());
            if cause.and_then(h2::Error::reason) != Some(h2::Reason::REFUSED_STREAM) {
                return Err(error.into());
            }
            // The server says that it has not processed the request.
            Ok(self.sender().await?.send_request(again).await?)
        } else {
            let stream = TokioIo::new(TcpStream::connect(self.address).await?);
            let (mut sender, connection) = http1::handshake(stream).await?;
            tokio::spawn(connection);
            let host = HeaderValue::from_static(self.host);
            request.headers_mut().insert(header::HOST, host);
            Ok(sender.send_request(request).await?)
        }
    }

    async fn sender(&self) -> Result<SendRequest, BoxError> {
        let mut open = self.open.lock().await;
        if let Some(sender) = open.as_mut().filter(|sender| !sender.is_closed()) {
            sender.ready().await?;
            return Ok(sender.clone());
        }
        let stream = TokioIo::new(self.connect().await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        *open = Some(sender.clone());
        Ok(sender)
    }

    /// Opens a connection by https, without a request.
    pub(super) async fn connect(&self) -> Result<TlsStream<TcpStream>, BoxError> {
        let stream = TcpStream::connect(self.address).await?;
        let tls = self.tls.as_ref().expect("https");
        let name = ServerName::try_from(self.host)?;
        Ok(tls.connect(name, stream).await?)
    }
}
