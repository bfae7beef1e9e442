//! Building a [`QqAuthLayer`]: settings and their checks.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::config::{ConfigError, ConfigErrors};
use crate::hooks::account_of::AccountOf;
use crate::hooks::failure_page::FailurePage;
use crate::hooks::on_login::OnLogin;
use crate::layer::QqAuthLayer;
use crate::log_limit::LogLimit;
use crate::login_state::PendingLogins;
use crate::logins::Logins;
use crate::meter;
use crate::origins::Origins;
use crate::paths::{LOGIN_PATH, LOGOUT_PATH, Paths, strip_prefix};
use crate::qq::client::QqClient;
use crate::session::cookie::CookieScope;
use crate::session::keys::SessionKeys;
use crate::session::sessions::{SessionSettings, Sessions};
use crate::session_check::Revocations;
use crate::site::Site;

mod hooks;
mod paths;
mod sessions;

/// A builder for [`QqAuthLayer`]. [`build`](Self::build) checks all settings.
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
#[must_use = "settings do nothing until `build` creates a layer from them"]
pub struct QqAuthLayerBuilder {
    client: QqClient,
    keys: SessionKeys,
    login_path: String,
    logout_path: String,
    public_prefix: String,
    trusted_origins: Vec<String>,
    cookie_prefix: String,
    session: SessionSettings,
    session_check: Revocations,
    max_logins_in_flight: usize,
    clock: Clock,
    on_login: Option<OnLogin>,
    account_of: Option<AccountOf>,
    failure_page: Option<FailurePage>,
    forwards_callback: bool,
    keeps_sessions: bool,
}

impl QqAuthLayer {
    /// Creates a layer with default settings.
    ///
    /// `client` is a [`QqApp`](crate::QqApp) for the built-in HTTP client, or a [`QqClient`]. If
    /// that HTTP client cannot be created, an error is logged and every login fails;
    /// [`QqAuthLayerBuilder::build`] returns the error instead.
    pub fn new(client: impl Into<QqClient>, keys: SessionKeys) -> Self {
        Self::builder(client, keys).build_unchecked()
    }

    /// Creates a builder from the same arguments as [`new`](Self::new).
    pub fn builder(client: impl Into<QqClient>, keys: SessionKeys) -> QqAuthLayerBuilder {
        QqAuthLayerBuilder {
            client: client.into(),
            keys,
            login_path: LOGIN_PATH.into(),
            logout_path: LOGOUT_PATH.into(),
            public_prefix: String::new(),
            trusted_origins: Vec::new(),
            cookie_prefix: "qq".into(),
            session: SessionSettings::default(),
            session_check: Revocations::default(),
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
    /// Sets the prefix of the cookie names: 1 to 32 lower-case letters, digits and `-`. By default
    /// `qq`, for `qq_session` and `qq_login_0` to `qq_login_7`. On https `__Host-` comes first.
    ///
    /// With several QQ apps on one site, each needs its own prefix, login path, logout path and
    /// callback; they can share the session keys. Use an empty router whose `fallback_service` is a
    /// `service_fn` that picks, by path, a router with its own `.layer(qq)` (`merge` and `nest` do
    /// not work). Do not nest the layers: both would answer their paths, but the inner one hides
    /// the user of the outer one.
    pub fn cookie_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.cookie_prefix = prefix.into();
        self
    }

    /// Limits the logins that run at the same time, by default to 256; at least 1. Further ones end
    /// as `overloaded` (424 with `Retry-After`), and a reload tries again.
    ///
    /// A login runs from its callback to the end of `on_login`. Users who are still at QQ do not
    /// count, nor do calls of [`begin`](QqAuthLayer::begin).
    pub fn max_logins_in_flight(mut self, limit: usize) -> Self {
        self.max_logins_in_flight = limit;
        self
    }

    /// Sets the source of the current time, for tests. By default [`SystemTime::now`].
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the settings and creates the layer.
    ///
    /// # Errors
    ///
    /// Returns an error with one line for each invalid setting, and one if the built-in HTTP client
    /// cannot be created.
    pub fn build(self) -> Result<QqAuthLayer, ConfigError> {
        let mut errors = ConfigErrors::default();
        let paths = self.paths();
        let redirect_uri = &self.client.app().redirect_uri;
        errors.collect(strip_prefix(&self.public_prefix, redirect_uri.path()));
        errors.collect(paths.check_login());
        errors.collect(paths.check_logout());
        Origins::check(redirect_uri, &self.trusted_origins, &mut errors);
        errors.collect(check_cookie_prefix(&self.cookie_prefix));
        errors.collect(check_time("session idle time", self.session.limits.idle));
        errors.collect(check_time("session lifetime", self.session.limits.lifetime));
        #[cfg(feature = "revocation")]
        errors.collect(self.session_check.check());
        errors.collect(check_limit(self.max_logins_in_flight));
        if let Some(error) = self.client.build_error() {
            let problem = format!("cannot be created: {error}");
            errors.push(ConfigError::new("HTTP client", problem));
        }
        errors.finish()?;
        Ok(self.build_unchecked())
    }

    fn build_unchecked(self) -> QqAuthLayer {
        meter::register();
        self.session_check.register_metrics();
        let app = self.client.app();
        app.warn_about_settings();
        let redirect_uri = app.redirect_uri.as_str();
        let scope = CookieScope::new(app.redirect_uri.is_secure(), &self.cookie_prefix);
        QqAuthLayer::from_site(Site {
            paths: self.paths(),
            origins: Origins::new(&app.redirect_uri, &self.trusted_origins),
            sessions: Sessions::new(
                &self.keys,
                scope.clone(),
                &app.id,
                redirect_uri,
                self.session,
            ),
            pending_logins: PendingLogins::new(&self.keys, scope, &app.id, redirect_uri),
            revocations: self.session_check,
            logins: Arc::new(Logins::new(self.max_logins_in_flight)),
            log_limit: LogLimit::default(),
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
        let callback = self.client.app().redirect_uri.path();
        let inner = strip_prefix(&self.public_prefix, callback);
        Paths {
            prefix: self.public_prefix.clone(),
            login: self.login_path.clone(),
            callback: inner.unwrap_or(callback).to_owned(),
            logout: self.keeps_sessions.then(|| self.logout_path.clone()),
        }
    }
}

fn check_cookie_prefix(prefix: &str) -> Result<(), ConfigError> {
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
    let problem = match limit {
        0 => "must be at least 1: 0".to_owned(),
        _ => format!("must be at most {}: {limit}", Semaphore::MAX_PERMITS),
    };
    Err(ConfigError::new("limit of logins in flight", problem))
}

impl fmt::Debug for QqAuthLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QqAuthLayerBuilder")
            .field("client", &self.client)
            .field("login_path", &self.login_path)
            .field("logout_path", &self.logout_path)
            .field("public_prefix", &self.public_prefix)
            .field("trusted_origins", &self.trusted_origins)
            .field("cookie_prefix", &self.cookie_prefix)
            .finish_non_exhaustive()
    }
}
