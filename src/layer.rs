//! What the app configures.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{Response, request};
use tokio::sync::Semaphore;
use tower::BoxError;
use tower_layer::Layer;

use crate::{
    ConfigError, Failure, QqAuth, QqClient, QqLogin, RevocationList, SessionKeys, Verdict,
    flow::{Flow, Paths},
    hook::{AccountOf, FailurePage, OnLogin},
};

/// Signs people in with QQ around any service: see the [crate's page](crate) for an example.
///
/// Put it on last, on the outermost router. Cloning is cheap.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct QqAuthLayer {
    pub(crate) flow: Arc<Flow>,
}

impl QqAuthLayer {
    /// A layer that reaches QQ by the built-in client.
    #[cfg(feature = "reqwest")]
    pub fn new(app: crate::QqApp, keys: SessionKeys) -> Self {
        Self::with_client(QqClient::new(app), keys)
    }

    /// A layer that reaches QQ by this client.
    pub fn with_client(client: QqClient, keys: SessionKeys) -> Self {
        let flow = Arc::new(Flow::new(client, &keys));
        Self { flow }
    }

    /// The path that starts a login. By default `/auth/qq/login`.
    ///
    /// # Errors
    ///
    /// If it is no plain path, or one of the other two paths.
    pub fn login_path(self, path: impl Into<String>) -> Result<Self, ConfigError> {
        let login = path.into();
        self.paths("login path", |paths| paths.login = login)
    }

    /// The path that ends a session. By default `/auth/qq/logout`; no effect with [`Self::without_session`].
    ///
    /// # Errors
    ///
    /// If it is no plain path, or one of the other two paths.
    pub fn logout_path(self, path: impl Into<String>) -> Result<Self, ConfigError> {
        let logout = path.into();
        let ours = self.flow.keeps_sessions;
        self.paths("logout path", |paths| paths.logout = ours.then_some(logout))
    }

