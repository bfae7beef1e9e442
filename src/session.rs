//! Who is signed in: what the session cookie holds and when it ends.
//!
//! 1. The cookie is sealed: it can be neither read nor made without the keys.
//! 2. It ends 7 days after it was last written and 30 days after the login; both times are inside the seal.
//! 3. Past half of the 7 days, the next request writes it anew.
//! 4. A cookie that cannot be accepted is as good as none: the request is anonymous, never an error.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::{QqTokens, QqUser};

pub(crate) mod cookie;
pub(crate) mod keys;

use self::{
    cookie::CookieJar,
    keys::{Seal, SessionKeys, random},
};

/// How far the clocks of two machines of one site may be apart.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

#[derive(Clone)]
pub(crate) struct Sessions {
    seal: Seal,
    context: Vec<u8>,
    jar: CookieJar,
    name: String,
    pub(crate) idle: Duration,
    pub(crate) lifetime: Duration,
    pub(crate) keeps_tokens: bool,
}

/// What the cookie holds. The layout belongs to version 1; another one gets a number of its own.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    version: u8,
    id: [u8; 16],
    /// Seconds since the epoch, as all times here.
    issued: u64,
    renewed: u64,
    pub(crate) user: QqUser,
    tokens: Option<Tokens>,
}

const VERSION: u8 = 1;

#[derive(Clone, Serialize, Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    expires: Option<u64>,
}

/// Browsers drop a cookie of more bytes than this without a word.
const MAX_COOKIE: usize = 4096;

/// A session that does not fit into a cookie: how many bytes it would take.
#[derive(Debug)]
pub(crate) struct TooLarge(pub(crate) usize);

impl Sessions {
    pub(crate) fn new(keys: &SessionKeys, jar: CookieJar, app_id: &str) -> Self {
        let mut sessions = Self {
            seal: Seal::new(keys, "session"),
            context: Vec::new(),
            name: String::new(),
            jar: jar.clone(),
            idle: Duration::from_secs(7 * 24 * 60 * 60),
            lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            keeps_tokens: false,
        };
        sessions.name_cookies(jar, app_id);
        sessions
    }

    pub(crate) fn name_cookies(&mut self, jar: CookieJar, app_id: &str) {
        self.name = jar.name("session");
        self.context = format!("session\n{}\n{app_id}", self.name).into_bytes();
        self.jar = jar;
    }

    /// The cookie of a new session.
    pub(crate) fn start(
        &self,
        user: QqUser,
        tokens: Option<&QqTokens>,
        now: SystemTime,
    ) -> Result<HeaderValue, TooLarge> {
        let now = seconds(now);
        self.write(&Session {
            version: VERSION,
            id: random(),
            issued: now,
            renewed: now,
            user,
            tokens: tokens
                .filter(|_| self.keeps_tokens)
                .map(|tokens| Tokens::of(tokens, now)),
        })
    }

    /// The session of a request, if it has one that is still good.
    pub(crate) fn read(
        &self,
        headers: &HeaderMap,
        now: impl FnOnce() -> SystemTime,
    ) -> Option<Session> {
        let value = cookie::find(headers, &self.name)?;
        let plain = self.seal.open(&self.context, value)?;
        let mut session: Session = postcard::from_bytes(&plain).ok()?;
        let now = seconds(now());
        let good = session.version == VERSION
            && session.issued <= session.renewed
            && session.renewed <= now.saturating_add(CLOCK_SKEW.as_secs())
            && now < session.renewed.saturating_add(self.idle.as_secs())
            && now < session.issued.saturating_add(self.lifetime.as_secs())
            // Sessions from before tokens were kept: a login brings them.
            && (session.tokens.is_some() || !self.keeps_tokens);
        if !self.keeps_tokens {
            session.tokens = None;
        }
        good.then_some(session)
    }

    /// The cookie written anew, where half of its idle time is over.
    pub(crate) fn renew(&self, session: &Session, now: SystemTime) -> Option<HeaderValue> {
        let now = seconds(now);
        let due = session.renewed.saturating_add(self.idle.as_secs() / 2);
        if now <= due {
            return None;
        }
        let renewed = now;
        let session = session.clone();
        self.write(&Session { renewed, ..session }).ok()
    }

    /// The cookie of the same session with other tokens in it.
    pub(crate) fn with_tokens(
        &self,
        session: &Session,
        tokens: &QqTokens,
        now: SystemTime,
    ) -> Result<HeaderValue, TooLarge> {
        let renewed = seconds(now);
        let tokens = Some(Tokens::of(tokens, renewed));
        let session = session.clone();
        self.write(&Session {
            renewed,
            tokens,
            ..session
        })
    }

    /// The cookie that takes the session cookie away.
    pub(crate) fn end(&self) -> HeaderValue {
        self.jar.clear(&self.name)
    }

    fn write(&self, session: &Session) -> Result<HeaderValue, TooLarge> {
        // Strings and numbers into a growing buffer: nothing in it can fail.
        let plain = postcard::to_allocvec(session).unwrap_or_default();
        let ends = session.issued.saturating_add(self.lifetime.as_secs());
        let max_age = self
            .idle
            .as_secs()
            .min(ends.saturating_sub(session.renewed));
        let value = self.seal.seal(&self.context, &plain);
        let cookie = self.jar.set(&self.name, &value, max_age);
        if cookie.len() > MAX_COOKIE {
            return Err(TooLarge(cookie.len()));
        }
        Ok(cookie)
    }
}

impl Session {
    /// The tokens that it keeps, with the lifetime that they have left.
    pub(crate) fn tokens(&self, now: impl Fn() -> SystemTime) -> Option<QqTokens> {
        let tokens = self.tokens.as_ref()?;
        let left = |expires: u64| Duration::from_secs(expires.saturating_sub(seconds(now())));
        Some(QqTokens {
            access_token: tokens.access_token.clone(),
            refresh_token: tokens.refresh_token.clone(),
            expires_in: tokens.expires.map(left),
        })
    }
}

impl Tokens {
    fn of(tokens: &QqTokens, now: u64) -> Self {
        Self {
            access_token: tokens.access_token.clone(),
            refresh_token: tokens.refresh_token.clone(),
            expires: tokens
                .expires_in
                .map(|left| now.saturating_add(left.as_secs())),
        }
    }
}

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
