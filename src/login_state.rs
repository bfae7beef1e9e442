//! Logins under way. Each has a sealed cookie in its browser.
//!
//! The state that QQ carries is `id | secret`. The id names the cookie `qq_login_<id>`, whose seal
//! holds the secret, the destination and the time of the start. Thus a state is valid only in that
//! browser, for 10 minutes.

use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, HeaderValue};
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use crate::clock::{CLOCK_SKEW, as_millis, unix_millis};
use crate::error::StateCause;
use crate::random::{is_url_safe, random_bytes, url_safe};
use crate::return_to::ReturnTo;
use crate::session::cookie;
use crate::session::cookie::CookieScope;
use crate::session::keys::SessionKeys;
use crate::session::seal::Seal;

const LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Logins that one browser can have under way.
const MAX_LOGINS: usize = 4;
/// Limit of their cookies together: many servers accept only 8 KiB of headers.
const MAX_BYTES: usize = 6 * 1024;
/// Limit of cookies that one response removes, so that its headers stay small.
const MAX_REMOVED: usize = 16;
/// 6 bytes of id and 16 of secret, in base64url.
const ID_LEN: usize = 8;
const SECRET_LEN: usize = 22;

/// The login cookies of one layer.
pub(crate) struct PendingLogins {
    seal: Seal,
    scope: CookieScope,
    prefix: String,
    app_id: String,
}

/// The destination and the purpose of a login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PendingLogin {
    pub(crate) return_to: ReturnTo,
    pub(crate) intent: Option<Intent>,
}

/// The purpose of a login that changes an account, such as `bind`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) name: String,
    /// A digest of the account for which the login was started.
    pub(crate) account: [u8; 32],
}

impl Intent {
    /// Returns whether a text can name an intent.
    pub(crate) fn is_name(text: &str) -> bool {
        (1..=32).contains(&text.len()) && is_url_safe(text.as_bytes())
    }
}

#[derive(Serialize, Deserialize)]
struct LoginCookie {
    version: u8,
    secret: [u8; 16],
    /// Milliseconds since the epoch.
    started_at: u64,
    login: PendingLogin,
}

const VERSION: u8 = 1;

/// Names a state in the tables of the process.
pub(crate) type StateKey = [u8; 16];

/// A login that came back to the browser that started it.
pub(crate) struct OpenedLogin {
    pub(crate) login: PendingLogin,
    /// The cookie that removes the login cookie.
    pub(crate) removal: HeaderValue,
    pub(crate) key: StateKey,
}

/// An unknown or expired state, with the destination if the login has merely expired.
pub(crate) struct UnknownState {
    pub(crate) cause: StateCause,
    pub(crate) return_to: ReturnTo,
}

impl UnknownState {
    pub(crate) fn new(cause: StateCause) -> Self {
        Self {
            cause,
            return_to: ReturnTo::home(),
        }
    }
}

impl PendingLogin {
    /// Returns a login without purpose that ends at `/`.
    pub(crate) fn home() -> Self {
        Self {
            return_to: ReturnTo::home(),
            intent: None,
        }
    }
}

impl PendingLogins {
    pub(crate) fn new(keys: &SessionKeys, scope: CookieScope, app_id: &str) -> Self {
        Self {
            seal: Seal::new(keys, "login"),
            prefix: scope.full_name("login_"),
            app_id: app_id.to_owned(),
            scope,
        }
    }

    /// Starts a login and returns its state and the cookies to set, including those that remove surplus
    /// logins.
    pub(crate) fn start(
        &self,
        headers: &HeaderMap,
        login: PendingLogin,
        now: SystemTime,
    ) -> (String, Vec<HeaderValue>) {
        let secret = random_bytes();
        let state = url_safe(&random_bytes::<6>()) + &url_safe(&secret);
        let name = format!("{}{}", self.prefix, &state[..ID_LEN]);
        // Writing numbers and strings into a growing buffer cannot fail.
        let plain = postcard::to_allocvec(&LoginCookie {
            version: VERSION,
            secret,
            started_at: unix_millis(now),
            login,
        })
        .unwrap_or_default();
        let value = self.seal.seal(&self.context(&name), &plain);
        let mut cookies = vec![self.scope.set(&name, &value, LIFETIME.as_secs())];
        let surplus = self.surplus(headers, header_bytes(&name, value.len()));
        cookies.extend(surplus.iter().map(|name| self.scope.remove(name)));
        (state, cookies)
    }

