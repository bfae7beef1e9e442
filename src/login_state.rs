//! Logins under way. Each has a sealed cookie in its browser.
//!
//! There are eight cookies, `qq_login_0` to `qq_login_7`. The state that QQ carries is the number
//! of one of them and a digest of its value. Thus a state is valid only in the browser that holds
//! the cookie, for 10 minutes. It cannot be guessed, because a sealed value is unpredictable.

use std::{
    array::from_fn,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue};
use memchr::memmem::Finder;

use crate::clock::{CLOCK_SKEW, unix_millis};
use crate::error::place::StateCause;
use crate::random::{random_bytes, url_safe};
use crate::return_to::ReturnTo;
use crate::session::cookie;
use crate::session::cookie::CookieScope;
use crate::session::keys::SessionKeys;
use crate::session::seal::Seal;

mod content;
pub(crate) mod pending;
mod slot;

use self::content::LoginCookie;
use self::pending::PendingLogin;
use self::slot::{MAX_LOGINS, Slot};

const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The digest of a login cookie, which names the login of a state.
pub(crate) type StateKey = [u8; 16];

/// The login cookies of one layer.
pub(crate) struct PendingLogins {
    seal: Seal,
    scope: CookieScope,
    /// The start of the names, ready to be searched for.
    start: Finder<'static>,
    slots: [Slot; MAX_LOGINS],
}

/// A login whose callback came to the browser that started it.
pub(crate) struct OpenedLogin {
    pub(crate) login: PendingLogin,
    /// The cookie that removes the login cookie.
    pub(crate) removal: HeaderValue,
    pub(crate) key: StateKey,
}

/// An unknown or expired state.
pub(crate) struct UnknownState {
    pub(crate) cause: StateCause,
    /// The login, if it has merely expired.
    pub(crate) login: Option<PendingLogin>,
}

impl UnknownState {
    pub(crate) fn is_popup(&self) -> bool {
        self.login.as_ref().is_some_and(|login| login.is_popup)
    }
}

impl From<StateCause> for UnknownState {
    fn from(cause: StateCause) -> Self {
        let login = None;
        Self { cause, login }
    }
}

impl PendingLogins {
    pub(crate) fn new(
        keys: &SessionKeys,
        scope: CookieScope,
        app_id: &str,
        redirect_uri: &str,
    ) -> Self {
        Self {
            seal: Seal::new(keys, "login"),
            start: Finder::new(&scope.full_name("login_")).into_owned(),
            slots: Slot::all(&scope, app_id, redirect_uri),
            scope,
        }
    }

    /// Starts a login and returns its state and its cookie, which may replace that of the oldest
    /// login.
    pub(crate) fn start(
        &self,
        headers: &HeaderMap,
        login: &PendingLogin,
        now: SystemTime,
    ) -> (String, HeaderValue) {
        let now = tenths(now);
        let values = self.values(headers);
        let ages = from_fn(|number| self.unseal(&self.slots[number], values[number]?)?.age(now));
        let (number, slot) = self.choose_slot(&ages);
        // Dates the login after all others of this browser, so that the next start does not replace
        // it.
        let newest = ages.iter().flatten().min();
        let age = newest.map_or(SKEW, |age| age.saturating_sub(1).min(SKEW));
        let started_at = now.wrapping_add(SKEW).wrapping_sub(age);
        let content = LoginCookie::write(started_at, login, slot.room());
        let value = self.seal.seal(&slot.context, &content);
        let state = format!("{number}{}", url_safe(&state_key(value.as_bytes())));
        let cookie = self.scope.set(&slot.name, &value, Some(LIFETIME.as_secs()));
        (state, cookie)
    }

    /// Returns the login of this state if this browser started it. `resolve` checks the
    /// `return_to`, since the settings may have changed.
    pub(crate) fn open(
        &self,
        headers: &HeaderMap,
        state: &str,
        now: SystemTime,
        resolve: impl FnOnce(&str) -> ReturnTo,
    ) -> Result<OpenedLogin, UnknownState> {
        let state = self.parse_state(state);
        let (slot, key) = state.ok_or(StateCause::Forged)?;
        let value = self.values(headers)[slot.number];
        let value = value.ok_or(StateCause::NoCookie)?;
        let cookie = self.unseal(slot, value);
        let cookie = cookie.ok_or(StateCause::UnknownKey)?;
        if verify_slices_are_equal(&state_key(value), &key).is_err() {
            return Err(StateCause::Forged.into());
        }
        let is_expired = cookie.age(tenths(now)).is_none();
        let login = PendingLogin {
            return_to: resolve(&ReturnTo::expand(&cookie.return_to)),
            intent: cookie.intent,
            is_remembered: cookie.is_remembered,
            is_popup: cookie.is_popup,
        };
        if is_expired {
            return Err(UnknownState {
                cause: StateCause::Expired,
                login: Some(login),
            });
        }
        Ok(OpenedLogin {
            login,
            removal: self.scope.remove(&slot.name),
            key,
        })
    }

    /// Returns whether a `Set-Cookie` header of the app sets or removes a login cookie.
    pub(crate) fn are_set_by(&self, cookie: &HeaderValue) -> bool {
        let name = cookie::name(cookie);
        self.slots.iter().any(|slot| slot.name.as_bytes() == name)
    }

    /// Returns a random free slot, or else that of the oldest login. Parallel starts see the same
    /// cookies, so a fixed choice would let one replace the other.
    fn choose_slot(&self, ages: &[Option<u32>; MAX_LOGINS]) -> (usize, &Slot) {
        let age = |number: usize| ages[number].unwrap_or(u32::MAX);
        let oldest = (0..MAX_LOGINS).map(age).max();
        let choice: Vec<usize> = (0..MAX_LOGINS)
            .filter(|&number| Some(age(number)) == oldest)
            .collect();
        let [random] = random_bytes();
        let number = choice[usize::from(random) % choice.len()];
        (number, &self.slots[number])
    }

    /// Returns the value of each login cookie of the browser.
    fn values<'h>(&self, headers: &'h HeaderMap) -> [Option<&'h [u8]>; MAX_LOGINS] {
        cookie::find_numbered(headers, &self.start)
    }

    fn parse_state(&self, state: &str) -> Option<(&Slot, StateKey)> {
        let (number, digest) = state.split_at_checked(1)?;
        let slot = self.slots.get(number.parse::<usize>().ok()?)?;
        let key = BASE64_URL_SAFE_NO_PAD.decode(digest).ok()?;
        Some((slot, key.try_into().ok()?))
    }

    fn unseal(&self, slot: &Slot, value: &[u8]) -> Option<LoginCookie> {
        let opened = self.seal.open(&slot.context, value, LoginCookie::read);
        opened.map(|(cookie, _)| cookie)
    }
}

fn state_key(value: &[u8]) -> StateKey {
    let mut key = StateKey::default();
    key.copy_from_slice(&digest(&SHA256, value).as_ref()[..16]);
    key
}

impl LoginCookie {
    /// Returns the time since the start plus `SKEW`, or `None` if the login has expired or starts
    /// later than in `SKEW`.
    fn age(&self, now: u32) -> Option<u32> {
        let age = now.wrapping_add(SKEW).wrapping_sub(self.started_at);
        (age < SKEW + 10 * LIFETIME.as_secs() as u32).then_some(age)
    }
}

const SKEW: u32 = 10 * CLOCK_SKEW.as_secs() as u32;

/// Returns the tenths of a second since the epoch. They wrap after 13 years.
fn tenths(time: SystemTime) -> u32 {
    (unix_millis(time) / 100) as u32
}
