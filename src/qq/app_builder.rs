//! Building a [`QqApp`]: arguments, the environment, and checks.

use std::{fmt, time::Duration};

use super::{
    app::{LoginOptions, QqApp, QqPage},
    app_checks::{
        BASE_URL, DEFAULT_BASE_URL, ID, check_base_url, check_id, check_key, check_scope,
        check_timeout,
    },
};
use crate::config::{ConfigError, ConfigErrors, read_secret, read_variable};
use crate::redirect_uri::{RedirectUri, SETTING as REDIRECT_URI};

const KEY: &str = "app key (QQ_APP_KEY)";

/// A builder for [`QqApp`]. [`build`](Self::build) checks all settings.
#[derive(Clone)]
#[must_use = "settings do nothing until `build` creates an app from them"]
pub struct QqAppBuilder {
    id: Result<String, ConfigError>,
    key: Result<String, ConfigError>,
    redirect_uri: Result<String, ConfigError>,
    base_url: Result<String, ConfigError>,
    allow_plain_http: bool,
    options: LoginOptions,
}

impl QqApp {
    /// Creates an app from its id (APP ID), key (APP Key) and callback (网站回调域).
    ///
    /// The redirect URI decides the callback path, whether cookies are `Secure`, and the origin of
    /// the site. It is an `https` URL; only `localhost`, `127.0.0.1` and `[::1]` may have `http`.
    ///
    /// # Errors
    ///
    /// Returns an error that lists every invalid value:
    ///
    /// 1. an id that is not 1 to 20 digits;
    /// 2. a key that is empty, longer than 256 bytes or not visible ASCII;
    /// 3. a redirect URI that is not an `https` URL, is longer than 460 bytes, or has user info, a
    ///    fragment, a `;`, an empty or dot segment, a character that browsers rewrite, a parameter
    ///    that QQ adds (such as `code` or `state`), or the path `/`, `/auth/qq/login` or
    ///    `/auth/qq/logout`;
    /// 4. a value with quotes or a byte order mark around it.
    pub fn new(
        id: impl Into<String>,
        key: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        Self::builder(id, key, redirect_uri).build()
    }

    /// Creates an app from the environment: `QQ_APP_ID`, `QQ_APP_KEY` (or `QQ_APP_KEY_FILE`, a file
    /// that contains the key), `QQ_REDIRECT_URI` and optionally `QQ_BASE_URL`. An empty variable
    /// counts as missing.
    ///
    /// # Errors
    ///
    /// Returns an error that lists every variable that is missing or invalid.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::builder_from_env().build()
    }

    /// Creates a builder from the same arguments as [`new`](Self::new).
    pub fn builder(
        id: impl Into<String>,
        key: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> QqAppBuilder {
        QqAppBuilder {
            id: Ok(id.into()),
            key: Ok(key.into()),
            redirect_uri: Ok(redirect_uri.into()),
            base_url: Ok(DEFAULT_BASE_URL.into()),
            allow_plain_http: false,
            options: LoginOptions {
                scope: "get_user_info".into(),
                request_union_id: false,
                accepted_apps: Vec::new(),
                page: QqPage::default(),
                require_profile: false,
                warm_up: true,
                call_timeout: Duration::from_secs(5),
                login_timeout: Duration::from_secs(10),
            },
        }
    }

    /// Creates a builder from the environment, like [`from_env`](Self::from_env).
    pub fn builder_from_env() -> QqAppBuilder {
        let base_url = read_variable("QQ_BASE_URL", BASE_URL);
        QqAppBuilder {
            id: require_variable("QQ_APP_ID", ID),
            key: read_key(),
            redirect_uri: require_variable("QQ_REDIRECT_URI", REDIRECT_URI),
            base_url: base_url.map(|url| url.unwrap_or_else(|| DEFAULT_BASE_URL.into())),
            ..Self::builder("", "", "")
        }
    }
}