    /// Returns the login of this state if this browser started it.
    pub(crate) fn open(
        &self,
        headers: &HeaderMap,
        state: &str,
        now: SystemTime,
    ) -> Result<OpenedLogin, UnknownState> {
        let unknown = |cause| UnknownState {
            cause,
            return_to: ReturnTo::home(),
        };
        if state.len() != ID_LEN + SECRET_LEN || !is_url_safe(state.as_bytes()) {
            return Err(unknown(StateCause::Forged));
        }
        let (id, secret) = state.split_at(ID_LEN);
        let name = format!("{}{id}", self.prefix);
        let value = cookie::find(headers, &Finder::new(&name));
        let Some(value) = value else {
            return Err(unknown(StateCause::NoCookie));
        };
        let Some(cookie) = self.unseal(&name, value) else {
            return Err(unknown(StateCause::UnknownKey));
        };
        let expected = url_safe(&cookie.secret);
        if verify_slices_are_equal(expected.as_bytes(), secret.as_bytes()).is_err() {
            return Err(unknown(StateCause::Forged));
        }
        let now = unix_millis(now);
        let is_in_future = cookie.started_at > now.saturating_add(as_millis(CLOCK_SKEW));
        let is_expired = now >= cookie.started_at.saturating_add(as_millis(LIFETIME));
        if is_in_future || is_expired {
            return Err(UnknownState {
                cause: StateCause::Expired,
                return_to: cookie.login.return_to,
            });
        }
        Ok(OpenedLogin {
            login: cookie.login,
            removal: self.scope.remove(&name),
            key: cookie.secret,
        })
    }

    /// Returns the names of the cookies to remove so that a new one fits: unreadable ones first, then the
    /// oldest.
    fn surplus(&self, headers: &HeaderMap, added: usize) -> Vec<String> {
        let mut logins: Vec<(u64, usize, String)> = cookie::cookies(headers)
            .filter_map(|(name, value)| {
                let id = name.strip_prefix(self.prefix.as_bytes())?;
                if id.len() != ID_LEN || !is_url_safe(id) {
                    return None;
                }
                let name = String::from_utf8(name.to_vec()).ok()?;
                let started = self
                    .unseal(&name, value)
                    .map_or(0, |login| login.started_at);
                Some((started, header_bytes(&name, value.len()), name))
            })
            .collect();
        // The sort is stable, and browsers send older cookies first.
        logins.sort_by_key(|(started, ..)| *started);
        let mut bytes = added;
        let kept = logins
            .iter()
            .rev()
            .take(MAX_LOGINS - 1)
            .take_while(|(_, size, _)| {
                bytes += size;
                bytes <= MAX_BYTES
            });
        let surplus = logins.len() - kept.count();
        let oldest = logins.into_iter().take(surplus.min(MAX_REMOVED));
        oldest.map(|(.., name)| name).collect()
    }

    /// Returns whether a `Set-Cookie` header of the app sets or removes a login cookie.
    pub(crate) fn are_set_by(&self, cookie: &HeaderValue) -> bool {
        cookie::name(cookie).starts_with(self.prefix.as_bytes())
    }

    fn unseal(&self, name: &str, value: &[u8]) -> Option<LoginCookie> {
        let plain = self.seal.open(&self.context(name), value)?;
        let login: LoginCookie = postcard::from_bytes(&plain).ok()?;
        Some(login).filter(|login| login.version == VERSION)
    }

    fn context(&self, name: &str) -> Vec<u8> {
        format!("login\n{name}\n{}", self.app_id).into_bytes()
    }
}

/// The share of a cookie in a `Cookie` header.
fn header_bytes(name: &str, value: usize) -> usize {
    name.len() + "=; ".len() + value
}
