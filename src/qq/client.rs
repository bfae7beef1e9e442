//! The client of QQ's API.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use percent_encoding::utf8_percent_encode;
use tokio::time::{Instant, timeout_at};

use super::{
    app::QqApp,
    response::finish_call,
    upstream::{Upstream, UpstreamError},
    verifications::Verifications,
};
#[cfg(feature = "reqwest")]
use super::{http_client::HttpClient, warm_up};
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::Misconfigured;
use crate::error::place::Step;
use crate::meter;
use crate::percent::RESERVED;

/// A client of QQ's API for one [`QqApp`].
///
/// The layer contains one, which [`QqAuthLayer::client`](crate::QqAuthLayer::client) returns. Use
/// it directly to run a login yourself, and to call QQ's other APIs. Cloning is cheap; clones share
/// their connections.
///
/// ```
/// use tower_qq_auth::{QqApp, QqClient, mock::MockQq};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (id, key, callback) = ("101905280", "app-key", "https://club.example/auth/qq/callback");
/// # let qq = MockQq::new(id, key, callback);
/// # qq.api("/user/get_vip_info", r#"{"ret":0,"msg":"","vip":"1"}"#);
/// let app = QqApp::builder(id, key, callback).scope("get_user_info,get_vip_info").build()?;
/// let client = QqClient::with_service(app, qq.clone()); // without a mock: QqClient::new(app)
/// let url = client.authorize_url("a-random-state", false);
/// # let callback = qq.approve(&url)?;
/// # let (_, code) = callback.split_once("code=").unwrap();
/// # let (code, _) = code.split_once('&').unwrap();
///
/// // The browser opens `url` and comes back with `code`.
/// let login = client.login(code).await?;
/// let openid = login.user().openid();
/// let vip = client.open_api("/user/get_vip_info", login.tokens(), openid, &[]).await?;
/// assert_eq!(vip["vip"], "1");
///
/// let tokens = client.refresh(login.tokens()).await?;
/// let user = client.user_info(&tokens, openid).await?;
/// assert_eq!(user.nickname(), "小明");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct QqClient {
    app: Arc<QqApp>,
    upstream: Upstream,
    /// Opens a connection to QQ in the background.
    open_connection: Option<Arc<dyn Fn() + Send + Sync>>,
    /// The error of the built-in HTTP client, if it could not be created.
    build_error: Option<String>,
    pub(super) verifications: Arc<Verifications>,
}

impl QqClient {
    /// Creates a client with the built-in HTTP client: reqwest over rustls, without redirects,
    /// `Referer` or decompression.
    ///
    /// It uses the proxy that the environment names (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), http
    /// or SOCKS, except for a base URL on a loopback host. Cargo features that other crates turn on
    /// in reqwest change nothing. If the HTTP client cannot be created, which only the system can
    /// cause, this logs an error and every call fails;
    /// [`QqAuthLayerBuilder::build`](crate::QqAuthLayerBuilder::build) returns that error.
    #[cfg(feature = "reqwest")]
    pub fn new(app: QqApp) -> Self {
        let (upstream, open_connection, build_error) = match HttpClient::new(&app) {
            Ok(client) => {
                let upstream = client.clone().into_upstream();
                (upstream, warm_up::build(&app, client), None)
            }
            Err(cause) => (Upstream::failing(cause.clone()), None, Some(cause)),
        };
        Self {
            app: Arc::new(app),
            upstream,
            open_connection,
            build_error,
            verifications: Arc::default(),
        }
    }

    /// Creates a client that sends its requests through `service`: another HTTP client, a proxy,
    /// the mock.
    ///
    /// Requests contain the app key and codes that work only once, so the service must not follow
    /// redirects, send a `Referer`, log URLs or retry requests. The texts of its errors are not
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
            open_connection: None,
            build_error: None,
            verifications: Arc::default(),
        }
    }

    pub(crate) fn app(&self) -> &QqApp {
        &self.app
    }

    pub(crate) fn build_error(&self) -> Option<&str> {
        self.build_error.as_deref()
    }

    /// Opens a connection for the callback that may follow, without waiting for it.
    pub(crate) fn warm_up(&self) {
        if let Some(open_connection) = &self.open_connection {
            open_connection();
        }
    }

    /// Returns the URL of QQ's login page, which sends the browser back to the redirect URI with a
    /// code and `state`.
    ///
    /// `state` must consist of `[0-9A-Za-z_-]` (QQ for Android drops any other), be hard to guess,
    /// and be known to this browser alone. `mobile` selects the page for phones.
    pub fn authorize_url(&self, state: &str, mobile: bool) -> String {
        // QQ's documented order, which some versions of QQ for Android may depend on.
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", &self.app.id),
            ("redirect_uri", self.app.redirect_uri.as_str()),
            ("state", state),
            ("scope", &self.app.options.scope),
        ];
        if mobile {
            query.push(("display", "mobile"));
        }
        self.url("/oauth2.0/authorize", &query)
    }

    /// Sends a GET and returns the body. Retries `/me` and the profile once after a transient
    /// failure.
    pub(super) async fn get(
        &self,
        step: Step,
        path: &str,
        query: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Bytes, LoginError> {
        let url = self.url(path, query);
        let mut can_retry = matches!(step, Step::OpenId | Step::Profile);
        loop {
            let request = Request::get(&url).body(Full::default()).map_err(|_| {
                LoginError::new(Misconfigured, "the path does not form a valid URL").with_step(step)
            })?;
            let started_at = Instant::now();
            let deadline = deadline.min(started_at + self.app.options.call_timeout);
            let body = timeout_at(deadline, self.upstream.send(request)).await;
            meter::record_call_time(step, started_at.elapsed());
            let error = match body.unwrap_or(Err(UpstreamError::TimedOut)) {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let retries = can_retry && error.is_transient();
            let failed = finish_call(step, Err(error.into_login_error()));
            if !retries {
                return failed;
            }
            can_retry = false;
        }
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut url = format!("{}{path}", self.app.base_url);
        for (index, (name, value)) in query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.extend(utf8_percent_encode(name, RESERVED));
            url.push('=');
            url.extend(utf8_percent_encode(value, RESERVED));
        }
        url
    }
}

#[cfg(feature = "reqwest")]
impl From<QqApp> for QqClient {
    /// Creates a client with the built-in HTTP client, like [`QqClient::new`].
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
