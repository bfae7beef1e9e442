//! Sessions: a sealed cookie holds the signed-in user.
//!
//! 1. Only the keys can open or make the cookie.
//! 2. By default it expires 7 days after it was written and 30 days after the login; both times are
//!    sealed.
//! 3. A request in the second half of the idle time renews it.
//! 4. An invalid cookie counts as none: the request is signed out, not rejected.
//! 5. Its `Set-Cookie` has at most 2,048 bytes. A picture that does not fit, beside long tokens, is
//!    left out.

use std::time::Duration;
#[cfg(feature = "revocation")]
use std::time::SystemTime;

use crate::clock::as_millis;
use crate::tokens::QqTokens;
use crate::user::QqUser;

pub(crate) mod cookie;
pub(crate) mod current;
pub(crate) mod keys;
mod layout;
pub(crate) mod seal;
pub(crate) mod sessions;

/// A session as its cookie holds it.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: [u8; 16],
    /// A digest of the user, under the key that sealed the session.
    pub(crate) user_digest: [u8; 16],
    /// Milliseconds since the epoch, like all times here.
    started_at: u64,
    renewed_at: u64,
    pub(crate) user: QqUser,
    tokens: Option<SessionTokens>,
    is_stale: bool,
}

/// Tokens with the time at which they expire instead of the lifetime that is left.
#[derive(Clone)]
struct SessionTokens {
    access_token: String,
    refresh_token: Option<String>,
    expires_at: Option<u64>,
}

impl Session {
    /// Returns the kept tokens with the lifetime that is left to them.
    pub(crate) fn tokens(&self, now: impl Fn() -> u64) -> Option<QqTokens> {
        let tokens = self.tokens.as_ref()?;
        let left = |expires_at: u64| Duration::from_millis(expires_at.saturating_sub(now()));
        Some(QqTokens {
            access_token: tokens.access_token.clone(),
            refresh_token: tokens.refresh_token.clone(),
            expires_in: tokens.expires_at.map(left),
        })
    }

    /// Returns whether half of the idle time has passed.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    #[cfg(feature = "revocation")]
    pub(crate) fn started(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.started_at)
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
