//! The settings of sessions and of their revocation.

use std::time::Duration;

use super::QqAuthLayerBuilder;
#[cfg(feature = "revocation")]
use crate::revocation::list::RevocationList;

impl QqAuthLayerBuilder {
    /// Keeps QQ's tokens in the session, for calls to QQ's other APIs. By default they are dropped
    /// after the login.
    ///
    /// Signed-in requests then have [`QqTokens`](crate::QqTokens) in their extensions, and as a
    /// handler argument with axum. A response with `QqTokens` in its extensions replaces the kept
    /// ones. Sessions from before this setting count as signed out.
    ///
    /// ```
    /// use axum::extract::State;
    /// use tower_qq_auth::{LoginError, QqAuthLayer, QqTokens};
    ///
    /// async fn refresh(
    ///     State(qq): State<QqAuthLayer>,
    ///     tokens: QqTokens,
    /// ) -> Result<(QqTokens, &'static str), LoginError> {
    ///     let tokens = qq.client().refresh(&tokens).await?;
    ///     Ok((tokens, "refreshed")) // the session keeps the new tokens
    /// }
    /// # drop(axum::Router::<QqAuthLayer>::new().route("/", axum::routing::post(refresh)));
    /// ```
    pub fn keep_tokens(mut self) -> Self {
        self.session.keep_tokens = true;
        self
    }

    /// Sets the time after which a user who does not visit is signed out. By default 7 days; at
    /// least a minute. A visit in the second half renews the session.
    pub fn session_idle(mut self, idle: Duration) -> Self {
        self.session.limits.idle = idle;
        self
    }

    /// Sets the longest time that a user stays signed in. By default 30 days; at least a minute.
    ///
    /// It is sealed into the session at the login: if you change it, a longer time does not prolong
    /// earlier sessions, and a shorter one shortens them.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.session.limits.lifetime = lifetime;
        self
    }

    /// Checks sessions against a list of revoked ones. By default there is none, and a session
    /// counts until it expires.
    ///
    /// With a list, logout and [`SignOut`](crate::SignOut) end every copy of the cookie,
    /// [`revoke_user`](crate::QqAuthLayer::revoke_user) ends all sessions of a user, and
    /// [`end_other_sessions`](crate::QqSession::end_other_sessions) all but one. Use
    /// [`InMemoryRevocations`](crate::revocation::InMemoryRevocations) on one machine and
    /// `RedisRevocations` on several.
    #[cfg(feature = "revocation")]
    pub fn revocations(mut self, list: impl RevocationList) -> Self {
        self.session_check.set_list(list);
        self
    }

    /// Sets the time limit of one call of the revocation list. By default 500 milliseconds. Must be
    /// greater than zero.
    #[cfg(feature = "revocation")]
    pub fn revocation_timeout(mut self, timeout: Duration) -> Self {
        self.session_check.timeout = timeout;
        self
    }

    /// Sets the time for which an answer of the revocation list counts, so a revocation takes at
    /// most this long to reach this machine. By default 3 seconds.
    ///
    /// Zero asks the list at every signed-in request; set
    /// [`revocation_grace`](Self::revocation_grace) to zero as well if older answers must not count
    /// during an outage either. It has no effect on a local list.
    #[cfg(feature = "revocation")]
    pub fn revocation_freshness(mut self, time: Duration) -> Self {
        self.session_check.freshness = time;
        self
    }

    /// Sets the time for which an answer still counts while the revocation list is unavailable. By
    /// default 60 seconds. It has no effect on a local list.
    #[cfg(feature = "revocation")]
    pub fn revocation_grace(mut self, time: Duration) -> Self {
        self.session_check.grace = time;
        self
    }

    /// Accepts sessions unchecked while the revocation list is unavailable. By default they are
    /// treated as signed out on public pages, and get 424 where a page needs a user.
    #[cfg(feature = "revocation")]
    pub fn accept_unverified_sessions(mut self) -> Self {
        self.session_check.accept_unverified = true;
        self
    }
}
