//! QQ's protocol: authorize, token, openid, profile.
//!
//! 1. The browser goes to [`QqClient::authorize_url`] and comes back with a code.
//! 2. The code is exchanged for a token, once: a code is good for one use.
//! 3. If that reply has no openid, or the UnionID is wanted, `/me` tells them. It must name our own app.
//! 4. The profile is asked for. A login does not depend on it, unless the app says so.
//! 5. A reply counts only with status 200, at most 64 KiB, and without any sign of an error in the body.
//! 6. `/me` and the profile are asked once more after a failure that may pass; the token never is.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use crate::{LoginError, LoginErrorKind::Misconfigured, OpenId, error::Step};

mod app;
mod codes;
#[cfg(feature = "reqwest")]
mod http_client;
mod identity;
mod judge;
mod login;
mod profile;
pub(crate) mod redirect_uri;
mod reply;
mod token;
mod upstream;
#[cfg(feature = "reqwest")]
mod warm_up;

pub use self::{
    app::{Display, QqApp},
    codes::{Fault, QqCode},
    login::QqLogin,
};
use self::{
    judge::{accepted, counted, garbage, is_passing, unusable},
    reply::{Reply, integer},
    upstream::{Trouble, Upstream},
};

/// Speaks to QQ for one [`QqApp`].
///
/// The layer has one inside. On its own it serves apps that run the login themselves and calls to QQ's other APIs.
/// Cloning is cheap; clones share their connections.
#[derive(Clone)]
pub struct QqClient {
    app: Arc<QqApp>,
    upstream: Upstream,
    /// Opens a connection to QQ in the background.
    warmer: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl QqClient {
    /// A client with the built-in upstream: reqwest over rustls, no redirects, no `Referer`, no decompression.
    ///
    /// Proxies named in the environment (`HTTPS_PROXY`, `NO_PROXY`) are used, except for a QQ on a loopback host.
    #[cfg(feature = "reqwest")]
    pub fn new(app: QqApp) -> Self {
        let http = http_client::build(app.is_on_loopback());
        let warmer = warm_up::warmer(&app, &http);
        let (app, upstream) = (Arc::new(app), http_client::upstream(http));
        Self {
            app,
            upstream,
            warmer,
        }
    }

    /// A client that sends its requests through `service`: another HTTP client, a proxy, the mock.
    ///
    /// The service must not follow redirects, send a `Referer`, log addresses or repeat requests: the addresses hold
    /// the app key and codes that are good for one use. Its errors are reported without their texts.
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
        let app = Arc::new(app);
        let upstream = Upstream::new(service, |_| {
            Trouble::Broken("the upstream service failed".into())
        });
        Self {
            app,
            upstream,
            warmer: None,
        }
    }

    /// The app that this client speaks for.
    pub(crate) fn app(&self) -> &QqApp {
        &self.app
    }

    /// Has a connection to QQ opened for the callback that may follow. Does not wait for it.
    pub(crate) fn warm_up(&self) {
        match &self.warmer {
            Some(warm_up) if self.app.warm_up => warm_up(),
            _ => {}
        }
    }

    /// Where to send the browser: QQ's login page, which sends it back to the redirect URI with a code and `state`.
    ///
    /// `state` must be of `[0-9A-Za-z_-]` (QQ's app for Android drops any that is not), hard to guess, and known to
    /// this browser alone. `mobile` asks for the page for phones.
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

    /// Asks one of QQ's other APIs, such as `/user/get_user_info`, and gives the whole reply.
    ///
    /// `path` is a plain one, such as `/user/get_vip_info`. `params` are sent beside the three that every API takes:
    /// `access_token`, `oauth_consumer_key` and `openid`.
    ///
    /// # Errors
    ///
    /// As for a login; [`CodeRejected`](crate::LoginErrorKind::CodeRejected) says that the token is not good any more,
    /// [`Misconfigured`](crate::LoginErrorKind::Misconfigured) that the path is none.
    pub async fn open_api(
        &self,
        path: &str,
        access_token: &str,
        openid: &OpenId,
        params: &[(&str, &str)],
    ) -> Result<Map<String, Value>, LoginError> {
        let step = Step::OpenApi;
        // Behind a host name anything else may make another host of it, to which the token would go.
        if !path.starts_with('/') || path.contains(['?', '#']) {
            let detail = "the path of an api is one such as /user/get_vip_info";
            return Err(LoginError::new(Misconfigured, detail).at(step));
        }
        let deadline = Instant::now() + self.app.call_timeout;
        self.api(step, path, access_token, openid, params, deadline)
            .await
    }

    async fn api(
        &self,
        step: Step,
        path: &str,
        access_token: &str,
        openid: &OpenId,
        params: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Map<String, Value>, LoginError> {
        let mut query = vec![
            ("access_token", access_token),
            ("oauth_consumer_key", &self.app.id),
            ("openid", openid.as_str()),
        ];
        query.extend_from_slice(params);
        let body = self.get(step, path, &query, deadline).await?;
        counted(step, || {
            let reply = Reply::parse(&body).or_else(|| Reply::parse(&without_controls(&body)));
            let reply = accepted(step, reply, None)?;
            match reply.fields.get("ret").map(integer) {
                Some(Some(0)) if !reply.is_form => Ok(reply.fields),
                _ => Err(garbage(step)),
            }
        })
    }

    /// Asks; `/me` and the profile once more if the first failure may have been a passing one.
    async fn get(
        &self,
        step: Step,
        path: &str,
        query: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Bytes, LoginError> {
        let url = self.url(path, query);
        let mut again = matches!(step, Step::OpenId | Step::Profile);
        loop {
            let request = Request::get(&url).body(Full::default()).map_err(|_| {
                LoginError::new(Misconfigured, "the address of this api cannot be built").at(step)
            })?;
            let deadline = deadline.min(Instant::now() + self.app.call_timeout);
            let answer = timeout_at(deadline, self.upstream.send(request)).await;
            let failure = match answer.unwrap_or(Err(Trouble::TimedOut)) {
                Ok(answer) if answer.status == StatusCode::OK => return Ok(answer.body),
                failure => failure,
            };
            let may_pass = match &failure {
                Ok(answer) => is_passing(answer.status),
                Err(trouble) => matches!(trouble, Trouble::Broken(_)),
            };
            let failed = counted(step, || Err(unusable(failure).at(step)));
            if !(again && may_pass) {
                return failed;
            }
            again = false;
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

impl fmt::Debug for QqClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QqClient")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A body with its control characters made blanks: QQ sends nicknames with raw ones, which JSON does not allow.
fn without_controls(body: &[u8]) -> Vec<u8> {
    let blank = |&byte: &u8| if byte < b' ' { b' ' } else { byte };
    body.iter().map(blank).collect()
}
