//! A QQ app: its registered data and the options of its logins.

use std::{fmt, sync::Arc, time::Duration};

use crate::redirect_uri::RedirectUri;

/// A QQ app (QQ互联应用): the id, key and callback registered at <https://connect.qq.com>, and the
/// options of its logins.
///
/// [`new`](Self::new) takes the registered data, [`from_env`](Self::from_env) reads it from the
/// environment, and [`builder`](Self::builder) sets everything else.
///
/// ```
/// # use tower_qq_auth::{ConfigError, QqApp};
/// # fn main() -> Result<(), ConfigError> {
/// let callback = "https://example.com/auth/qq/callback";
/// let app = QqApp::builder("101905280", "0123456789abcdef", callback)
///     .request_union_id()
///     .build()?;
/// # drop(app);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct QqApp {
    pub(crate) id: Arc<str>,
    pub(crate) key: String,
    pub(crate) redirect_uri: RedirectUri,
    pub(crate) base_url: String,
    pub(crate) options: LoginOptions,
}

/// The options of an app's logins.
#[derive(Clone)]
pub(crate) struct LoginOptions {
    pub(crate) scope: String,
    pub(crate) request_union_id: bool,
    /// The apps whose tokens `QqClient::verify` accepts.
    pub(crate) accepted_apps: Vec<Arc<str>>,
    pub(crate) page: QqPage,
    pub(crate) require_profile: bool,
    pub(crate) warm_up: bool,
    pub(crate) call_timeout: Duration,
    pub(crate) login_timeout: Duration,
}

/// The login page of QQ that users see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum QqPage {
    /// The mobile page on phones, by `Sec-CH-UA-Mobile` or else `User-Agent`.
    #[default]
    Detect,
    Desktop,
    Mobile,
}

impl QqApp {
    /// Returns the redirect URI as it was given. Register exactly this text at connect.qq.com.
    pub fn redirect_uri(&self) -> &str {
        self.redirect_uri.as_str()
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
