//! The hooks of a [`QqAuthLayer`](crate::QqAuthLayer).

use http::request;
use tower::BoxError;

use super::QqAuthLayerBuilder;
use crate::hooks::account_of::AccountOf;
use crate::hooks::failure_page::{Failure, FailurePage};
use crate::hooks::on_login::{OnLogin, Verdict};
use crate::login::QqLogin;

impl QqAuthLayerBuilder {
    /// Sets the hook that decides whether a login succeeds. It runs after QQ has confirmed the user
    /// and before any cookie is set.
    ///
    /// The hook gets the [`QqLogin`] and the head of the callback request, whose extensions contain
    /// the [`QqUser`](crate::QqUser) and the [`QqSession`](crate::QqSession) from before, if any.
    /// For [`begin`](crate::QqAuthLayer::begin) the head is empty. It returns a [`Verdict`]. If it
    /// fails or panics, the login ends as `app_failed` and the error is logged, so keep tokens out
    /// of its text. The layer clones the hook for each login, as axum clones handlers, so an `async
    /// move` closure can own a pool. Its error is `Box<dyn Error + Send + Sync>`, into which `?`
    /// converts any other: for a function with an error type of its own, return
    /// `Ok(admit(..).await?)`.
    ///
    /// The hook runs once for each login, in a task of its own, and goes on if the browser leaves.
    /// It has the rest of [`login_timeout`](crate::QqAppBuilder::login_timeout). On timeout its
    /// future is dropped at an `.await`, so keep writes that belong together in one transaction.
    ///
    /// ```
    /// # use tower_qq_auth::{ConfigError, Identity, QqApp, QqAuthLayer, SessionKeys, Verdict};
    /// # #[derive(Clone)]
    /// # struct Pool;
    /// # impl Pool {
    /// #     async fn is_banned(&self, _: &Identity) -> Result<bool, std::io::Error> { Ok(false) }
    /// # }
    /// # fn layer(app: QqApp, keys: SessionKeys, pool: Pool) -> Result<QqAuthLayer, ConfigError> {
    /// let qq = QqAuthLayer::builder(app, keys)
    ///     .on_login(async move |login, _head| {
    ///         if pool.is_banned(&login.user().identity()).await? {
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

    /// Lets the app answer the callback of a login that succeeded. By default the layer redirects
    /// to the `return_to`.
    ///
    /// The request reaches the app at the path of the redirect URI, with [`QqUser`](crate::QqUser),
    /// [`QqLogin`] and the new [`QqSession`](crate::QqSession) in its extensions. The session
    /// cookie is added to the app's response, unless that has an error status or
    /// [`SignOut`](crate::SignOut). With a revocation list, the previous session is already
    /// revoked. The layer still answers logins that fail.
    ///
    /// A browser that reloads the callback gets the same login again until a handler has answered
    /// it, so the handler may run twice, one run after the other, if the first client left. Make
    /// the handler idempotent, for example with an upsert, and end it with a redirect, which
    /// removes the code from the address bar. The answer gets `Cache-Control: no-store`, and
    /// `Referrer-Policy: no-referrer` if it has none.
    ///
    /// ```
    /// use axum::{Router, response::Redirect, routing::get};
    /// use tower_qq_auth::{ConfigError, QqApp, QqAuthLayer, QqLogin, SessionKeys};
    ///
    /// fn site(app: QqApp, keys: SessionKeys) -> Result<Router, ConfigError> {
    ///     let qq = QqAuthLayer::builder(app, keys).forward_callback().build()?;
    ///     let callback = qq.callback_path().to_owned();
    ///     Ok(Router::new().route(&callback, get(finish_login)).layer(qq))
    /// }
    ///
    /// async fn finish_login(login: QqLogin) -> Redirect {
    ///     // INSERT INTO users (openid, nickname) VALUES (?, ?)
    ///     //     ON CONFLICT (openid) DO UPDATE SET nickname = excluded.nickname
    ///     save(login.user().openid().as_str(), login.user().nickname()).await;
    ///     Redirect::to(login.return_to())
    /// }
    /// # async fn save(_: &str, _: &str) {}
    /// ```
    pub fn forward_callback(mut self) -> Self {
        self.forwards_callback = true;
        self
    }

