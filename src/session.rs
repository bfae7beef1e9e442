//! Sessions: a sealed cookie holds the signed-in user.
//!
//! 1. Without the keys the cookie can be neither read nor made.
//! 2. It ends 7 days after it was last written and 30 days after the login. Both times are sealed.
//! 3. In the second half of the 7 days, the next request renews it.
//! 4. A cookie that cannot be accepted counts as none: the request is signed out, never an error.

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

#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: [u8; 16],
    /// A digest of the user, under the key that sealed the session.
    pub(crate) user_digest: [u8; 16],
    /// Milliseconds since the epoch, like all times here.
    started: u64,
    renewed: u64,
    pub(crate) user: QqUser,
    tokens: Option<KeptTokens>,
    is_stale: bool,
}

/// Tokens with the time at which they expire instead of the lifetime that is left.
#[derive(Clone)]
struct KeptTokens {
    access_token: String,
    refresh_token: Option<String>,
    expires: Option<u64>,
}

impl Session {
    /// Returns the kept tokens with the lifetime that is left to them.
    pub(crate) fn tokens(&self, now: impl Fn() -> u64) -> Option<QqTokens> {
        let tokens = self.tokens.as_ref()?;
        let left = |expires: u64| Duration::from_millis(expires.saturating_sub(now()));
        Some(QqTokens {
            access_token: tokens.access_token.clone(),
            refresh_token: tokens.refresh_token.clone(),
            expires_in: tokens.expires.map(left),
        })
    }

    #[cfg(feature = "revocation")]
    pub(crate) fn started(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.started)
    }
}

impl KeptTokens {
    fn new(tokens: &QqTokens, now: u64) -> Self {
        let expires = |lifetime| now.saturating_add(as_millis(lifetime));
        Self {
            access_token: tokens.access_token.clone(),
            refresh_token: tokens.refresh_token.clone(),
            expires: tokens.expires_in.map(expires),
        }
    }
}
