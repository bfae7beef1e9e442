//! The settings of sessions and of their revocation.

use std::time::Duration;

use super::QqAuthLayerBuilder;
#[cfg(feature = "revocation")]
use crate::revocation::list::RevocationList;

impl QqAuthLayerBuilder {
    /// Keeps QQ's tokens in the session, for calls to QQ's other APIs. By default they are dropped after
    /// the login.
    ///
    /// Signed-in requests then have [`QqTokens`](crate::QqTokens) in their extensions, and as a handler
    /// argument with axum. A response with `QqTokens` in its extensions replaces the kept ones. Sessions
    /// from before this setting count as signed out.
    pub fn keep_tokens(mut self) -> Self {
        self.session.keep_tokens = true;
        self
    }

    /// Sets how long a user stays signed in without a visit. By default 7 days; at least a minute. A
    /// visit in the second half renews the session.
    pub fn session_idle(mut self, idle: Duration) -> Self {
        self.session.idle = idle;
        self
    }

    /// Sets how long a user stays signed in at most. By default 30 days; at least a minute.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.session.lifetime = lifetime;
        self
    }

    /// Checks sessions against a list of revoked ones. By default there is none, and a session counts
    /// until it expires.
    ///
    /// With a list, logout ends a session wherever its cookie may be, and
    /// [`revoke_user`](QqAuthLayer::revoke_user) ends all sessions of a user. Use
    /// [`InMemoryRevocations`](crate::revocation::InMemoryRevocations) on one machine and
    /// `RedisRevocations` on several.
    #[cfg(feature = "revocation")]
    pub fn revocations(mut self, list: impl RevocationList) -> Self {
        self.revocations.set_list(list);
        self
    }

    /// Sets the time limit of one call of the revocation list. By default 500 milliseconds.
    #[cfg(feature = "revocation")]
    pub fn revocation_timeout(mut self, timeout: Duration) -> Self {
        self.revocations.timeout = timeout;
        self
    }

    /// Sets how long an answer of the revocation list counts, which is the time that a revocation takes
    /// to reach this machine. By default 3 seconds.
    ///
    /// Zero asks at every request. It has no effect on a list that is local.
    #[cfg(feature = "revocation")]
    pub fn revocation_freshness(mut self, time: Duration) -> Self {
        self.revocations.freshness = time;
        self
    }

    /// Sets how long an answer still counts while the revocation list is unavailable. By default 60
    /// seconds. It has no effect on a list that is local.
    #[cfg(feature = "revocation")]
    pub fn revocation_grace(mut self, time: Duration) -> Self {
        self.revocations.grace = time;
        self
    }

    /// Accepts sessions unchecked while the revocation list is unavailable. By default they are treated
    /// as signed out on public pages, and get 503 where a page needs a user.
    #[cfg(feature = "revocation")]
    pub fn accept_unverified_sessions(mut self) -> Self {
        self.revocations.accept_unverified = true;
        self
    }
}
