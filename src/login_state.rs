//! Logins under way: one sealed cookie each, in the browser that started it.
//!
//! The state that QQ carries is `id | secret`. The id finds the cookie `qq_login_<id>`; inside its seal are the secret,
//! where to go afterwards, and when it began. So a state is good in one browser, for 10 minutes.

use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, HeaderValue};
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use super::return_to::ReturnTo;
use crate::{
    SessionKeys,
    session::{
        CLOCK_SKEW, as_millis,
        cookie::{self, CookieJar},
        keys::{Seal, random, url_safe},
        millis,
    },
};

const LIFETIME: Duration = Duration::from_secs(10 * 60);
/// How many logins one browser can have under way.
const AT_ONCE: usize = 4;
/// How large their cookies may be together: many servers take no more than 8 KiB of them.
const BYTES_AT_ONCE: usize = 6 * 1024;
/// How many cookies one response takes away: its headers have to stay small.
const CLEARED_AT_ONCE: usize = 16;
/// 6 bytes of id and 16 of secret, in base64url.
const ID_LEN: usize = 8;
const SECRET_LEN: usize = 22;

#[derive(Clone)]
pub(super) struct PendingLogins {
    seal: Seal,
    jar: CookieJar,
    prefix: String,
    app_id: String,
}

#[derive(Serialize, Deserialize)]
struct Pending {
    version: u8,
    secret: [u8; 16],
    /// Milliseconds since the epoch.
    issued: u64,
    purpose: Purpose,
}

/// What a login is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Purpose {
    pub(super) return_to: ReturnTo,
    /// A login that does something to an account, and a digest of whose account that was.
    pub(super) intent: Option<(String, [u8; 32])>,
}

const VERSION: u8 = 1;

/// A login that came back to the browser that started it.
pub(super) struct Returned {
    pub(super) purpose: Purpose,
    /// The cookie that takes the pending login away.
    pub(super) consumed: HeaderValue,
}

/// A state that is not good here; a page is known if it merely came too late.
pub(super) struct Stray(pub(super) Option<ReturnTo>);

impl PendingLogins {
    pub(super) fn new(keys: &SessionKeys, jar: CookieJar, app_id: &str) -> Self {
        Self {
            seal: Seal::new(keys, "login"),
            prefix: jar.name("login_"),
            app_id: app_id.to_owned(),
            jar,
        }
    }

    pub(super) fn name_cookies(&mut self, jar: CookieJar) {
        self.prefix = jar.name("login_");
        self.jar = jar;
    }

    /// A new login: its state, and the cookies to set, among them those that take away the oldest.
    pub(super) fn start(
        &self,
        headers: &HeaderMap,
        purpose: Purpose,
        now: SystemTime,
    ) -> (String, Vec<HeaderValue>) {
        let secret = random();
        let state = url_safe(&random::<6>()) + &url_safe(&secret);
        let name = format!("{}{}", self.prefix, &state[..ID_LEN]);
        // A version, numbers and a string: nothing in it can fail.
        let plain = postcard::to_allocvec(&Pending {
            version: VERSION,
            secret,
            issued: millis(now),
            purpose,
        })
        .unwrap_or_default();
        let value = self.seal.seal(&self.context(&name), &plain);
        let mut cookies = vec![self.jar.set(&name, &value, LIFETIME.as_secs())];
        let surplus = self.surplus(headers, header_bytes(&name, value.len()));
        cookies.extend(surplus.iter().map(|name| self.jar.clear(name)));
        (state, cookies)
    }

    /// The login that `state` belongs to, if this browser started it.
    pub(super) fn returned(
        &self,
        headers: &HeaderMap,
        state: &str,
        now: SystemTime,
    ) -> Result<Returned, Stray> {
        let stray = Stray(None);
        if state.len() != ID_LEN + SECRET_LEN || !state.bytes().all(is_state) {
            return Err(stray);
        }
        let (id, secret) = state.split_at(ID_LEN);
        let name = format!("{}{id}", self.prefix);
        let value = cookie::find(headers, &Finder::new(&name));
        let Some(pending) = value.and_then(|value| self.open(&name, value)) else {
            return Err(stray);
        };
        let expected = url_safe(&pending.secret);
        if verify_slices_are_equal(expected.as_bytes(), secret.as_bytes()).is_err() {
            return Err(stray);
        }
        let now = millis(now);
        let begun = pending.issued <= now.saturating_add(as_millis(CLOCK_SKEW));
        let over = now >= pending.issued.saturating_add(as_millis(LIFETIME));
        if !begun || over {
            return Err(Stray(Some(pending.purpose.return_to)));
        }
        Ok(Returned {
            purpose: pending.purpose,
            consumed: self.jar.clear(&name),
        })
    }

    /// The pending logins that have to go before another one is added: the oldest, and first those nobody can finish.
    fn surplus(&self, headers: &HeaderMap, added: usize) -> Vec<String> {
        let mut pending: Vec<(u64, usize, String)> = cookie::cookies(headers)
            .filter_map(|(name, value)| {
                let id = name.strip_prefix(self.prefix.as_bytes())?;
                if id.len() != ID_LEN || !id.iter().copied().all(is_state) {
                    return None;
                }
                let name = String::from_utf8(name.to_vec()).ok()?;
                let issued = self.open(&name, value).map_or(0, |pending| pending.issued);
                Some((issued, header_bytes(&name, value.len()), name))
            })
            .collect();
        // Stable: browsers send older cookies first.
        pending.sort_by_key(|(issued, ..)| *issued);
        let mut bytes = added;
        let kept = pending
            .iter()
            .rev()
            .take(AT_ONCE - 1)
            .take_while(|(_, size, _)| {
                bytes += size;
                bytes <= BYTES_AT_ONCE
            });
        let surplus = pending.len() - kept.count();
        let oldest = pending.into_iter().take(surplus.min(CLEARED_AT_ONCE));
        oldest.map(|(.., name)| name).collect()
    }

    fn open(&self, name: &str, value: &[u8]) -> Option<Pending> {
        let plain = self.seal.open(&self.context(name), value)?;
        let pending: Pending = postcard::from_bytes(&plain).ok()?;
        Some(pending).filter(|pending| pending.version == VERSION)
    }

    fn context(&self, name: &str) -> Vec<u8> {
        format!("login\n{name}\n{}", self.app_id).into_bytes()
    }
}

/// What a cookie takes of a `Cookie` header.
fn header_bytes(name: &str, value: usize) -> usize {
    name.len() + "=; ".len() + value
}

fn is_state(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}
