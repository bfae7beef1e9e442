//! The client: one connection pool, one app, and how a call to QQ is made.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::{Instant, timeout_at};

use super::{
    app::QqApp,
    response::{count, is_passing, unusable},
    upstream::{Upstream, UpstreamError},
};
#[cfg(feature = "reqwest")]
use super::{http_client, warm_up};
use crate::error::LoginErrorKind::Misconfigured;
use crate::error::{LoginError, Step};

/// A client of QQ's API for one [`QqApp`].
///
/// The layer contains one. By itself it serves apps that run the login themselves, and calls to QQ's
/// other APIs. Cloning is cheap; clones share their connections.
#[derive(Clone)]
pub struct QqClient {
    app: Arc<QqApp>,
    upstream: Upstream,
    /// Opens a connection to QQ in the background.
    warm_up: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Why the built-in HTTP client could not be made, if so.
    broken: Option<String>,
}

impl QqClient {
    /// Makes a client with the built-in HTTP client: reqwest over rustls, without redirects, `Referer`
    /// and decompression.
    ///
    /// It uses the proxies that the environment names (`HTTPS_PROXY`, `NO_PROXY`), except for a base
    /// URL on a loopback host. If the HTTP client cannot be made, which only the system can cause, this
    /// logs an error and every call fails;
    /// [`QqAuthLayerBuilder::build`](crate::QqAuthLayerBuilder::build) returns that error.
    #[cfg(feature = "reqwest")]
    pub fn new(app: QqApp) -> Self {
        let http = http_client::build(&app);
        let warm_up = warm_up::warm_up(&app, &http);
        let broken = http
            .as_ref()
            .err()
            .map(|error| http_client::root_cause(error));
        Self {
            app: Arc::new(app),
            upstream: http_client::upstream(http),
            warm_up,
            broken,
        }
    }

    /// Makes a client that sends its requests through `service`: another HTTP client, a proxy, the
    /// mock.
    ///
    /// Requests contain the app key and codes that can be used once, so the service must not follow
    /// redirects, send a `Referer`, log URLs or repeat requests. The texts of its errors are not
    /// reported.
    ///
    /// ```
    /// use tower_qq_auth::{QqApp, QqClient, mock::MockQq};
    ///
    /// # fn main() -> Result<(), tower_qq_auth::ConfigError> {
    /// let callback = "http://127.0.0.1:3000/auth/qq/callback";
    /// let app = QqApp::new("101905280", "app-key", callback)?;
    /// let client = QqClient::with_service(app, MockQq::new("101905280", "app-key", callback));
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_service<S, B>(app: QqApp, service: S) -> Self
    where
        S: tower_service::Service<Request<Full<Bytes>>, Response = http::Response<B>>,
        S: Clone + Send + Sync + 'static,
        S::Error: Into<tower::BoxError>,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<tower::BoxError>,
    {
        let explain = |_| UpstreamError::Failed("the upstream service failed".into());
        Self {
            app: Arc::new(app),
            upstream: Upstream::new(service, explain),
            warm_up: None,
            broken: None,
        }
    }

    pub(crate) fn app(&self) -> &QqApp {
        &self.app
    }

    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Opens a connection for the callback that may follow, without waiting for it.
    pub(crate) fn warm_up(&self) {
        match &self.warm_up {
            Some(warm_up) if self.app.warm_up => warm_up(),
            _ => {}
        }
    }

    /// Returns the URL of QQ's login page, which sends the browser back to the redirect URI with a code
    /// and `state`.
    ///
    /// `state` must consist of `[0-9A-Za-z_-]` (QQ for Android drops any other), be hard to guess, and
    /// be known to this browser alone. `mobile` selects the page for phones.
    pub fn authorize_url(&self, state: &str, mobile: bool) -> String {
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", &self.app.id),
            ("redirect_uri", self.app.redirect_uri.as_str()),
            ("scope", &self.app.scope),
            ("state", state),
        ];
        if mobile {
            query.push(("display", "mobile"));
        }
        self.url("/oauth2.0/authorize", &query)
    }

    /// Sends a GET. `/me` and the profile are requested once more if the first failure may pass.
    pub(super) async fn get(
        &self,
        step: Step,
        path: &str,
        query: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Bytes, LoginError> {
        let url = self.url(path, query);
        let mut may_repeat = matches!(step, Step::OpenId | Step::Profile);
        loop {
            let request = Request::get(&url).body(Full::default()).map_err(|_| {
                LoginError::new(Misconfigured, "the path of this api is not part of a URL")
                    .with_step(step)
            })?;
            let deadline = deadline.min(Instant::now() + self.app.call_timeout);
            let response = timeout_at(deadline, self.upstream.send(request)).await;
            let failure = match response.unwrap_or(Err(UpstreamError::TimedOut)) {
                Ok(response) if response.status == StatusCode::OK => return Ok(response.body),
                failure => failure,
            };
            let may_pass = match &failure {
                Ok(response) => is_passing(response.status),
                Err(error) => matches!(error, UpstreamError::Failed(_)),
            };
            let failed = count(step, || Err(unusable(failure).with_step(step)));
            if !(may_repeat && may_pass) {
                return failed;
            }
            may_repeat = false;
        }
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut url = format!("{}{path}", self.app.base_url);
        for (at, (name, value)) in query.iter().enumerate() {
            url.push(if at == 0 { '?' } else { '&' });
            url.extend(utf8_percent_encode(name, RESERVED));
            url.push('=');
            url.extend(utf8_percent_encode(value, RESERVED));
        }
        url
    }
}

#[cfg(feature = "reqwest")]
impl From<QqApp> for QqClient {
    /// Makes a client with the built-in HTTP client, like [`QqClient::new`].
    fn from(app: QqApp) -> Self {
        Self::new(app)
    }
}

impl fmt::Debug for QqClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QqClient")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
