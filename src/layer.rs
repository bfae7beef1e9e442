//! The layer and its methods for the app.

use std::sync::Arc;

use tower_layer::Layer;

use crate::config::ConfigError;
use crate::login_state::pending::{Intent, PendingLogin};
use crate::percent::encode_path;
use crate::qq::client::QqClient;
use crate::service::middleware::QqAuth;
use crate::session::error::check_account;
use crate::session::id::SessionId;
use crate::session::sessions::NewSession;
use crate::site::Site;
use crate::tokens::QqTokens;
use crate::user::QqUser;

mod begin;
#[cfg(feature = "revocation")]
mod revoke;

/// A layer that signs users in with QQ. See the [crate docs](crate) for an example.
///
/// Create it with [`new`](Self::new) for the defaults, or with [`builder`](Self::builder). It never
/// changes, and all clones share one state. Apply it after every route, on the outermost router:
/// see [Mounting](crate#mounting).
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct QqAuthLayer {
    site: Arc<Site>,
}

impl QqAuthLayer {
    pub(crate) fn from_site(site: Site) -> Self {
        let site = Arc::new(site);
        Self { site }
    }

    /// Returns the client that the layer uses.
    pub fn client(&self) -> &QqClient {
        &self.site.client
    }

    /// Returns the path of the redirect URI, without the
    /// [public prefix](crate::QqAuthLayerBuilder::public_prefix). With
    /// [`forward_callback`](crate::QqAuthLayerBuilder::forward_callback), route the app's handler
    /// there.
    pub fn callback_path(&self) -> &str {
        &self.site.paths.callback
    }

    /// Returns the login URL that leads back to `return_to`, a path of the site or a URL of a
    /// [trusted origin](crate::QqAuthLayerBuilder::trusted_origins). Anything else becomes the home
    /// page, and so does a path of the layer.
    ///
    /// A login keeps at least 280 bytes of `return_to`, where an escaped byte such as `%E4` counts
    /// as one. A longer one loses its query, and becomes the home page if its path alone is too
    /// long.
    pub fn login_url(&self, return_to: &str) -> String {
        let login = PendingLogin::to(self.site.return_to(return_to));
        self.site.login_url(&login)
    }

    /// Returns the URL of a login with an intent, such as `bind`: see
    /// [`account_of`](crate::QqAuthLayerBuilder::account_of).
    ///
    /// Link to it from a page of the site. A script of a trusted origin can start it as JSON; the
    /// layer refuses it from anywhere else, and for a signed-out user.
    ///
    /// # Errors
    ///
    /// Returns an error if the intent is not a word of 1 to 32 characters of `[0-9A-Za-z_-]`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, SessionKeys, mock::MockQq};
    /// # let callback = "http://localhost:3000/auth/qq/callback";
    /// # let app = QqApp::new("101905280", "app-key", callback).unwrap();
    /// # let client = QqClient::with_service(app, MockQq::new("101905280", "app-key", callback));
    /// # let qq = QqAuthLayer::new(client, SessionKeys::generate());
    /// let url = qq.login_url_with_intent("bind", "/settings").unwrap();
    /// assert_eq!(url, "/auth/qq/login?intent=bind&return_to=/settings");
    /// ```
    pub fn login_url_with_intent(
        &self,
        intent: &str,
        return_to: &str,
    ) -> Result<String, ConfigError> {
        if !Intent::is_name(intent) {
            let problem = "must be a word of 1 to 32 characters of [0-9A-Za-z_-]";
            return Err(ConfigError::with_value("intent", problem, intent));
        }
        let login = self.site.paths.public_login();
        let return_to = self.site.return_to(return_to);
        let return_to = encode_path(return_to.as_str());
        Ok(format!("{login}?intent={intent}&return_to={return_to}"))
    }

    /// Seals a session of this user and returns it as `name=value` for a `Cookie` header. Made for
    /// tests of an app's handlers.
    ///
    /// It is a real session: keep it secret. It has no account, and no picture if that does not
    /// fit. A user without an [`app_id`](crate::QqUser::app_id) gets that of the layer. With
    /// [`without_session`](crate::QqAuthLayerBuilder::without_session) the layer never reads it.
    ///
    /// # Errors
    ///
    /// Returns an error if the `Set-Cookie` of the session would exceed 2048 bytes, if
    /// [`keep_tokens`](crate::QqAuthLayerBuilder::keep_tokens) is set and `tokens` is `None`, or if
    /// the tokens belong to another QQ app than the user.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tower_qq_auth::{OpenId, QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};
    /// # let callback = "http://localhost:3000/auth/qq/callback";
    /// # let app = QqApp::new("101905280", "app-key", callback).unwrap();
    /// # let client = QqClient::with_service(app, MockQq::new("101905280", "app-key", callback));
    /// # let qq = QqAuthLayer::new(client, SessionKeys::generate());
    /// let user = QqUser::new(OpenId::new("CC7F5CEFEFC0EBAB9B07EB481AEBC29C").unwrap());
    /// let cookie = qq.session_cookie(&user, None).unwrap();
    /// let request = http::Request::get("/me").header("cookie", cookie);
    /// # drop(request);
    /// ```
    pub fn session_cookie(
        &self,
        user: &QqUser,
        tokens: Option<&QqTokens>,
    ) -> Result<String, ConfigError> {
        self.seal_session(user, None, tokens)
    }

    /// Seals a session like [`session_cookie`](Self::session_cookie), with this
    /// [account](crate::QqSession::account).
    ///
    /// # Errors
    ///
    /// Returns the errors of `session_cookie`, and one if the account is empty or has more than 256
    /// bytes.
    pub fn session_cookie_with_account(
        &self,
        user: &QqUser,
        account: &str,
        tokens: Option<&QqTokens>,
    ) -> Result<String, ConfigError> {
        check_account(account).map_err(|error| ConfigError::new("account", error))?;
        self.seal_session(user, Some(account.to_owned()), tokens)
    }

    fn seal_session(
        &self,
        user: &QqUser,
        account: Option<String>,
        tokens: Option<&QqTokens>,
    ) -> Result<String, ConfigError> {
        let sessions = &self.site.sessions;
        if sessions.settings().keep_tokens && tokens.is_none() {
            let problem =
                "needs tokens, such as QqTokens::new(..), because the layer has `keep_tokens`";
            return Err(ConfigError::new("session cookie", problem));
        }
        let now = self.site.now();
        let user = user.clone().or_app(&self.site.client.app().id);
        let new = NewSession {
            id: SessionId::random(),
            user_digest: self.site.revocations.user_digest(&user.identity()),
            user,
            account,
            tokens,
            is_remembered: true,
            stamp: now,
        };
        let session = sessions.start(new, now);
        if let Some(tokens) = tokens {
            let fits = session.check_tokens(tokens);
            fits.map_err(|error| ConfigError::new("session cookie", error))?;
        }
        let cookie = sessions.write(&session).map_err(|error| {
            ConfigError::new("user and tokens", format_args!("are too large: {error}"))
        })?;
        // The layer's cookies are ASCII.
        let pair = cookie.to_str().unwrap_or_default().split(';').next();
        Ok(pair.unwrap_or_default().to_owned())
    }
}

impl<S> Layer<S> for QqAuthLayer {
    type Service = QqAuth<S>;

    fn layer(&self, inner: S) -> QqAuth<S> {
        QqAuth::new(inner, Arc::clone(&self.site))
    }
}