impl QqAppBuilder {
    /// Sets the base URL of the QQ API, for a mock or a proxy. By default
    /// `https://graph.qq.com`.
    ///
    /// The URL has neither a query nor a fragment. It needs `https` except for a loopback host,
    /// because requests contain the app key.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Ok(url.into());
        self
    }

    /// Sets the requested permissions: names of QQ's APIs, separated by commas. By default
    /// `get_user_info`.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.options.scope = scope.into();
        self
    }

    /// Requests the UnionID. By default it is not requested.
    ///
    /// QQ has to grant it to the app first; a login goes on without it if QQ has not, and if the
    /// openid is known but the call for the UnionID fails.
    pub fn request_union_id(mut self) -> Self {
        self.options.request_union_id = true;
        self
    }

    /// Accepts access tokens of these QQ apps at [`QqClient::verify`](crate::QqClient::verify): the
    /// ids (APP ID) of the site's phone apps. By default none are accepted.
    ///
    /// The app's own id is accepted only if it is in the list as well: its tokens come from the
    /// website, where a login by code is safer.
    pub fn accept_tokens_of(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let ids = ids.into_iter().map(|id| id.into().into());
        self.options.accepted_apps = ids.collect();
        self
    }

    /// Fails a login if QQ gives no profile. By default the user is then signed in without one,
    /// with [`profile_complete`](crate::QqUser::profile_complete) `false`.
    pub fn require_profile(mut self) -> Self {
        self.options.require_profile = true;
        self
    }

    /// Always shows QQ's desktop page, with a QR code. By default phones get the mobile page.
    pub fn desktop_page(mut self) -> Self {
        self.options.page = QqPage::Desktop;
        self
    }

    /// Always shows QQ's mobile page. By default only phones get it.
    pub fn mobile_page(mut self) -> Self {
        self.options.page = QqPage::Mobile;
        self
    }

    /// Turns off the connection that is opened ahead of the callback.
    ///
    /// By default the built-in client opens it while the user is at QQ, at most once a minute and
    /// for `https` only. It carries nothing of the login, and nothing waits for it.
    pub fn without_warm_up(mut self) -> Self {
        self.options.warm_up = false;
        self
    }

    /// Sets the time limit of one call to QQ. By default 5 seconds; at most an hour.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.options.call_timeout = timeout;
        self
    }

    /// Sets the time limit of one login: all its calls and the
    /// [`on_login`](crate::QqAuthLayerBuilder::on_login) hook together. By default 10 seconds; at
    /// most an hour. With a revocation list, revoking the session that the login replaces comes on
    /// top.
    ///
    /// [`QqClient::verify`](crate::QqClient::verify) has this time for its calls, and
    /// [`QqAuthLayer::begin`](crate::QqAuthLayer::begin) as much for the hook.
    pub fn login_timeout(mut self, timeout: Duration) -> Self {
        self.options.login_timeout = timeout;
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

    /// Checks the settings and creates the app.
    ///
    /// # Errors
    ///
    /// Returns an error with one line for each invalid setting: see [`QqApp::new`].
    pub fn build(self) -> Result<QqApp, ConfigError> {
        let mut errors = ConfigErrors::default();
        let id = errors.collect(self.id.and_then(|id| check_id(ID, id)));
        let key = errors.collect(self.key.and_then(|key| check_key(KEY, key)));
        let check_uri = |uri| RedirectUri::new(uri, self.allow_plain_http);
        let redirect_uri = errors.collect(self.redirect_uri.and_then(check_uri));
        let base_url = errors.collect(self.base_url.and_then(check_base_url));
        let options = self.options;
        errors.collect(check_scope(&options.scope));
        for id in &options.accepted_apps {
            errors.collect(check_id("app id in accept_tokens_of", id.to_string()));
        }
        errors.collect(check_timeout("call timeout", options.call_timeout));
        errors.collect(check_timeout("login timeout", options.login_timeout));
        let (Some(id), Some(key), Some(redirect_uri), Some(base_url)) =
            (id, key, redirect_uri, base_url)
        else {
            return Err(errors.into_error());
        };
        errors.finish()?;
        Ok(QqApp {
            id: id.into(),
            key,
            redirect_uri,
            base_url,
            options,
        })
    }
}

fn read_key() -> Result<String, ConfigError> {
    match read_secret("app key", "QQ_APP_KEY")? {
        Some(key) => check_key(&key.setting, key.text),
        None => Err(ConfigError::new(KEY, "is not set")),
    }
}

fn require_variable(name: &str, setting: &str) -> Result<String, ConfigError> {
    read_variable(name, setting)?.ok_or_else(|| ConfigError::new(setting, "is not set"))
}

// Before `build()` any value may stand in the wrong place, the key included.
impl fmt::Debug for QqAppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QqAppBuilder").finish_non_exhaustive()
    }
}
