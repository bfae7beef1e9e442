//! Who is signed in: what the session cookie holds and when it ends.
//!
//! 1. The cookie is sealed: it can be neither read nor made without the keys.
//! 2. It ends 7 days after it was last written and 30 days after the login; both times are inside the seal.
//! 3. Past half of the 7 days, the next request writes it anew.
//! 4. A cookie that cannot be accepted is as good as none: the request is anonymous, never an error.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::QqUser;

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
}

const VERSION: u8 = 1;

impl Sessions {
    pub(crate) fn new(keys: &SessionKeys, jar: CookieJar, app_id: &str) -> Self {
        let name = jar.name("qq_session");
        Self {
            seal: Seal::new(keys, "session"),
            context: format!("session\n{name}\n{app_id}").into_bytes(),
            jar,
            name,
            idle: Duration::from_secs(7 * 24 * 60 * 60),
            lifetime: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }

    /// The cookie of a new session.
    pub(crate) fn start(&self, user: QqUser, now: SystemTime) -> HeaderValue {
        let now = seconds(now);
        self.write(&Session {
            version: VERSION,
            id: random(),
            issued: now,
            renewed: now,
            user,
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
        let session: Session = postcard::from_bytes(&plain).ok()?;
        let now = seconds(now());
        let good = session.version == VERSION
            && session.issued <= session.renewed
            && session.renewed <= now.saturating_add(CLOCK_SKEW.as_secs())
            && now < session.renewed.saturating_add(self.idle.as_secs())
            && now < session.issued.saturating_add(self.lifetime.as_secs());
        good.then_some(session)
    }

    /// The cookie written anew, where half of its idle time is over.
    pub(crate) fn renew(&self, session: &Session, now: SystemTime) -> Option<HeaderValue> {
        let now = seconds(now);
        let due = session.renewed.saturating_add(self.idle.as_secs() / 2);
        (now > due).then(|| {
            self.write(&Session {
                renewed: now,
                ..session.clone()
            })
        })
    }

    /// The cookie that takes the session cookie away.
    pub(crate) fn end(&self) -> HeaderValue {
        self.jar.clear(&self.name)
    }

    fn write(&self, session: &Session) -> HeaderValue {
        // Strings and numbers into a growing buffer: nothing in it can fail.
        let plain = postcard::to_allocvec(session).unwrap_or_default();
        let ends = session.issued.saturating_add(self.lifetime.as_secs());
        let max_age = self
            .idle
            .as_secs()
            .min(ends.saturating_sub(session.renewed));
        self.jar
            .set(&self.name, &self.seal.seal(&self.context, &plain), max_age)
    }
}

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