    /// Leaves sessions to the app: like [`forward_callback`](Self::forward_callback), but the layer
    /// sets and reads no session cookie, and the logout path belongs to the app.
    ///
    /// Only the handler of the callback sees the [`QqUser`](crate::QqUser); it starts the app's
    /// session. The app's cookie has to be `SameSite=Lax`: the callback comes from QQ, and browsers
    /// withhold a `Strict` cookie there.
    pub fn without_session(mut self) -> Self {
        self.forwards_callback = true;
        self.keeps_sessions = false;
        self
    }

    /// Tells the layer which app account a request belongs to. By default it is the
    /// [account](crate::QqSession::account) of the session, or the [`Identity`](crate::Identity) of
    /// its user if it has none.
    ///
    /// Needed for logins with an intent (`/auth/qq/login?intent=bind`; see
    /// [`login_url_with_intent`](crate::QqAuthLayer::login_url_with_intent)). The layer calls the
    /// hook at the start of such a login, at its callback, and at every callback of a signed-out
    /// browser. Without an account such a login does not start (401); if the account has changed at
    /// the callback, it is refused. A browser with an account counts as signed in: its stale
    /// callbacks are redirected to `/`.
    ///
    /// The hook reads cookies or request extensions, which hold the [`QqUser`](crate::QqUser) and
    /// the [`QqSession`](crate::QqSession), if any. A login with an intent that succeeds replaces
    /// the user of the layer's own session: let `on_login` give it the account that it links. An
    /// app that links QQ to other ways of signing in keeps its sessions itself: see
    /// [`without_session`](Self::without_session). Add a session layer after this one, so that it
    /// is outside.
    ///
    /// ```
    /// # use tower_qq_auth::{ConfigError, QqApp, QqAuthLayer, SessionKeys};
    /// /// Inserted into the request by the app's session layer.
    /// #[derive(Clone)]
    /// struct Account { id: u64 }
    ///
    /// # fn layer(app: QqApp, keys: SessionKeys) -> Result<QqAuthLayer, ConfigError> {
    /// let qq = QqAuthLayer::builder(app, keys)
    ///     .account_of(|head| Some(head.extensions.get::<Account>()?.id.to_string()))
    ///     .build()?;
    /// # Ok(qq)
    /// # }
    /// ```
    pub fn account_of(
        mut self,
        hook: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.account_of = Some(AccountOf::new(hook));
        self
    }

    /// Sets the hook that renders failures for browsers. Programs still get JSON. Prefetches,
    /// frames, popups, wrong methods and a GET of the logout path get the layer's short pages.
    ///
    /// The page can be any `IntoResponse`, such as `Html`; a plain `String` would be plain text. It
    /// cannot borrow from the failure. If it streams or redirects, or the hook panics, the browser
    /// gets the layer's page. The layer sets the status, `Cache-Control`, `Referrer-Policy` and
    /// `X-Content-Type-Options`, and `frame-ancestors 'none'` if the page has no
    /// `Content-Security-Policy`.
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

    /// Sets the hook that renders failures for browsers. Programs still get JSON. Prefetches,
    /// frames, popups, wrong methods and a GET of the logout path get the layer's short pages.
    ///
    /// Without a `Content-Type` the page is HTML. If it redirects, or the hook panics, the browser
    /// gets the layer's page. The layer sets the status, `Cache-Control`, `Referrer-Policy` and
    /// `X-Content-Type-Options`, and `frame-ancestors 'none'` if the page has no
    /// `Content-Security-Policy`.
    #[cfg(not(feature = "axum"))]
    pub fn failure_page(
        mut self,
        hook: impl Fn(&Failure<'_>) -> http::Response<String> + Send + Sync + 'static,
    ) -> Self {
        self.failure_page = Some(FailurePage::new(hook));
        self
    }
}
