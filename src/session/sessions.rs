//! Reading and writing session cookies.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderValue};
use memchr::memmem::Finder;

use super::{
    Session, SessionTokens,
    cookie::{self, CookieScope, MAX_COOKIE},
    error::SessionError,
    id::SessionId,
    keys::SessionKeys,
    layout::Layout,
    seal::Seal,
};
use crate::clock::{CLOCK_SKEW, as_millis, from_unix_millis, unix_millis};
use crate::meter;
use crate::tokens::QqTokens;
use crate::user::QqUser;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The limits of a session after a login with `remember=0`.
const SHORT: SessionLimits = SessionLimits {
    idle: HOUR.saturating_mul(2),
    lifetime: HOUR.saturating_mul(12),
};

/// The session cookies of one layer.
pub(crate) struct Sessions {
    seal: Seal,
    /// The QQ app of the layer, which most sessions belong to.
    app_id: Arc<str>,
    context: Vec<u8>,
    scope: CookieScope,
    name: String,
    /// The name, ready to be searched for.
    finder: Finder<'static>,
    settings: SessionSettings,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionSettings {
    pub(crate) limits: SessionLimits,
    pub(crate) keep_tokens: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionLimits {
    pub(crate) idle: Duration,
    pub(crate) lifetime: Duration,
}

impl Default for SessionSettings {
    fn default() -> Self {
        let limits = SessionLimits {
            idle: HOUR * 24 * 7,
            lifetime: HOUR * 24 * 30,
        };
        Self {
            limits,
            keep_tokens: false,
        }
    }
}

/// The parts of a session that starts.
pub(crate) struct NewSession<'t> {
    pub(crate) id: SessionId,
    pub(crate) user_digest: Option<[u8; 16]>,
    /// A user with an app id.
    pub(crate) user: QqUser,
    pub(crate) account: Option<String>,
    pub(crate) tokens: Option<&'t QqTokens>,
    pub(crate) is_remembered: bool,
    pub(crate) stamp: SystemTime,
}

impl Sessions {
    pub(crate) fn new(
        keys: &SessionKeys,
        scope: CookieScope,
        app_id: &Arc<str>,
        redirect_uri: &str,
        settings: SessionSettings,
    ) -> Self {
        let name = scope.full_name("session");
        Self {
            seal: Seal::new(keys, "session"),
            app_id: Arc::clone(app_id),
            context: format!("session\n{name}\n{app_id}\n{redirect_uri}").into_bytes(),
            scope,
            finder: Finder::new(&name).into_owned(),
            name,
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
    pub(crate) fn start(&self, new: NewSession<'_>, now: SystemTime) -> Session {
        let now = unix_millis(now);
        let lifetime = self.limits(new.is_remembered).lifetime;
        let tokens = new.tokens.filter(|_| self.settings.keep_tokens);
        Session {
            id: new.id,
            user_digest: new.user_digest,
            started_at: now,
            stamp: unix_millis(new.stamp).max(now),
            sealed_end: now.saturating_add(as_millis(lifetime)),
            renewed_at: now,
            is_remembered: new.is_remembered,
            user: new.user,
            account: new.account,
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
        let read = |bytes: &_| Layout::read(bytes, &self.app_id);
        let opened = self.seal.open(&self.context, value, read);
        let Some((mut session, is_of_old_key)) = opened else {
            on_unreadable();
            return None;
        };
        let now = unix_millis(now());
        let idle = as_millis(self.limits(session.is_remembered).idle);
        let is_valid = session.renewed_at <= now.saturating_add(as_millis(CLOCK_SKEW))
            && now < session.renewed_at.saturating_add(idle)
            && now < self.end(&session)
            // A session from before `keep_tokens` was set gets its tokens by a new login.
            && (session.tokens.is_some() || !self.settings.keep_tokens);
        if !self.settings.keep_tokens {
            session.tokens = None;
        }
        session.is_stale = now > session.renewed_at.saturating_add(idle / 2);
        if is_valid && is_of_old_key {
            meter::old_key_used();
        }
        is_valid.then_some(session)
    }

    /// Fails if a session does not fit into its cookie now and until it ends.
    pub(crate) fn check_size(&self, session: &Session) -> Result<(), SessionError> {
        // The times take up to 7 characters more after some days.
        self.write_with_room(session, 16).map(drop)
    }

    /// Returns the cookie of a session, sealed anew.
    pub(crate) fn write(&self, session: &Session) -> Result<HeaderValue, SessionError> {
        self.write_with_room(session, 0)
    }

    /// Returns the cookie if so many bytes more would fit as well.
    fn write_with_room(&self, session: &Session, room: usize) -> Result<HeaderValue, SessionError> {
        let max_age = session.is_remembered.then(|| {
            let expires_at = self.expiry(session);
            expires_at.saturating_sub(session.renewed_at) / 1000
        });
        let seal = |avatar| {
            let value = self
                .seal
                .seal(&self.context, &Layout::write(session, &self.app_id, avatar));
            self.scope.set(&self.name, &value, max_age)
        };
        let mut cookie = seal(session.user.avatar());
        if cookie.len() + room > MAX_COOKIE {
            // Tokens matter more than a picture.
            cookie = seal(None);
        }
        let bytes = cookie.len() + room;
        if bytes > MAX_COOKIE {
            let text =
                format!("the session cookie would have {bytes} bytes, more than {MAX_COOKIE}");
            return Err(SessionError::new(text));
        }
        Ok(cookie)
    }

    /// Returns the cookie that removes the session cookie.
    pub(crate) fn remove(&self) -> HeaderValue {
        self.scope.remove(&self.name)
    }

    /// Returns whether a `Set-Cookie` header of the app sets or removes the session cookie.
    pub(crate) fn is_set_by(&self, cookie: &HeaderValue) -> bool {
        cookie::name(cookie) == self.name.as_bytes()
    }

    /// Returns the absolute end of a session.
    pub(crate) fn ends_at(&self, session: &Session) -> SystemTime {
        from_unix_millis(self.end(session))
    }

    /// Returns the time at which a session ends if nothing renews it.
    pub(crate) fn expires_at(&self, session: &Session) -> SystemTime {
        from_unix_millis(self.expiry(session))
    }

    fn expiry(&self, session: &Session) -> u64 {
        let idle = as_millis(self.limits(session.is_remembered).idle);
        self.end(session)
            .min(session.renewed_at.saturating_add(idle))
    }

    /// The sealed end, or an earlier one if the lifetime in the settings is shorter by now.
    fn end(&self, session: &Session) -> u64 {
        let lifetime = as_millis(self.limits(session.is_remembered).lifetime);
        session
            .sealed_end
            .min(session.started_at.saturating_add(lifetime))
    }

    fn limits(&self, is_remembered: bool) -> SessionLimits {
        let SessionLimits { idle, lifetime } = self.settings.limits;
        match is_remembered {
            true => SessionLimits { idle, lifetime },
            false => SessionLimits {
                idle: idle.min(SHORT.idle),
                lifetime: lifetime.min(SHORT.lifetime),
            },
        }
    }
}
