//! Building a [`QqApp`]: arguments, the environment, and checks.

use std::{fmt, fs, time::Duration};

use super::app::{QqApp, QqPage};
use crate::config::{ConfigError, ConfigErrors, variable};
use crate::redirect_uri::{RedirectUri, absolute_url, is_loopback};

const ID: &str = "app id (QQ_APP_ID)";
const KEY: &str = "app key (QQ_APP_KEY)";
const KEY_FILE: &str = "app key file (QQ_APP_KEY_FILE)";
const REDIRECT_URI: &str = "redirect URI (QQ_REDIRECT_URI)";
const BASE_URL: &str = "base URL (QQ_BASE_URL)";

/// Collects the settings of a [`QqApp`]. [`build`](Self::build) checks them all.
#[derive(Clone)]
#[must_use = "settings do nothing until `build` makes an app of them"]
pub struct QqAppBuilder {
    /// `None` if its error is among `errors`.
    id: Option<String>,
    key: Option<String>,
    redirect_uri: Option<String>,
    base_url: String,
    scope: String,
    request_union_id: bool,
    page: QqPage,
    require_profile: bool,
    warm_up: bool,
    call_timeout: Duration,
    login_timeout: Duration,
    allow_plain_http: bool,
    errors: ConfigErrors,
}

impl QqApp {
    /// Makes an app from its id (APP ID), key (APP Key) and callback (网站回调域).
    ///
    /// The redirect URI decides the callback path, whether cookies are `Secure`, and the site's own
    /// origin. It is an `https` URL; `http` is accepted for `localhost`, `127.0.0.1` and `[::1]` only.
    ///
    /// # Errors
    ///
    /// Returns an error that lists every wrong value: an id that is not 1 to 20 digits, a key that is
    /// empty or contains blanks, a redirect URI that cannot work.
    pub fn new(
        id: impl Into<String>,
        key: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        Self::builder(id, key, redirect_uri).build()
    }

    /// Makes an app from the environment: `QQ_APP_ID`, `QQ_APP_KEY` (or `QQ_APP_KEY_FILE`, a file that
    /// contains the key), `QQ_REDIRECT_URI` and optionally `QQ_BASE_URL`. An empty variable counts as
    /// missing.
    ///
    /// # Errors
    ///
    /// Returns an error that lists every variable that is missing or wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::builder_from_env().build()
    }

    /// Starts from the same arguments as [`new`](Self::new).
    pub fn builder(
        id: impl Into<String>,
        key: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> QqAppBuilder {
        QqAppBuilder {
            id: Some(id.into()),
            key: Some(key.into()),
            redirect_uri: Some(redirect_uri.into()),
            base_url: "https://graph.qq.com".into(),
            scope: "get_user_info".into(),
            request_union_id: false,
            page: QqPage::default(),
            require_profile: false,
            warm_up: true,
            call_timeout: Duration::from_secs(5),
            login_timeout: Duration::from_secs(10),
            allow_plain_http: false,
            errors: ConfigErrors::default(),
        }
    }

    /// Starts from the environment, as [`from_env`](Self::from_env) does.
    pub fn builder_from_env() -> QqAppBuilder {
        let mut errors = ConfigErrors::default();
        let mut builder = Self::builder("", "", "");
        builder.id = errors.check(required("QQ_APP_ID", ID));
        builder.key = errors.check(key_from_env());
        builder.redirect_uri = errors.check(required("QQ_REDIRECT_URI", REDIRECT_URI));
        if let Some(Some(url)) = errors.check(variable("QQ_BASE_URL", BASE_URL)) {
            builder.base_url = url;
        }
        QqAppBuilder { errors, ..builder }
    }
}

impl QqAppBuilder {
    /// Sets the base URL of the QQ API, for a mock or a proxy of your own. By default
    /// `https://graph.qq.com`.
    ///
    /// It needs `https` except for a loopback host, because requests contain the app key.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Sets the permissions to ask for, names of QQ's APIs joined by commas. By default
    /// `get_user_info`.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Requests the UnionID. By default it is not requested.
    ///
    /// QQ has to grant it to the app first; a login goes on without it if QQ has not.
    pub fn request_union_id(mut self) -> Self {
        self.request_union_id = true;
        self
    }

    /// Fails a login if QQ gives no profile. By default the user is then signed in by openid alone,
    /// with [`profile_complete`](crate::QqUser::profile_complete) `false`.
    pub fn require_profile(mut self) -> Self {
        self.require_profile = true;
        self
    }

    /// Always shows QQ's desktop page, with a QR code. By default phones get the mobile page.
    pub fn desktop_page(mut self) -> Self {
        self.page = QqPage::Desktop;
        self
    }

    /// Always shows QQ's mobile page. By default only phones get it.
    pub fn mobile_page(mut self) -> Self {
        self.page = QqPage::Mobile;
        self
    }

    /// Does not open a connection to QQ at the start of a login.
    ///
    /// By default the built-in client opens the connection that the callback will need while the user
    /// is at QQ, at most one a minute and for `https` only. It carries nothing of the login, and
    /// nothing waits for it.
    pub fn without_warm_up(mut self) -> Self {
        self.warm_up = false;
        self
    }

