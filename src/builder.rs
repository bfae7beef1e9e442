//! Building a [`QqAuthLayer`]: settings and their checks.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::request;
use tokio::sync::Semaphore;
use tower::BoxError;

#[cfg(feature = "revocation")]
use crate::revocation::list::RevocationList;
use crate::{
    clock::Clock,
    config::{ConfigError, ConfigErrors},
    hooks::{
        account_of::AccountOf,
        failure_page::{Failure, FailurePage},
        on_login::{OnLogin, Verdict},
    },
    layer::QqAuthLayer,
    login::QqLogin,
    login_state::LoginStates,
    paths::{LOGIN_PATH, LOGOUT_PATH, Paths},
    qq::client::QqClient,
    revocation::check::Revocations,
    session::{
        cookie::CookieScope,
        keys::SessionKeys,
        sessions::{SessionSettings, Sessions},
    },
    site::Site,
};

/// Collects the settings of a [`QqAuthLayer`]. [`build`](Self::build) checks them all.
///
/// ```
/// # use std::time::Duration;
/// # use tower_qq_auth::{ConfigError, QqApp, QqAuthLayer, SessionKeys};
/// # fn layer(app: QqApp, keys: SessionKeys) -> Result<QqAuthLayer, ConfigError> {
/// let qq = QqAuthLayer::builder(app, keys)
///     .login_path("/login")
///     .session_idle(Duration::from_secs(24 * 60 * 60))
///     .keep_tokens()
///     .build()?;
/// # Ok(qq)
/// # }
/// ```
#[must_use = "settings do nothing until `build` makes a layer of them"]
pub struct QqAuthLayerBuilder {
    client: QqClient,
    keys: SessionKeys,
    login_path: String,
    logout_path: String,
    cookie_prefix: String,
    session: SessionSettings,
    revocations: Revocations,
    max_logins_in_flight: usize,
    clock: Clock,
    on_login: Option<OnLogin>,
    account_of: Option<AccountOf>,
    failure_page: Option<FailurePage>,
    forwards_callback: bool,
    keeps_sessions: bool,
}

impl QqAuthLayer {
    /// Makes a layer with default settings.
    ///
    /// `client` is a [`QqApp`](crate::QqApp), which is then called by the built-in HTTP client, or a
    /// [`QqClient`]. If that HTTP client cannot be made, an error is logged and every login fails;
    /// [`QqAuthLayerBuilder::build`] returns the error instead.
    pub fn new(client: impl Into<QqClient>, keys: SessionKeys) -> Self {
        Self::builder(client, keys).build_unchecked()
    }

    /// Starts from the same arguments as [`new`](Self::new).
    pub fn builder(client: impl Into<QqClient>, keys: SessionKeys) -> QqAuthLayerBuilder {
        QqAuthLayerBuilder {
            client: client.into(),
            keys,
            login_path: LOGIN_PATH.into(),
            logout_path: LOGOUT_PATH.into(),
            cookie_prefix: "qq".into(),
            session: SessionSettings::default(),
            revocations: Revocations::default(),
            max_logins_in_flight: 256,
            clock: Arc::new(SystemTime::now),
            on_login: None,
            account_of: None,
            failure_page: None,
            forwards_callback: false,
            keeps_sessions: true,
        }
    }
}

impl QqAuthLayerBuilder {
    /// Sets the path that starts a login. By default `/auth/qq/login`.
    pub fn login_path(mut self, path: impl Into<String>) -> Self {
        self.login_path = path.into();
        self
    }

    /// Sets the path that ends a session. By default `/auth/qq/logout`. It has no effect with
    /// [`without_session`](Self::without_session).
    pub fn logout_path(mut self, path: impl Into<String>) -> Self {
        self.logout_path = path.into();
        self
    }

