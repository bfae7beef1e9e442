//! Sessions: a sealed cookie holds the signed-in user.
//!
//! 1. Only the keys can open or make the cookie, and only for the site that its redirect URI names.
//! 2. By default it expires 7 days after it was written and 30 days after the login. After a login
//!    with `remember=0` it expires after 2 hours and 12 hours at the latest, and the browser drops
//!    it when it closes. The absolute end is sealed at the login.
//! 3. A request in the second half of the idle time renews it, but never while the revocation list
//!    is unavailable.
//! 4. An invalid cookie counts as none: the request is signed out, not rejected.
//! 5. Its `Set-Cookie` has at most 2,048 bytes. A picture that does not fit, beside long tokens, is
//!    left out.
//!
//! Handlers read and change the session as [`QqSession`](crate::QqSession), and end it with
//! [`SignOut`](crate::SignOut):
//!
//! 1. Every change by the app wins over a renewal that is due. The layer believes an app that sends
//!    a `Set-Cookie` under the session's name, and then sets none.
//! 2. `SignOut` always counts: whatever the status, on a response that caches may store (it becomes
//!    `no-store`), beside [`LoginRequired`](crate::LoginRequired), and on a forwarded callback. It
//!    beats a `QqSession` on the same response. With `without_session` there is nothing to end.
//! 3. A `QqSession` counts whatever the status, `101 Switching Protocols` included. A renewal is
//!    skipped on errors and on 101. An error response to a forwarded callback starts no session
//!    unless it carries a `QqSession`.
//! 4. A `QqSession` of another layer or another request sets nothing and is an error in the log.
//!    Another user needs a new session: `with_user` refuses another identity.
//! 5. A request has only the layer's own [`QqUser`], `QqSession`, [`QqLogin`](crate::QqLogin) and
//!    [`QqTokens`]. The layer removes those that an outer service inserts, and a `SignOut` as well.
//! 6. The account says who the user is in the app, never what they may do: copies of an older
//!    cookie hold the older account until they expire.
//! 7. A request that another site may have caused cannot change the user: `begin`, `with_account`
//!    and `with_user` set nothing, and are an error in the log. These requests pass:
//!
//!    - one with `Sec-Fetch-Site: same-origin`;
//!    - one with a single `Origin`, the site's or a
//!      [trusted](crate::QqAuthLayerBuilder::trusted_origins) one, unless `Sec-Fetch-Site` is
//!      `cross-site`;
//!    - one without `Origin`, if `Sec-Fetch-Site` is `none` or missing: it comes from the user,
//!      from a program such as a phone app, or as a `GET` from a browser from before 2023. Another
//!      site can cause such a `GET`, so change the user in a `POST`;
//!    - a callback, since its state proves that this browser started the login.
//!
//! The session is in the cookie, not on the server. Of two responses in parallel the last to arrive
//! wins, and may bring former values back. A change after the response has started does nothing.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::clock::{as_millis, from_unix_millis, unix_millis};
use crate::tokens::QqTokens;
use crate::user::QqUser;

pub(crate) mod cookie;
pub(crate) mod current;
pub(crate) mod error;
pub(crate) mod id;
pub(crate) mod keys;
mod layout;
pub(crate) mod seal;
pub(crate) mod sessions;

pub use self::{error::SessionError, id::SessionId};

/// A session as its cookie holds it.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    /// The digest of the user for the revocation list, if the layer had one at the login.
    pub(crate) user_digest: Option<[u8; 16]>,
    /// Milliseconds since the epoch, like all times here.
    started_at: u64,
    /// The time that revocations are compared with. It is later than every cutoff of the user that
    /// the revocation list had when the session started.
    stamp: u64,
    /// The absolute end. A longer lifetime in the settings does not prolong it.
    sealed_end: u64,
    renewed_at: u64,
    /// `false` after a login with `remember=0`.
    is_remembered: bool,
    pub(crate) user: QqUser,
    pub(crate) account: Option<String>,
    tokens: Option<SessionTokens>,
    /// `true` if more than half of the idle time had passed when the session was read.
    is_stale: bool,
}

/// Tokens of the user's QQ app, with the time at which they expire in place of the lifetime left.
#[derive(Clone)]
struct SessionTokens {
    access_token: String,
    refresh_token: Option<String>,
    expires_at: Option<u64>,
}

impl Session {
    /// Returns the kept tokens with the lifetime that is left to them.
    pub(crate) fn tokens(&self, now: impl Fn() -> SystemTime) -> Option<QqTokens> {
        let tokens = self.tokens.as_ref()?;
        let left =
            |expires_at: u64| Duration::from_millis(expires_at.saturating_sub(unix_millis(now())));
        Some(QqTokens {
            app_id: Arc::clone(self.user.shared_app_id()),
            access_token: tokens.access_token.clone(),
            refresh_token: tokens.refresh_token.clone(),
            expires_in: tokens.expires_at.map(left),
        })
    }

    /// Fails if the tokens belong to another app than the user.
    pub(crate) fn check_tokens(&self, tokens: &QqTokens) -> Result<(), SessionError> {
        let app_id = self.user.shared_app_id();
        match tokens.app_or(app_id) == app_id {
            true => Ok(()),
            false => Err(SessionError::new("the tokens belong to another QQ app")),
        }
    }

    pub(crate) fn set_tokens(&mut self, tokens: &QqTokens, now: SystemTime) {
        self.tokens = Some(SessionTokens::new(tokens, unix_millis(now)));
    }

    /// Starts the idle time anew.
    pub(crate) fn renew(&mut self, now: SystemTime) {
        // The clock may be behind that of the machine that wrote the session.
        self.renewed_at = self.renewed_at.max(unix_millis(now));
    }

    /// Returns whether half of the idle time has passed.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    pub(crate) fn is_remembered(&self) -> bool {
        self.is_remembered
    }

    pub(crate) fn started_at(&self) -> SystemTime {
        from_unix_millis(self.started_at)
    }

    pub(crate) fn stamp(&self) -> SystemTime {
        from_unix_millis(self.stamp)
    }

    #[cfg(feature = "revocation")]
    pub(crate) fn set_stamp(&mut self, stamp: SystemTime) {
        self.stamp = unix_millis(stamp);
    }
}

impl SessionTokens {
    fn new(tokens: &QqTokens, now: u64) -> Self {
        let expires_at = |lifetime| now.saturating_add(as_millis(lifetime));
        Self {
            access_token: tokens.access_token.clone(),
            refresh_token: tokens.refresh_token.clone(),
            expires_at: tokens.expires_in.map(expires_at),
        }
    }
}