    /// What the names of the cookies begin with. By default `qq`, for `qq_session` and `qq_login_…`.
    ///
    /// Several QQ apps on one site need a prefix, a login path, a logout path and a callback each.
    ///
    /// # Errors
    ///
    /// If it is not 1 to 32 lower-case letters, digits and `-`.
    pub fn cookie_prefix(mut self, prefix: &str) -> Result<Self, ConfigError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !(1..=32).contains(&prefix.len()) || !prefix.bytes().all(allowed) {
            let problem = "must be 1 to 32 lower-case letters, digits and `-`";
            return Err(ConfigError::new("cookie prefix", problem));
        }
        self.edit().name_cookies(prefix);
        Ok(self)
    }

    /// Asks the app about each login, after QQ has said who it is and before any cookie is set.
    ///
    /// The hook gets the [`QqLogin`] (user, raw profile, tokens, return_to, intent) and the head of the callback request;
    /// who was signed in before is in its extensions as a [`QqUser`]. It lets in, refuses, or sends elsewhere: see
    /// [`Verdict`]. An error or a panic of it refuses that login; its text is logged, so keep tokens out of it.
    ///
    /// It has the time that is left of [`login_timeout`](crate::QqApp::login_timeout); running late ends the login as
    /// `qq_timeout`. Then, and where the browser leaves, it ends at its `.await`: what belongs together goes into one
    /// transaction. A pool is cloned for each login: `move |login, _head| admit(pool.clone(), login)`.
    ///
    /// ```
    /// # use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, QqLogin, SessionKeys, Verdict, mock::MockQq};
    /// # let callback = "http://localhost:3000/auth/qq/callback";
    /// # let app = QqApp::new("101905280", "app-key", callback).unwrap();
    /// # let client = QqClient::with_service(app, MockQq::new("101905280", "app-key", callback));
    /// let qq = QqAuthLayer::with_client(client, SessionKeys::generate())
    ///     .on_login(async |login: QqLogin, _head| {
    ///         let openid = login.user().openid();
    ///         Ok::<_, std::io::Error>(match openid.as_str() {
    ///             "BANNED" => Verdict::Refuse("this account is closed".into()),
    ///             _ => Verdict::AllowTo("/welcome".into()),
    ///         })
    ///     });
    /// # drop(qq);
    /// ```
    ///
    /// [`QqUser`]: crate::QqUser
    pub fn on_login<F, Fut, E>(mut self, hook: F) -> Self
    where
        F: Fn(QqLogin, request::Parts) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Verdict, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.edit().on_login = Some(OnLogin::new(hook));
        self
    }

    /// Sends the callback of a login that succeeded on to the app, which answers it: at the path of the redirect URI,
    /// with [`QqUser`] and [`QqLogin`] in the extensions of the request. By default the layer answers it with a 303.
    ///
    /// The session cookie is added to the app's response, unless that has an error status. With a list of
    /// [`revocations`](Self::revocations), the session that was there before is on it by then. Logins that fail are still
    /// answered by the layer. [`QqLogin::return_to`] says where the person was going.
    ///
    /// [`QqUser`]: crate::QqUser
    pub fn forward_callback(mut self) -> Self {
        self.edit().forwards = true;
        self
    }

    /// Leaves the session to the app: as [`forward_callback`](Self::forward_callback), but no session cookie of ours is
    /// set or read, and the logout path is the app's. The [`QqUser`] is then known in the callback's handler only, which
    /// signs the person in by the app's own means.
    ///
    /// The app's cookie has to be `SameSite=Lax`: the callback comes from QQ, and `Strict` keeps it back there.
    ///
    /// [`QqUser`]: crate::QqUser
    pub fn without_session(mut self) -> Self {
        self.edit().leave_sessions();
        self
    }

    /// Keeps QQ's tokens, sealed in the session cookie, for calls to QQ's other APIs. By default they are dropped after
    /// the login.
    ///
    /// They are then in the extensions of each signed-in request as [`QqTokens`], and a handler argument with axum. A
    /// response that carries [`QqTokens`] in its extensions puts them in place of the kept ones. Sessions from before
    /// this was on count as signed out.
    ///
    /// [`QqTokens`]: crate::QqTokens
    pub fn keep_tokens(mut self) -> Self {
        self.edit().sessions.keeps_tokens = true;
        self
    }

    /// Whose account a request belongs to, for apps with accounts and sessions of their own. By default the openid of
    /// whoever is signed in with QQ.
    /// With [`without_session`](Self::without_session) nobody is, and a login with an intent needs this.
    ///
    /// Somebody who has an account counts as signed in where a callback is no good, and goes to `/`.
    ///
    /// It is asked when a login with an intent starts (`/auth/qq/login?intent=bind`) and again at its callback; the
    /// login is refused if the answer has changed, or if the hook panics. It reads what outer layers put into the
    /// extensions (so a session layer goes on after this one), or the cookies.
    pub fn account_of(
        mut self,
        hook: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.edit().account_of = Some(AccountOf::new(hook));
        self
    }

    /// Renders the pages that tell people of a failure in the app's own look. Programs get JSON as ever.
    ///
    /// Status, `Cache-Control`, `Referrer-Policy` and `X-Content-Type-Options` are set by the layer, other headers are
    /// the page's. Without a `Content-Security-Policy` of its own it gets `frame-ancestors 'none'`. If the hook panics,
    /// our page is shown.
    ///
    /// ```
    /// # use tower_qq_auth::{Failure, QqApp, QqAuthLayer, QqClient, SessionKeys, mock::MockQq};
    /// # let callback = "http://localhost:3000/auth/qq/callback";
    /// # let app = QqApp::new("101905280", "app-key", callback).unwrap();
    /// # let client = QqClient::with_service(app, MockQq::new("101905280", "app-key", callback));
    /// let qq = QqAuthLayer::with_client(client, SessionKeys::generate())
    ///     .failure_page(|failure: &Failure<'_>| {
    ///         let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    ///         let (text, url) = (escape(failure.text()), escape(failure.url()));
    ///         let (title, button) = (failure.title(), failure.button());
    ///         http::Response::new(format!("<h1>{title}</h1><p>{text}</p><a href=\"{url}\">{button}</a>"))
    ///     });
    /// # drop(qq);
    /// ```
    pub fn failure_page(
        mut self,
        hook: impl Fn(&Failure<'_>) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        self.edit().failure_page = Some(FailurePage::new(hook));
        self
    }

    /// How long somebody stays signed in without visiting. By default 7 days; a visit in the second half starts it anew.
    ///
    /// # Errors
    ///
    /// If it is under a minute.
    pub fn session_idle(mut self, idle: Duration) -> Result<Self, ConfigError> {
        let idle = at_least_a_minute(idle, "session idle time")?;
        self.edit().sessions.idle = idle;
        Ok(self)
    }

    /// How long somebody stays signed in at most, visits or not. By default 30 days.
    ///
    /// # Errors
    ///
    /// If it is under a minute.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Result<Self, ConfigError> {
        let lifetime = at_least_a_minute(lifetime, "session lifetime")?;
        self.edit().sessions.lifetime = lifetime;
        Ok(self)
    }

    /// Ends sessions before their time: with this list, logout makes a session worthless wherever its cookie may be, and
    /// [`revoke_user`](Self::revoke_user) all sessions of somebody. By default there is none, and a session is good until
    /// it expires.
    ///
    /// With features, there are `InMemoryRevocations` for one machine and `RedisRevocations` for more.
    pub fn revocations(mut self, list: impl RevocationList) -> Self {
        self.edit().revocations.list = Some(Arc::new(list));
        self
    }

    /// How long the revocation list may take. By default 500 milliseconds.
    ///
    /// # Errors
    ///
    /// If it is zero.
    pub fn revocation_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            let problem = "must be longer than nothing";
            return Err(ConfigError::new("revocation timeout", problem));
        }
        self.edit().revocations.timeout = timeout;
        Ok(self)
    }

    /// Takes sessions on trust while the revocation list cannot be asked. By default they count as signed out on public
    /// pages, and get 503 where a page needs somebody.
    pub fn accept_unverified_sessions(mut self) -> Self {
        self.edit().revocations.accepts_unverified = true;
        self
    }

    /// How many logins may wait for QQ at once; more are told to come back. By default 256.
    ///
    /// # Errors
    ///
    /// If it is 0, or more than a semaphore can count.
    pub fn max_logins_in_flight(mut self, most: usize) -> Result<Self, ConfigError> {
        if most == 0 || most > Semaphore::MAX_PERMITS {
            return Err(ConfigError::new("logins in flight", "must be 1 to 2^61-1"));
        }
        self.edit().in_flight = Arc::new(Semaphore::new(most));
        Ok(self)
    }

    /// Where the time comes from, for tests. By default [`SystemTime::now`].
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.edit().clock = Arc::new(clock);
        self
    }

    fn edit(&mut self) -> &mut Flow {
        Arc::make_mut(&mut self.flow)
    }

    fn paths(
        mut self,
        setting: &'static str,
        change: impl FnOnce(&mut Paths),
    ) -> Result<Self, ConfigError> {
        let paths = &mut self.edit().paths;
        change(paths);
        paths.check(setting)?;
        Ok(self)
    }
}

fn at_least_a_minute(time: Duration, setting: &'static str) -> Result<Duration, ConfigError> {
    if time < Duration::from_secs(60) {
        return Err(ConfigError::new(setting, "must be a minute or more"));
    }
    Ok(time)
}

impl<S> Layer<S> for QqAuthLayer {
    type Service = QqAuth<S>;

    fn layer(&self, inner: S) -> QqAuth<S> {
        QqAuth::new(inner, Arc::clone(&self.flow))
    }
}
