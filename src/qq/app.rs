//! What the operator registered at connect.qq.com, and how QQ is to be asked.

use std::{env, fmt, fs, io, time::Duration};

use super::redirect_uri::{RedirectUri, absolute_url, is_loopback};
use crate::ConfigError;

const ID: &str = "app id (QQ_APP_ID)";
const KEY: &str = "app key (QQ_APP_KEY)";
const KEY_FILE: &str = "app key file (QQ_APP_KEY_FILE)";
const REDIRECT_URI: &str = "redirect URI (QQ_REDIRECT_URI)";
const BASE_URL: &str = "base URL (QQ_BASE_URL)";

/// A QQ app (QQ互联应用): the id, key and callback registered at <https://connect.qq.com>, and the choices of a login.
///
/// ```
/// # use tower_qq_auth::{ConfigError, QqApp};
/// # fn main() -> Result<(), ConfigError> {
/// let app = QqApp::new("101905280", "0123456789abcdef", "https://example.com/auth/qq/callback")?
///     .union_id(true);
/// # drop(app);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a setting changes nothing until the app is given to a layer or a client"]
pub struct QqApp {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) redirect_uri: RedirectUri,
    pub(crate) base_url: String,
    pub(crate) scope: String,
    pub(crate) union_id: bool,
    pub(crate) display: Display,
    pub(crate) require_profile: bool,
    pub(crate) warm_up: bool,
    pub(crate) call_timeout: Duration,
    pub(crate) login_timeout: Duration,
}

/// Which of QQ's login pages a person gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Display {
    /// The page for phones on phones, by `Sec-CH-UA-Mobile` or else `User-Agent`; the page for computers elsewhere.
    #[default]
    Auto,
    /// Always the page for computers, with a QR code.
    Desktop,
    /// Always the page for phones.
    Mobile,
}

