//! The session, as handlers read and change it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::SystemTime,
};

#[cfg(feature = "revocation")]
use crate::revocation::list::RevocationError;
use crate::session::Session;
use crate::session::error::{SessionError, check_account};
use crate::session::id::SessionId;
use crate::site::Site;
use crate::tokens::QqTokens;
use crate::user::QqUser;

/// The session of a signed-in user: a handler argument, and a part of a response.
///
/// A handler takes it as an argument and reads it. To change it, the handler returns the changed
/// session as a part of its response. The [rules](crate::session) say which change wins.
///
/// ```
/// use axum::response::{IntoResponse, Redirect};
/// use tower_qq_auth::{QqSession, SignOut, session::SessionError};
///
/// async fn page(session: QqSession) -> String {
///     format!("account {}", session.account().unwrap_or("none"))
/// }
///
/// async fn open_account(session: QqSession) -> Result<impl IntoResponse, SessionError> {
///     // Every later request has the account.
///     Ok((session.with_account("42")?, Redirect::to("/settings")))
/// }
///
/// async fn leave() -> impl IntoResponse {
///     (SignOut, Redirect::to("/"))
/// }
/// # use axum::routing::{get, post};
/// # let app: axum::Router = axum::Router::new()
/// #     .route("/", get(page))
/// #     .route("/open", post(open_account))
/// #     .route("/leave", post(leave));
/// # drop(app);
/// ```
///
/// Routes that change the session are POST, like all that change something. Another site can make
/// a browser send a GET.
///
/// Without axum it is in the extensions of a signed-in request, and in those of a response that
/// changes it.
#[derive(Clone)]
#[must_use = "a changed session does nothing until it is a part of the response"]
pub struct QqSession {
    site: Arc<Site>,
    /// The session of the request, or a new one.
    source: Arc<Session>,
    /// The session with the app's changes, if there are any.
    changed: Option<Arc<Session>>,
    /// Of a new session: `true` once a response has set it.
    is_set: Option<Arc<AtomicBool>>,
}

impl QqSession {
    /// Creates the session that a request came with.
    pub(crate) fn of_request(site: &Arc<Site>, session: &Arc<Session>) -> Self {
        Self {
            site: Arc::clone(site),
            source: Arc::clone(session),
            changed: None,
            is_set: None,
        }
    }

    /// Creates a session that no request has yet.
    pub(crate) fn new(site: &Arc<Site>, session: Session) -> Self {
        Self {
            site: Arc::clone(site),
            source: Arc::new(session),
            changed: None,
            is_set: Some(Arc::default()),
        }
    }

    fn session(&self) -> &Arc<Session> {
        self.changed.as_ref().unwrap_or(&self.source)
    }

    /// Returns the user.
    pub fn user(&self) -> &QqUser {
        &self.session().user
    }

    /// Returns the app's own id of the user, as [`with_account`](Self::with_account) or
    /// [`Verdict::with_account`](crate::Verdict::with_account) set it.
    ///
    /// It says who the user is, never what they may do: copies of an older cookie hold the older
    /// value until they expire.
    pub fn account(&self) -> Option<&str> {
        self.session().account.as_deref()
    }

    /// Returns QQ's tokens, if the layer has
    /// [`keep_tokens`](crate::QqAuthLayerBuilder::keep_tokens).
    pub fn tokens(&self) -> Option<QqTokens> {
        self.session().tokens(|| self.site.now())
    }

    /// Returns the id of the session, which every renewal keeps.
    ///
    /// [`revoke_session`](crate::QqAuthLayer) ends the session by it.
    pub fn id(&self) -> SessionId {
        self.session().id
    }

    /// Returns the time of the login.
    pub fn started_at(&self) -> SystemTime {
        self.session().started_at()
    }

    /// Returns the time at which the session ends unless a visit renews it. No visit moves it
    /// beyond the absolute end, by default 30 days after the login.
    pub fn expires_at(&self) -> SystemTime {
        self.site.sessions.expires_at(self.session())
    }

    /// Sets the app's own id of the user, 1 to 256 bytes.
    ///
    /// # Errors
    ///
    /// Returns an error if the account is empty or too long, or if the session no longer fits into
    /// its cookie.
    pub fn with_account(self, account: impl Into<String>) -> Result<Self, SessionError> {
        let account = account.into();
        check_account(&account)?;
        self.change(|session| session.account = Some(account))
    }

    /// Replaces the user's profile, nickname and picture among others, for example by the one that
    /// [`QqClient::user_info`](crate::QqClient::user_info) returns.
    ///
    /// If `user` has no UnionID, the session keeps the one it has.
    ///
    /// # Errors
    ///
    /// Returns an error if `user` has another identity, or if the session no longer fits into its
    /// cookie.
    pub fn with_user(self, user: QqUser) -> Result<Self, SessionError> {
        let user = user.or_app(&self.site.client.app().id);
        if user.identity() != self.user().identity() {
            let text = "another user needs a session of their own: see `QqAuthLayer::begin`";
            return Err(SessionError::new(text));
        }
        let unionid = user.unionid().or(self.user().unionid()).cloned();
        let user = match unionid {
            Some(unionid) => user.with_unionid(unionid),
            None => user,
        };
        self.change(|session| session.user = user)
    }

