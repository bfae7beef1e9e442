//! The built-in HTTP client: reqwest with rustls.
//!
//! It follows no redirect and sends no `Referer`, since URLs contain the app key. It decompresses
//! nothing, since half a megabyte of gzip can become a gigabyte. A code works only once, so a
//! request is sent again only if no connection has taken it, or if QQ says that it did not process
//! it. Features that other crates turn on in reqwest change none of this: every setting that one of
//! them could flip is set here.

use std::{pin::pin, sync::atomic::Ordering::Relaxed, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::time::timeout;
use tower::{BoxError, service_fn};

use super::{
    app::QqApp,
    send_error::{SendError, root_cause},
    taken_body::TakenBody,
    upstream::{Upstream, UpstreamError},
};
use crate::absolute_url::AbsoluteUrl;

const MAX_RESENDS: usize = 2;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The time after which a request that no connection has taken is sent again: that of a connection
/// is over.
///
/// hyper 1.12 hands a request over through a channel. One that arrives in the instant in which its
/// connection ends stays there for ever.
const STUCK_AFTER: Duration = CONNECT_TIMEOUT.saturating_add(Duration::from_millis(100));

/// An HTTP client for the host of one base URL.
#[derive(Clone)]
pub(super) struct HttpClient {
    client: reqwest::Client,
    /// Opens a connection for each request. A resent request would compete with new ones on a
    /// shared connection and could be refused again.
    resender: reqwest::Client,
    has_proxy: bool,
}

impl HttpClient {
    /// Builds the client. The error is the cause of a failure.
    pub(super) fn new(app: &QqApp) -> Result<Self, String> {
        let proxy = find_proxy(&app.base_url);
        let build = || {
            Ok(Self {
                client: build(proxy.as_ref(), usize::MAX)?,
                resender: build(proxy.as_ref(), 0)?,
                has_proxy: proxy.is_some(),
            })
        };
        build().map_err(|error: reqwest::Error| {
            let cause = root_cause(&error);
            tracing::error!("every login will fail: cannot create the HTTP client: {cause}");
            cause
        })
    }

    /// Sends a GET, and up to twice again if QQ did not process it.
    pub(super) async fn send(
        &self,
        request: Request<()>,
    ) -> Result<Response<reqwest::Body>, SendError> {
        let mut was_refused = false;
        let mut client = &self.client;
        let mut resends = 0;
        loop {
            let (body, taken) = TakenBody::new();
            let request = request.clone().map(|()| reqwest::Body::wrap(body));
            let response = match reqwest::Request::try_from(request) {
                Ok(request) => {
                    let mut call = pin!(client.execute(request));
                    match timeout(STUCK_AFTER, &mut call).await {
                        Ok(response) => response,
                        Err(_) if resends < MAX_RESENDS && !taken.load(Relaxed) => {
                            client = &self.resender;
                            resends += 1;
                            continue;
                        }
                        Err(_) => call.await,
                    }
                }
                Err(error) => Err(error),
            };
            let error = match response {
                Ok(response) => return Ok(response.into()),
                Err(error) => SendError::new(error, self.has_proxy, was_refused),
            };
            if resends == MAX_RESENDS || !error.is_unprocessed() {
                return Err(error);
            }
            was_refused |= error.is_refused();
            client = &self.resender;
            resends += 1;
        }
    }

    pub(super) fn into_upstream(self) -> Upstream {
        let send = move |request: Request<Full<Bytes>>| {
            let client = self.clone();
            async move {
                // Every call to QQ is a GET.
                client.send(request.map(drop)).await
            }
        };
        Upstream::new(service_fn(send), explain)
    }
}

/// Explains the failure of a request or of the body of its response.
fn explain(error: BoxError) -> UpstreamError {
    match error.downcast_ref::<SendError>() {
        Some(error) => error.explain(),
        None => UpstreamError::Failed(root_cause(error.as_ref())),
    }
}

fn build(proxy: Option<&Intercept>, max_idle: usize) -> reqwest::Result<reqwest::Client> {
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        // Uses aws-lc-rs unless the app has installed another provider for its process.
        .tls_backend_rustls()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .no_hickory_dns()
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        // Most users come back from QQ within this time, to the connection opened when they left.
        .pool_idle_timeout(Duration::from_secs(90))
        .pool_max_idle_per_host(max_idle)
        .user_agent(concat!("tower-qq-auth/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = proxy {
        client = client.proxy(use_proxy(proxy)?);
    }
    client.build()
}

/// Returns the proxy that the environment names for QQ. A mock on this machine needs none.
fn find_proxy(base_url: &str) -> Option<Intercept> {
    if AbsoluteUrl::parse(base_url).is_some_and(|url| url.is_loopback()) {
        return None;
    }
    let qq: Uri = base_url.parse().ok()?;
    let proxy = Matcher::from_env().intercept(&qq);
    if proxy.is_none() {
        warn_of_invalid_proxy(&qq);
    }
    proxy
}

/// Warns of a variable that is meant for QQ, but names no proxy. `NO_PROXY` plays no part here.
fn warn_of_invalid_proxy(qq: &Uri) {
    let names: &[&str] = match qq.scheme_str() {
        Some("https") => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        _ => &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    for name in names {
        let value = std::env::var(name).unwrap_or_default();
        let matcher = Matcher::builder().all(value.clone()).build();
        if !value.is_empty() && matcher.intercept(qq).is_none() {
            tracing::warn!(
                "{name} is ignored, because it names no proxy: write http://host:port or \
                 socks5h://host:port, or unset it"
            );
        }
    }
}

fn use_proxy(proxy: &Intercept) -> reqwest::Result<reqwest::Proxy> {
    let url = proxy.uri().to_string();
    let mut used = reqwest::Proxy::all(url)?;
    if let Some(header) = proxy.basic_auth() {
        used = used.custom_http_auth(header.clone());
    }
    if let Some((user, password)) = proxy.raw_auth() {
        used = used.basic_auth(user, password);
    }
    Ok(used)
}