    /// Sets the start of the cookie names: 1 to 32 lower-case letters, digits and `-`. By default `qq`,
    /// for `qq_session` and `qq_login_…`.
    ///
    /// Several QQ apps on one site each need a prefix, a login path, a logout path and a callback.
    pub fn cookie_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.cookie_prefix = prefix.into();
        self
    }

    /// Lets the app decide about each login, after QQ has named the user and before any cookie is set.
    ///
    /// The hook gets the [`QqLogin`] and the head of the callback request, whose extensions contain the
    /// [`QqUser`](crate::QqUser) who was signed in before, if any. It returns a [`Verdict`]. If it fails
    /// or panics, the login is refused and the error is logged, so keep tokens out of its text. It is
    /// cloned for each login like a handler of axum, so an `async move` closure can own a pool.
    ///
    /// The hook runs within the rest of [`login_timeout`](crate::QqAppBuilder::login_timeout). On
    /// timeout, or if the browser leaves, its future is dropped at an `.await`, so keep writes that
    /// belong together in one transaction.
    ///
    /// ```
    /// # use tower_qq_auth::{ConfigError, QqApp, QqAuthLayer, SessionKeys, Verdict};
    /// # #[derive(Clone)]
    /// # struct Pool;
    /// # impl Pool {
    /// #     async fn is_banned(&self, _: &str) -> Result<bool, std::io::Error> { Ok(false) }
    /// # }
    /// # fn layer(app: QqApp, keys: SessionKeys, pool: Pool) -> Result<QqAuthLayer, ConfigError> {
    /// let qq = QqAuthLayer::builder(app, keys)
    ///     .on_login(async move |login, _head| {
    ///         if pool.is_banned(login.user().openid().as_str()).await? {
    ///             return Ok(Verdict::refuse("this account is closed"));
    ///         }
    ///         Ok(Verdict::allow().redirect_to("/welcome"))
    ///     })
    ///     .build()?;
    /// # Ok(qq)
    /// # }
    /// ```
    pub fn on_login<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce(QqLogin, request::Parts) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Verdict, BoxError>> + Send + 'static,
    {
        self.on_login = Some(OnLogin::new(hook));
        self
    }

    /// Lets the app answer the callback of a login that succeeded. By default the layer redirects to
    /// the `return_to`.
    ///
    /// The request reaches the app at the path of the redirect URI, with [`QqUser`](crate::QqUser) and
    /// [`QqLogin`] in its extensions. The session cookie is added to the app's response, unless that
    /// has an error status. With a list of [revocations](crate::QqAuthLayer), the session from before
    /// is already revoked. The layer still answers logins that fail.
    pub fn forward_callback(mut self) -> Self {
        self.forwards_callback = true;
        self
    }

    /// Leaves sessions to the app: like [`forward_callback`](Self::forward_callback), but the layer sets
    /// and reads no session cookie, and the logout path belongs to the app.
    ///
    /// Only the handler of the callback sees the [`QqUser`](crate::QqUser); it signs the user in by the
    /// app's own means. The app's cookie has to be `SameSite=Lax`: the callback comes from QQ, and
    /// browsers withhold a `Strict` cookie there.
    pub fn without_session(mut self) -> Self {
        self.forwards_callback = true;
        self.keeps_sessions = false;
        self
    }

    /// Keeps QQ's tokens in the session, for calls to QQ's other APIs. By default they are dropped after
    /// the login.
    ///
    /// Signed-in requests then have [`QqTokens`](crate::QqTokens) in their extensions, and as a handler
    /// argument with axum. A response with `QqTokens` in its extensions replaces the kept ones. Sessions
    /// from before this setting count as signed out.
    pub fn keep_tokens(mut self) -> Self {
        self.session.keep_tokens = true;
        self
    }

    /// Tells the layer which app account a request belongs to. By default it is the openid of the
    /// signed-in user.
    ///
    /// Apps with accounts and sessions of their own need it for logins with an intent
    /// (`/auth/qq/login?intent=bind`): the layer calls the hook when such a login starts and again when
    /// the callback arrives, and refuses the login if the account has changed or the hook panics. A user
    /// with an account also counts as signed in when a stale callback is redirected to `/`.
    ///
    /// The hook reads cookies, or what outer layers put into the extensions; a session layer therefore
    /// goes on after this one.
    pub fn account_of(
        mut self,
        hook: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.account_of = Some(AccountOf::new(hook));
        self
    }

    /// Renders failures in the app's own look, for browsers. Programs still get JSON.
    ///
    /// The page can be anything that axum takes for a response, such as `Html`. Its body must be
    /// complete at once; a page that streams, or a hook that panics, gives the layer's own page. The
    /// layer sets the status, `Cache-Control`, `Referrer-Policy` and `X-Content-Type-Options`, and
    /// `frame-ancestors 'none'` if the page has no `Content-Security-Policy`.
    ///
    /// ```
    /// use axum::response::Html;
    /// # use tower_qq_auth::{ConfigError, QqApp, QqAuthLayer, SessionKeys, hooks::Failure};
    /// # fn layer(app: QqApp, keys: SessionKeys) -> Result<QqAuthLayer, ConfigError> {
    /// let qq = QqAuthLayer::builder(app, keys)
    ///     .failure_page(|failure: &Failure<'_>| {
    ///         let escape = |text: &str| {
    ///             text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
    ///         };
    ///         let (title, button) = (failure.title(), failure.button());
    ///         let (text, url) = (escape(failure.text()), escape(failure.url()));
    ///         Html(format!("<h1>{title}</h1><p>{text}</p><a href=\"{url}\">{button}</a>"))
    ///     })
    ///     .build()?;
    /// # Ok(qq)
    /// # }
    /// ```
    #[cfg(feature = "axum")]
    pub fn failure_page<R: axum_core::response::IntoResponse>(
        mut self,
        hook: impl Fn(&Failure<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        let page = FailurePage::new(move |failure| hook(failure).into_response());
        self.failure_page = Some(page);
        self
    }

    /// Renders failures in the app's own look, for browsers. Programs still get JSON.
    ///
    /// If the hook panics, the browser gets the layer's own page. The layer sets the status,
    /// `Cache-Control`, `Referrer-Policy` and `X-Content-Type-Options`, and `frame-ancestors 'none'` if
    /// the page has no `Content-Security-Policy`.
    #[cfg(not(feature = "axum"))]
    pub fn failure_page(
        mut self,
        hook: impl Fn(&Failure<'_>) -> http::Response<String> + Send + Sync + 'static,
    ) -> Self {
        self.failure_page = Some(FailurePage::new(hook));
        self
    }

    /// Sets how long a user stays signed in without a visit. By default 7 days; at least a minute. A
    /// visit in the second half renews the session.
    pub fn session_idle(mut self, idle: Duration) -> Self {
        self.session.idle = idle;
        self
    }

    /// Sets how long a user stays signed in at most. By default 30 days; at least a minute.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.session.lifetime = lifetime;
        self
    }

    /// Checks sessions against a list of revoked ones. By default there is none, and a session counts
    /// until it expires.
    ///
    /// With a list, logout ends a session wherever its cookie may be, and
    /// [`revoke_user`](QqAuthLayer::revoke_user) ends all sessions of a user. Use
    /// [`InMemoryRevocations`](crate::revocation::InMemoryRevocations) on one machine and
    /// `RedisRevocations` on several.
    #[cfg(feature = "revocation")]
    pub fn revocations(mut self, list: impl RevocationList) -> Self {
        self.revocations.set_list(list);
        self
    }

    /// Sets the time limit of one call of the revocation list. By default 500 milliseconds.
    #[cfg(feature = "revocation")]
    pub fn revocation_timeout(mut self, timeout: Duration) -> Self {
        self.revocations.timeout = timeout;
        self
    }

    /// Sets how long an answer of the revocation list counts, which is the time that a revocation takes
    /// to reach this machine. By default 3 seconds.
    ///
    /// Zero asks at every request. It has no effect on a list that is local.
    #[cfg(feature = "revocation")]
    pub fn revocation_freshness(mut self, time: Duration) -> Self {
        self.revocations.freshness = time;
        self
    }

    /// Sets how long an answer still counts while the revocation list is unavailable. By default 60
    /// seconds. It has no effect on a list that is local.
    #[cfg(feature = "revocation")]
    pub fn revocation_grace(mut self, time: Duration) -> Self {
        self.revocations.grace = time;
        self
    }

    /// Accepts sessions unchecked while the revocation list is unavailable. By default they are treated
    /// as signed out on public pages, and get 503 where a page needs a user.
    #[cfg(feature = "revocation")]
    pub fn accept_unverified_sessions(mut self) -> Self {
        self.revocations.accept_unverified = true;
        self
    }

    /// Limits concurrent logins. Further ones get 503 with `Retry-After`. By default 256.
    pub fn max_logins_in_flight(mut self, limit: usize) -> Self {
        self.max_logins_in_flight = limit;
        self
    }

    /// Sets the source of the current time, for tests. By default [`SystemTime::now`].
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the settings and makes the layer.
    ///
    /// # Errors
    ///
    /// Returns an error with one line for each setting that cannot work, and one if the built-in HTTP
    /// client cannot be made.
    pub fn build(self) -> Result<QqAuthLayer, ConfigError> {
        let mut errors = ConfigErrors::default();
        let paths = self.paths();
        errors.check(paths.check_login());
        errors.check(paths.check_logout());
        errors.check(check_prefix(&self.cookie_prefix));
        errors.check(check_time("session idle time", self.session.idle));
        errors.check(check_time("session lifetime", self.session.lifetime));
        #[cfg(feature = "revocation")]
        errors.check(self.revocations.check());
        errors.check(check_limit(self.max_logins_in_flight));
        if let Some(error) = self.client.broken() {
            let error = ConfigError::new("HTTP client", format!("cannot be made: {error}"));
            errors.check(Err::<(), _>(error));
        }
        errors.finish()?;
        Ok(self.build_unchecked())
    }

    fn build_unchecked(self) -> QqAuthLayer {
        let app = self.client.app();
        let scope = CookieScope::new(app.redirect_uri.is_secure(), self.cookie_prefix.clone());
        QqAuthLayer::from_site(Site {
            paths: self.paths(),
            sessions: Sessions::new(&self.keys, scope.clone(), &app.id, self.session),
            login_states: LoginStates::new(&self.keys, scope, &app.id),
            revocations: self.revocations,
            logins_in_flight: Arc::new(Semaphore::new(self.max_logins_in_flight)),
            clock: self.clock,
            on_login: self.on_login,
            account_of: self.account_of,
            failure_page: self.failure_page,
            forwards_callback: self.forwards_callback,
            keeps_sessions: self.keeps_sessions,
            client: self.client,
        })
    }

    fn paths(&self) -> Paths {
        Paths {
            login: self.login_path.clone(),
            callback: self.client.app().redirect_uri.path().to_owned(),
            logout: self.keeps_sessions.then(|| self.logout_path.clone()),
        }
    }
}

fn check_prefix(prefix: &str) -> Result<(), ConfigError> {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if (1..=32).contains(&prefix.len()) && prefix.bytes().all(is_allowed) {
        return Ok(());
    }
    let problem = "must be 1 to 32 lower-case letters, digits and `-`";
    Err(ConfigError::with_value("cookie prefix", problem, prefix))
}

fn check_time(setting: &str, time: Duration) -> Result<(), ConfigError> {
    if time >= Duration::from_secs(60) {
        return Ok(());
    }
    let problem = format!("must be a minute or more: {time:?}");
    Err(ConfigError::new(setting, problem))
}

fn check_limit(limit: usize) -> Result<(), ConfigError> {
    let range = 1..=Semaphore::MAX_PERMITS;
    if range.contains(&limit) {
        return Ok(());
    }
    let problem = format!("must be 1 to {}: {limit}", Semaphore::MAX_PERMITS);
    Err(ConfigError::new("limit of logins in flight", problem))
}

impl fmt::Debug for QqAuthLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QqAuthLayerBuilder")
            .field("client", &self.client)
            .field("login_path", &self.login_path)
            .field("logout_path", &self.logout_path)
            .field("cookie_prefix", &self.cookie_prefix)
            .finish_non_exhaustive()
    }
}