impl QqApp {
    /// The app with this id (APP ID), key (APP Key) and callback (网站回调域).
    ///
    /// From the redirect URI follow the path that the layer answers, whether cookies are `Secure`, and which origin may
    /// sign out. It is an `https` URL; `http` is taken for `localhost`, `127.0.0.1` and `[::1]` only.
    ///
    /// # Errors
    ///
    /// If the id is not made of digits, the key is empty or holds blanks, or the redirect URI cannot work.
    pub fn new(
        id: impl Into<String>,
        key: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        let (id, key) = (id.into(), key.into());
        if !(1..=20).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ConfigError::new(ID, "must be digits, usually 9 of them"));
        }
        if !(1..=256).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = "must be one word of visible ASCII characters";
            return Err(ConfigError::new(KEY, problem));
        }
        Ok(Self {
            id,
            key,
            redirect_uri: RedirectUri::new(redirect_uri.into(), false)?,
            base_url: "https://graph.qq.com".into(),
            scope: "get_user_info".into(),
            union_id: false,
            display: Display::Auto,
            require_profile: false,
            warm_up: true,
            call_timeout: Duration::from_secs(5),
            login_timeout: Duration::from_secs(10),
        })
    }

    /// The app that the environment describes: `QQ_APP_ID`, `QQ_APP_KEY` (or `QQ_APP_KEY_FILE`, a file that holds the
    /// key), `QQ_REDIRECT_URI` and, if it is set, `QQ_BASE_URL`. An empty variable counts as missing.
    ///
    /// # Errors
    ///
    /// If one is missing or wrong; the error names the variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        let key = match (
            variable("QQ_APP_KEY", KEY)?,
            variable("QQ_APP_KEY_FILE", KEY_FILE)?,
        ) {
            (Some(key), None) => key,
            (None, Some(path)) => {
                let unreadable = |error: io::Error| {
                    let problem = format!("names a file that cannot be read: {}", error.kind());
                    ConfigError::new(KEY_FILE, problem)
                };
                fs::read_to_string(path).map_err(unreadable)?.trim().into()
            }
            (Some(_), Some(_)) => {
                return Err(ConfigError::new(
                    KEY,
                    "is given twice: QQ_APP_KEY_FILE is set as well",
                ));
            }
            (None, None) => return Err(ConfigError::new(KEY, "is not set")),
        };
        let id = required("QQ_APP_ID", ID)?;
        let app = Self::new(id, key, required("QQ_REDIRECT_URI", REDIRECT_URI)?)?;
        match variable("QQ_BASE_URL", BASE_URL)? {
            Some(url) => app.base_url(url),
            None => Ok(app),
        }
    }

    /// The callback as it was given: exactly this has to be registered at connect.qq.com.
    pub fn redirect_uri(&self) -> &str {
        self.redirect_uri.as_str()
    }

    /// Where QQ is: by default `https://graph.qq.com`. For a mock, or a proxy of one's own in front of QQ.
    ///
    /// # Errors
    ///
    /// If it is no http(s) URL, has a query, or is plain `http` to anything but a loopback host: the app key travels
    /// in these requests.
    pub fn base_url(mut self, url: impl Into<String>) -> Result<Self, ConfigError> {
        let url = url.into();
        let wrong = |problem: &'static str| Err(ConfigError::new(BASE_URL, problem));
        match absolute_url(&url) {
            None => return wrong("is no URL such as https://graph.qq.com"),
            Some((_, _, uri)) if uri.query().is_some() || url.contains('#') => {
                return wrong("may not have a query or a fragment");
            }
            Some((false, host, _)) if !is_loopback(host.host()) => {
                return wrong("must be https, except on localhost");
            }
            Some(_) => self.base_url = url.trim_end_matches('/').into(),
        }
        Ok(self)
    }

    /// Whether QQ is a program on this machine.
    #[cfg(feature = "reqwest")]
    pub(super) fn is_on_loopback(&self) -> bool {
        absolute_url(&self.base_url).is_some_and(|(_, host, _)| is_loopback(host.host()))
    }

    /// Takes a plain `http` redirect URI for any host.
    ///
    /// Dangerous: whoever can listen on the way can take the session cookie and the login of every visitor. For closed
    /// test networks; a public site needs https.
    ///
    /// # Errors
    ///
    /// If the redirect URI cannot work for another reason.
    pub fn danger_plain_http_redirect_uri(
        mut self,
        redirect_uri: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        self.redirect_uri = RedirectUri::new(redirect_uri.into(), true)?;
        Ok(self)
    }

    /// The permissions to ask for: names of QQ's APIs joined by commas. By default `get_user_info`.
    ///
    /// # Errors
    ///
    /// If it holds anything but lower-case letters, digits, `_` and commas.
    pub fn scope(mut self, scope: impl Into<String>) -> Result<Self, ConfigError> {
        let scope = scope.into();
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b',');
        if scope.is_empty() || !scope.bytes().all(allowed) {
            let problem = "must be names of QQ's APIs joined by commas, such as get_user_info";
            return Err(ConfigError::new("scope", problem));
        }
        self.scope = scope;
        Ok(self)
    }

    /// Whether to ask for the UnionID. By default `false`; QQ has to grant it to the app first, and a login goes on
    /// without it where QQ has not.
    pub fn union_id(mut self, wanted: bool) -> Self {
        self.union_id = wanted;
        self
    }

    /// Which of QQ's login pages people get. By default [`Display::Auto`].
    pub fn display(mut self, display: Display) -> Self {
        self.display = display;
        self
    }

    /// Whether a login fails when the profile cannot be had. By default `false`: the person is signed in by openid
    /// alone, with [`profile_complete`](crate::QqUser::profile_complete) `false`.
    pub fn require_profile(mut self, required: bool) -> Self {
        self.require_profile = required;
        self
    }

    /// Whether the start of a login opens the connection that its callback will need, while the person is at QQ. By
    /// default `true`: at most one a minute, by the built-in client and for `https` only. It carries nothing of the
    /// login, and nothing waits for it or depends on it.
    pub fn warm_up(mut self, wanted: bool) -> Self {
        self.warm_up = wanted;
        self
    }

    /// How long one call to QQ may take. By default 5 seconds.
    ///
    /// # Errors
    ///
    /// If it is zero or longer than an hour.
    pub fn call_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        self.call_timeout = sensible(timeout, "call timeout")?;
        Ok(self)
    }

    /// How long all the calls of one login may take together. By default 10 seconds.
    ///
    /// # Errors
    ///
    /// If it is zero or longer than an hour.
    pub fn login_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        self.login_timeout = sensible(timeout, "login timeout")?;
        Ok(self)
    }
}

fn sensible(timeout: Duration, setting: &'static str) -> Result<Duration, ConfigError> {
    if timeout.is_zero() || timeout > Duration::from_secs(60 * 60) {
        let problem = "must be longer than nothing and an hour at most";
        return Err(ConfigError::new(setting, problem));
    }
    Ok(timeout)
}

fn required(name: &str, setting: &'static str) -> Result<String, ConfigError> {
    variable(name, setting)?.ok_or_else(|| ConfigError::new(setting, "is not set"))
}

fn variable(name: &str, setting: &'static str) -> Result<Option<String>, ConfigError> {
    match env::var(name) {
        Ok(value) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(ConfigError::new(setting, "is not text")),
    }
}

impl fmt::Debug for QqApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QqApp")
            .field("id", &self.id)
            .field("redirect_uri", &self.redirect_uri.as_str())
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}
