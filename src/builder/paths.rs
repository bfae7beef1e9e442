//! The settings of paths and origins.

use super::QqAuthLayerBuilder;

impl QqAuthLayerBuilder {
    /// Sets the path that starts a login. By default `/auth/qq/login`.
    ///
    /// A plain ASCII path other than `/`, of at most 256 bytes, without query. The login path, the
    /// logout path and the path of the redirect URI must differ.
    pub fn login_path(mut self, path: impl Into<String>) -> Self {
        self.login_path = path.into();
        self
    }

    /// Sets the path that ends a session. By default `/auth/qq/logout`.
    ///
    /// The rules of [`login_path`](Self::login_path) apply. It has no effect with
    /// [`without_session`](Self::without_session).
    pub fn logout_path(mut self, path: impl Into<String>) -> Self {
        self.logout_path = path.into();
        self
    }

    /// Sets the prefix that a proxy strips from every path, such as `/club` for a site at
    /// `https://example.com/club`. By default there is none.
    ///
    /// Every URL that leaves the layer has the prefix: login URLs, links and redirects. No path
    /// that arrives has it, so routes and the other paths of this builder are written without. A
    /// `return_to` may have it, and gets it otherwise. The path of the redirect URI must start with
    /// it: `https://example.com/club/auth/qq/callback`. `X-Forwarded-Prefix` is not read.
    ///
    /// A prefix is no security boundary: cookies keep `Path=/`, so the apps of one host can read
    /// and replace each other's. Each needs its own [`cookie_prefix`](Self::cookie_prefix).
    pub fn public_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.public_prefix = prefix.into();
        self
    }

    /// Trusts the pages of other origins, such as a front end at `https://www.example.com` in front
    /// of an API at `https://api.example.com`. By default only the site's own origin is trusted.
    ///
    /// Logins may end at URLs of a trusted origin, and its scripts may start logins, sign out and
    /// change the session. Name origins as browsers write them, without a path. They must be https,
    /// except on loopback, and belong to the same site, which means the same scheme and registered
    /// domain: cookies are `SameSite=Lax`, so browsers send none from elsewhere. The app's CORS
    /// layer must allow the origins as well, and credentials.
    ///
    /// ```
    /// # use tower_qq_auth::{ConfigError, QqApp, QqAuthLayer, SessionKeys};
    /// # fn layer(app: QqApp, keys: SessionKeys) -> Result<QqAuthLayer, ConfigError> {
    /// let qq = QqAuthLayer::builder(app, keys)
    ///     .trusted_origins(["https://www.example.com", "https://m.example.com"])
    ///     .build()?;
    /// # Ok(qq)
    /// # }
    /// ```
    pub fn trusted_origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.trusted_origins = origins.into_iter().map(Into::into).collect();
        self
    }
}
