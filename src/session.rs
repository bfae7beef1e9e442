//! Who is signed in: what the session cookie holds and when it ends.
//!
//! 1. The cookie is sealed: it can be neither read nor made without the keys.
//! 2. It ends 7 days after it was last written and 30 days after the login; both times are inside the seal.
//! 3. Past half of the 7 days, the next request writes it anew.
//! 4. A cookie that cannot be accepted is as good as none: the request is anonymous, never an error.
//! 5. Where there is a list of revoked sessions, one that is on it ends at once.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use crate::{OpenId, QqTokens, QqUser};

#[cfg(feature = "revocation")]
pub(crate) mod cached;
pub(crate) mod cookie;
pub(crate) mod keys;
#[cfg(feature = "revocation")]
pub(crate) mod memory;
#[cfg(feature = "redis")]
pub(crate) mod redis_list;
pub(crate) mod revocation;

use self::{
    cookie::CookieJar,
    keys::{Digests, MAX_COOKIE, Seal, SessionKeys, random},
    revocation::{Revocation, RevocationId, SessionIds},
};

/// How far the clocks of two machines of one site may be apart.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

#[derive(Clone)]
pub(crate) struct Sessions {
    seal: Seal,
    digests: Digests,
    context: Vec<u8>,
    jar: CookieJar,
    name: String,
    /// The name, ready to be searched for.
    finder: Finder<'static>,
    app_id: String,
    pub(crate) idle: Duration,
    pub(crate) lifetime: Duration,
    pub(crate) keeps_tokens: bool,
}

/// What the cookie holds. The layout belongs to version 1; another one gets a number of its own.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    version: u8,
    id: [u8; 16],
    /// A digest of the user under the key that sealed this.
    user_id: [u8; 16],
    /// Milliseconds since the epoch, as all times here.
    began: u64,
    renewed: u64,
    pub(crate) user: QqUser,
    tokens: Option<Tokens>,
    /// Whether half of its idle time was over when it was read.
    #[serde(skip)]
    stale: bool,
}

const VERSION: u8 = 1;

#[derive(Clone, Serialize, Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    expires: Option<u64>,
}

/// No list has to keep an entry for longer.
const LONGEST_KEPT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A session that does not fit into a cookie: how many bytes it would take.
#[derive(Debug)]
pub(crate) struct TooLarge(pub(crate) usize);

impl Sessions {
    pub(crate) fn new(keys: &SessionKeys, jar: CookieJar, app_id: &str) -> Self {
        let mut sessions = Self {
            seal: Seal::new(keys, "session"),
            digests: Digests::new(keys, "revocation"),
            context: Vec::new(),
            name: String::new(),
            finder: Finder::new("").into_owned(),
            jar: jar.clone(),
            app_id: app_id.to_owned(),
            idle: Duration::from_secs(7 * 24 * 60 * 60),
            lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            keeps_tokens: false,
        };
        sessions.name_cookies(jar);
        sessions
    }

    pub(crate) fn name_cookies(&mut self, jar: CookieJar) {
        self.name = jar.name("session");
        self.finder = Finder::new(&self.name).into_owned();
        self.context = format!("session\n{}\n{}", self.name, self.app_id).into_bytes();
        self.jar = jar;
    }

    /// The cookie of a new session.
    pub(crate) fn start(
        &self,
        user: QqUser,
        tokens: Option<&QqTokens>,
        now: SystemTime,
    ) -> Result<HeaderValue, TooLarge> {
        let now = millis(now);
        let tokens = tokens.filter(|_| self.keeps_tokens);
        self.write(Session {
            version: VERSION,
            id: random(),
            user_id: [0; 16],
            began: now,
            renewed: now,
            user,
            tokens: tokens.map(|tokens| Tokens::of(tokens, now)),
            stale: false,
        })
    }

    /// The session of a request, if it has one whose time is not over.
    pub(crate) fn read(
        &self,
        headers: &HeaderMap,
        now: impl FnOnce() -> SystemTime,
    ) -> Option<Session> {
        let value = cookie::find(headers, &self.finder)?;
        let plain = self.seal.open(&self.context, value)?;
        let mut session: Session = postcard::from_bytes(&plain).ok()?;
        let now = millis(now());
        let good = session.version == VERSION
            && session.began <= session.renewed
            && session.renewed <= now.saturating_add(as_millis(CLOCK_SKEW))
            && now < session.renewed.saturating_add(as_millis(self.idle))
            && now < session.began.saturating_add(as_millis(self.lifetime))
            // Sessions from before tokens were kept: a login brings them.
            && (session.tokens.is_some() || !self.keeps_tokens);
        if !self.keeps_tokens {
            session.tokens = None;
        }
        session.stale = now > session.renewed.saturating_add(as_millis(self.idle) / 2);
        good.then_some(session)
    }