    /// Replaces QQ's tokens, for example by refreshed ones.
    ///
    /// # Errors
    ///
    /// Returns an error if the layer does not have
    /// [`keep_tokens`](crate::QqAuthLayerBuilder::keep_tokens), if the tokens belong to another QQ
    /// app than the user, or if the session no longer fits into its cookie.
    pub fn with_tokens(self, tokens: QqTokens) -> Result<Self, SessionError> {
        if !self.site.sessions.settings().keep_tokens {
            let text = "the layer drops tokens: call `.keep_tokens()` on the `QqAuthLayerBuilder`";
            return Err(SessionError::new(text));
        }
        self.session().check_tokens(&tokens)?;
        let now = self.site.now();
        self.change(|session| session.set_tokens(&tokens, now))
    }

    /// Ends all other sessions of the user, for "sign out on all other devices".
    ///
    /// Every cookie of the user ends, copies of this one too, and the returned session gets a new
    /// id. The handler must return that session as a part of its response, or the user is signed
    /// out. A user is one identity: if an account of the app has several, revoke the others by
    /// [`revoke_user`](crate::QqAuthLayer).
    ///
    /// ```
    /// use axum::response::{IntoResponse, Redirect};
    /// use tower_qq_auth::{QqSession, revocation::RevocationError};
    ///
    /// async fn end_others(session: QqSession) -> Result<impl IntoResponse, RevocationError> {
    ///     Ok((session.end_other_sessions().await?, Redirect::to("/settings")))
    /// }
    /// # drop(axum::Router::<()>::new().route("/", axum::routing::post(end_others)));
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the layer has no
    /// [list](crate::QqAuthLayerBuilder::revocations), if the list fails, or if this session has
    /// already ended, which happens to one of two calls at once for one session. If the list
    /// fails, the user may be signed out everywhere.
    #[cfg(feature = "revocation")]
    pub async fn end_other_sessions(self) -> Result<Self, RevocationError> {
        let session = Session::clone(self.session());
        let session = self
            .site
            .end_other_sessions(session, SessionId::random())
            .await?;
        let changed = Some(Arc::new(session));
        Ok(Self { changed, ..self })
    }

    /// Waits until the session is revoked or its absolute end is reached, for WebSockets and other
    /// connections that stay open.
    ///
    /// A list in memory is asked every second, any other every
    /// [`revocation_freshness`](crate::QqAuthLayerBuilder) (3 seconds by default, 1 at least), once
    /// for all connections of a session on this machine. While the list is unavailable, nothing
    /// ends. Without a list only the absolute end is noticed. The idle time does not count.
    ///
    /// [`end_other_sessions`](crate::QqSession) ends the connections of the session that called it
    /// as well, since it gets a new id.
    pub async fn ended(&self) {
        let (site, session) = (&self.site, self.session());
        loop {
            let left = site.sessions.ends_at(session).duration_since(site.now());
            let Some(left) = left.ok().filter(|left| !left.is_zero()) else {
                return;
            };
            if site.revocations.is_revoked(session).await {
                return;
            }
            tokio::time::sleep(left.min(site.revocations.refresh_time())).await;
        }
    }

    /// Returns `true` for a new session, which no request has yet.
    pub(crate) fn is_new(&self) -> bool {
        self.is_set.is_some()
    }

    pub(crate) fn into_session(self) -> Arc<Session> {
        self.changed.unwrap_or(self.source)
    }

    /// Checks whether the response to a request with the session `of_request` may set this one. The
    /// error is the reason against it. `may_change_user` is `false` if another site may have
    /// caused the request.
    pub(crate) fn accept(
        self,
        site: &Arc<Site>,
        of_request: Option<&Arc<Session>>,
        may_change_user: bool,
    ) -> Result<Self, &'static str> {
        if !Arc::ptr_eq(site, &self.site) {
            return Err("it belongs to another layer");
        }
        if !may_change_user && self.changes_user() {
            return Err(
                "another site may have caused the request (see its Sec-Fetch-Site and Origin)",
            );
        }
        let is_of_request = || of_request.is_some_and(|it| Arc::ptr_eq(it, &self.source));
        match &self.is_set {
            Some(is_set) if is_set.swap(true, Relaxed) => {
                Err("another response has already set it")
            }
            None if !is_of_request() => Err("it belongs to another request"),
            Some(_) | None => Ok(self),
        }
    }

    /// Returns whether a response signs in a user by it, or changes who the user is.
    fn changes_user(&self) -> bool {
        let (source, session) = (&self.source, self.session());
        self.is_new() || source.user != session.user || source.account != session.account
    }

    fn change(self, change: impl FnOnce(&mut Session)) -> Result<Self, SessionError> {
        let mut session = Session::clone(self.session());
        change(&mut session);
        self.site.sessions.check_size(&session)?;
        let changed = Some(Arc::new(session));
        Ok(Self { changed, ..self })
    }
}

impl fmt::Debug for QqSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QqSession")
            .field("user", self.user())
            .field("account", &self.account())
            .finish_non_exhaustive()
    }
}
