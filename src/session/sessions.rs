//! Reading and writing session cookies.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use memchr::memmem::Finder;

use super::{
    Session, SessionTokens,
    cookie::{self, CookieScope, MAX_COOKIE},
    keys::SessionKeys,
    layout::Layout,
    seal::{Digests, Seal},
};
use crate::clock::{CLOCK_SKEW, as_millis, unix_millis};
use crate::random::random_bytes;
use crate::tokens::QqTokens;
use crate::user::{OpenId, QqUser};

/// The session cookies of one layer.
pub(crate) struct Sessions {
    seal: Seal,
    digests: Digests,
    context: Vec<u8>,
    scope: CookieScope,
    name: String,
    /// The name, ready to be searched for.
    finder: Finder<'static>,
    app_id: String,
    settings: SessionSettings,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionSettings {
    pub(crate) idle: Duration,
    pub(crate) lifetime: Duration,
    pub(crate) keep_tokens: bool,
}

impl Default for SessionSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            idle: 7 * DAY,
            lifetime: 30 * DAY,
            keep_tokens: false,
        }
    }
}

/// The error for a session that does not fit into its cookie.
#[derive(Debug)]
pub(crate) struct TooLarge {
    bytes: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes;
        write!(
            f,
            "the session cookie would have {bytes} bytes, more than {MAX_COOKIE}"
        )
    }
}

impl Sessions {
    pub(crate) fn new(
        keys: &SessionKeys,
        scope: CookieScope,
        app_id: &str,
        settings: SessionSettings,
    ) -> Self {
        let name = scope.full_name("session");
        Self {
            seal: Seal::new(keys, "session"),
            digests: Digests::new(keys, "revocation"),
            context: format!("session\n{name}\n{app_id}").into_bytes(),
            scope,
            finder: Finder::new(&name).into_owned(),
            name,
            app_id: app_id.to_owned(),
            settings,
        }
    }

    pub(crate) fn settings(&self) -> &SessionSettings {
        &self.settings
    }

    pub(crate) fn scope(&self) -> &CookieScope {
        &self.scope
    }

    /// Creates a session.
    pub(crate) fn start(
        &self,
        user: QqUser,
        tokens: Option<&QqTokens>,
        now: SystemTime,
    ) -> Session {
        let now = unix_millis(now);
        let tokens = tokens.filter(|_| self.settings.keep_tokens);
        Session {
            id: random_bytes(),
            user_digest: self.newest_digest(&user),
            started_at: now,
            renewed_at: now,
            user,
            tokens: tokens.map(|tokens| SessionTokens::new(tokens, now)),
            is_stale: false,
        }
    }

    /// Reads the session of a request, unless it has ended. `on_unreadable` is called if the cookie
    /// does not open.
    pub(crate) fn read(
        &self,
        headers: &HeaderMap,
        now: impl FnOnce() -> SystemTime,
        on_unreadable: impl FnOnce(),
    ) -> Option<Session> {
        let value = cookie::find(headers, &self.finder)?;
        let plain = self.seal.open(&self.context, value);
        let Some(mut session) = plain.and_then(|plain| Layout::read(&plain)) else {
            on_unreadable();
            return None;
        };
        let now = unix_millis(now());
        let is_valid = session.started_at <= session.renewed_at
            && session.renewed_at <= now.saturating_add(as_millis(CLOCK_SKEW))
            && now < session.renewed_at.saturating_add(as_millis(self.settings.idle))
            && now < session.started_at.saturating_add(as_millis(self.settings.lifetime))
            // A session from before `keep_tokens` was set gets its tokens by a new login.
            && (session.tokens.is_some() || !self.settings.keep_tokens);
        if !self.settings.keep_tokens {
            session.tokens = None;
        }
        session.is_stale = now
            > session
                .renewed_at
                .saturating_add(as_millis(self.settings.idle) / 2);
        is_valid.then_some(session)
    }

    /// Returns the renewed cookie if half of the idle time has passed.
    pub(crate) fn renew(
        &self,
        session: &Session,
        now: impl FnOnce() -> SystemTime,
    ) -> Option<HeaderValue> {
        if !session.is_stale {
            return None;
        }
        let renewed_at = unix_millis(now());
        let session = session.clone();
        self.write(Session {
            renewed_at,
            ..session
        })
        .ok()
    }

    /// Returns the cookie of the same session with other tokens.
    pub(crate) fn replace_tokens(
        &self,
        session: &Session,
        tokens: &QqTokens,
        now: SystemTime,
    ) -> Result<HeaderValue, TooLarge> {
        let now = unix_millis(now);
        let tokens = Some(SessionTokens::new(tokens, now));
        // The clock may be behind that of the machine that wrote the session.
        let renewed_at = now.max(session.renewed_at);
        let session = session.clone();
        self.write(Session {
            renewed_at,
            tokens,
            ..session
        })
    }

    /// Returns the cookie that removes the session cookie.
    pub(crate) fn remove(&self) -> HeaderValue {
        self.scope.remove(&self.name)
    }

    /// Returns whether a `Set-Cookie` header of the app sets or removes the session cookie.
    pub(crate) fn is_set_by(&self, cookie: &HeaderValue) -> bool {
        cookie::name(cookie) == self.name.as_bytes()
    }

    /// Iterates over the digests of a user under each key of the ring, the newest first.
    pub(crate) fn user_digests<'s>(
        &'s self,
        user: &OpenId,
    ) -> impl Iterator<Item = [u8; 16]> + use<'s> {
        self.digests.digest(&[&self.app_id, user.as_str()])
    }

    /// Returns the digest of a user under the key that seals.
    fn newest_digest(&self, user: &QqUser) -> [u8; 16] {
        let mut digests = self.user_digests(user.openid());
        digests.next().unwrap_or_default()
    }

    /// Returns the cookie of a session, sealed anew.
    pub(crate) fn write(&self, mut session: Session) -> Result<HeaderValue, TooLarge> {
        session.user_digest = self.newest_digest(&session.user);
        let ends = session
            .started_at
            .saturating_add(as_millis(self.settings.lifetime));
        let max_age = as_millis(self.settings.idle).min(ends.saturating_sub(session.renewed_at));
        let seal = |avatar| {
            let value = self
                .seal
                .seal(&self.context, &Layout::write(&session, avatar));
            self.scope.set(&self.name, &value, max_age / 1000)
        };
        let mut cookie = seal(session.user.avatar());
        if cookie.len() > MAX_COOKIE {
            // Tokens matter more than a picture.
            cookie = seal(None);
        }
        if cookie.len() > MAX_COOKIE {
            let bytes = cookie.len();
            return Err(TooLarge { bytes });
        }
        Ok(cookie)
    }
}