    /// The cookie written anew, where half of its idle time is over.
    pub(crate) fn renew(
        &self,
        session: &Session,
        now: impl FnOnce() -> SystemTime,
    ) -> Option<HeaderValue> {
        if !session.stale {
            return None;
        }
        let renewed = millis(now());
        let session = session.clone();
        self.write(Session { renewed, ..session }).ok()
    }

    /// The cookie of the same session with other tokens in it.
    pub(crate) fn with_tokens(
        &self,
        session: &Session,
        tokens: &QqTokens,
        now: SystemTime,
    ) -> Result<HeaderValue, TooLarge> {
        let now = millis(now);
        let tokens = Some(Tokens::of(tokens, now));
        // The clock may be behind that of the machine that wrote the session.
        let renewed = now.max(session.renewed);
        let session = session.clone();
        self.write(Session {
            renewed,
            tokens,
            ..session
        })
    }

    /// The cookie that takes the session cookie away.
    pub(crate) fn end(&self) -> HeaderValue {
        self.jar.clear(&self.name)
    }

    /// What makes this session worthless, wherever its cookie may be.
    pub(crate) fn revocation(
        &self,
        session: &Session,
        now: SystemTime,
    ) -> impl Iterator<Item = Revocation> {
        let ends = session.began() + self.lifetime.min(LONGEST_KEPT);
        let left = ends.duration_since(now).unwrap_or_default();
        let id = RevocationId(session.id);
        self.entries(session.user.openid(), Some(id), now + CLOCK_SKEW, left)
    }

    /// What makes all sessions of a user worthless that began up to now.
    pub(crate) fn revocations(
        &self,
        user: &OpenId,
        now: SystemTime,
    ) -> impl Iterator<Item = Revocation> {
        self.entries(user, None, now, self.lifetime.min(LONGEST_KEPT))
    }

    /// An entry for each key of the ring: a session may be sealed by any of them, or a copy of it.
    fn entries<'s>(
        &'s self,
        user: &OpenId,
        session: Option<RevocationId>,
        cutoff: SystemTime,
        left: Duration,
    ) -> impl Iterator<Item = Revocation> + use<'s> {
        let keep = left + CLOCK_SKEW;
        self.user_ids(user).map(move |user| Revocation {
            user: RevocationId(user),
            session,
            cutoff,
            keep,
        })
    }

    fn user_ids<'s>(&'s self, user: &OpenId) -> impl Iterator<Item = [u8; 16]> + use<'s> {
        self.digests.of(&[&self.app_id, user.as_str()])
    }

    fn write(&self, mut session: Session) -> Result<HeaderValue, TooLarge> {
        session.user_id = self
            .user_ids(session.user.openid())
            .next()
            .unwrap_or_default();
        // Strings and numbers into a growing buffer: nothing in it can fail.
        let plain = postcard::to_allocvec(&session).unwrap_or_default();
        let ends = session.began.saturating_add(as_millis(self.lifetime));
        let max_age = as_millis(self.idle).min(ends.saturating_sub(session.renewed));
        let value = self.seal.seal(&self.context, &plain);
        let cookie = self.jar.set(&self.name, &value, max_age / 1000);
        if cookie.len() > MAX_COOKIE {
            return Err(TooLarge(cookie.len()));
        }
        Ok(cookie)
    }
}

impl Session {
    /// By what it can be revoked.
    pub(crate) fn ids(&self) -> SessionIds {
        SessionIds {
            user: RevocationId(self.user_id),
            session: RevocationId(self.id),
        }
    }

    pub(crate) fn began(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.began)
    }

    /// The tokens that it keeps, with the lifetime that they have left.
    pub(crate) fn tokens(&self, now: impl Fn() -> SystemTime) -> Option<QqTokens> {
        let tokens = self.tokens.as_ref()?;
        let left = |expires: u64| Duration::from_millis(expires.saturating_sub(millis(now())));
        Some(QqTokens {
            access_token: tokens.access_token.clone(),
            refresh_token: tokens.refresh_token.clone(),
            expires_in: tokens.expires.map(left),
        })
    }
}

impl Tokens {
    fn of(tokens: &QqTokens, now: u64) -> Self {
        let expires = |left| now.saturating_add(as_millis(left));
        Self {
            access_token: tokens.access_token.clone(),
            refresh_token: tokens.refresh_token.clone(),
            expires: tokens.expires_in.map(expires),
        }
    }
}

/// Milliseconds since the epoch.
pub(crate) fn millis(time: SystemTime) -> u64 {
    as_millis(
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

pub(crate) fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