    /// Sets the time limit of one call to QQ. By default 5 seconds; at most an hour.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Sets the time limit of one login: all its calls and the app's hook together. By default 10
    /// seconds; at most an hour.
    pub fn login_timeout(mut self, timeout: Duration) -> Self {
        self.login_timeout = timeout;
        self
    }

    /// Accepts a plain `http` redirect URI for any host.
    ///
    /// Dangerous: anyone on the network path can take over every visitor's login and session. It is
    /// meant for closed test networks; a public site needs https.
    pub fn danger_allow_plain_http(mut self) -> Self {
        self.allow_plain_http = true;
        self
    }

    /// Checks the settings and makes the app.
    ///
    /// # Errors
    ///
    /// Returns an error with one line for each setting that cannot work.
    pub fn build(self) -> Result<QqApp, ConfigError> {
        let mut errors = self.errors;
        let id = self.id.and_then(|id| errors.check(check_id(id)));
        let key = self.key.and_then(|key| errors.check(check_key(key)));
        let redirect_uri = self
            .redirect_uri
            .and_then(|uri| errors.check(RedirectUri::new(uri, self.allow_plain_http)));
        let base_url = errors.check(check_base_url(&self.base_url));
        errors.check(check_scope(&self.scope));
        errors.check(check_timeout("call timeout", self.call_timeout));
        errors.check(check_timeout("login timeout", self.login_timeout));
        let (Some(id), Some(key), Some(redirect_uri), Some(base_url)) =
            (id, key, redirect_uri, base_url)
        else {
            return Err(errors.into_error());
        };
        errors.finish()?;
        Ok(QqApp {
            id,
            key,
            redirect_uri,
            base_url,
            scope: self.scope,
            request_union_id: self.request_union_id,
            page: self.page,
            require_profile: self.require_profile,
            warm_up: self.warm_up,
            call_timeout: self.call_timeout,
            login_timeout: self.login_timeout,
        })
    }
}

fn check_id(id: String) -> Result<String, ConfigError> {
    let is_valid = (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    match is_valid {
        true => Ok(id),
        false => Err(ConfigError::with_value(ID, "must be 1 to 20 digits", &id)),
    }
}

fn check_key(key: String) -> Result<String, ConfigError> {
    let is_valid =
        (1..=256).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    match is_valid {
        true => Ok(key),
        false => {
            let problem = "must be one word of visible ASCII characters";
            Err(ConfigError::new(KEY, problem))
        }
    }
}

fn check_base_url(url: &str) -> Result<String, ConfigError> {
    let wrong = |problem: &str| Err(ConfigError::with_value(BASE_URL, problem, url));
    match absolute_url(url) {
        None => wrong("must be a URL such as https://graph.qq.com"),
        Some((_, _, uri)) if uri.query().is_some() || url.contains('#') => {
            wrong("must have neither a query nor a fragment")
        }
        Some((false, host, _)) if !is_loopback(host.host()) => {
            wrong("must be https, except on localhost")
        }
        Some(_) => Ok(url.trim_end_matches('/').into()),
    }
}

fn check_scope(scope: &str) -> Result<(), ConfigError> {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b',');
    if scope.is_empty() || !scope.bytes().all(is_allowed) {
        let problem = "must be names of QQ's APIs joined by commas, such as get_user_info";
        return Err(ConfigError::with_value("scope", problem, scope));
    }
    Ok(())
}

fn check_timeout(setting: &str, timeout: Duration) -> Result<(), ConfigError> {
    if timeout.is_zero() || timeout > Duration::from_secs(60 * 60) {
        let problem = format!("must be greater than zero and at most an hour: {timeout:?}");
        return Err(ConfigError::new(setting, problem));
    }
    Ok(())
}

fn key_from_env() -> Result<String, ConfigError> {
    let key = variable("QQ_APP_KEY", KEY)?;
    let file = variable("QQ_APP_KEY_FILE", KEY_FILE)?;
    match (key, file) {
        (Some(key), None) => Ok(key),
        (None, Some(path)) => match fs::read_to_string(&path) {
            Ok(key) => Ok(key.trim().into()),
            Err(error) => {
                let problem = format!("cannot be read ({})", error.kind());
                Err(ConfigError::with_value(KEY_FILE, problem, &path))
            }
        },
        (Some(_), Some(_)) => {
            let problem = "is set twice: unset it or QQ_APP_KEY_FILE";
            Err(ConfigError::new(KEY, problem))
        }
        (None, None) => Err(ConfigError::new(KEY, "is not set")),
    }
}

fn required(name: &str, setting: &str) -> Result<String, ConfigError> {
    variable(name, setting)?.ok_or_else(|| ConfigError::new(setting, "is not set"))
}

impl fmt::Debug for QqAppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QqAppBuilder")
            .field("id", &self.id)
            .field("redirect_uri", &self.redirect_uri)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}
