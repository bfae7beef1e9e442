//! The names that login cookies can have.

use std::array::from_fn;

use crate::session::cookie::CookieScope;
use crate::session::seal::SEAL_BYTES;

/// Logins that one browser can have under way.
pub(super) const MAX_LOGINS: usize = 8;
/// Limit of one cookie in a `Cookie` header, with `=` and `; `. Many servers accept only 8 KiB of
/// headers.
const MAX_PAIR: usize = 500;

/// One of the names that login cookies can have.
pub(super) struct Slot {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) context: Vec<u8>,
}

impl Slot {
    /// Binds the cookies to the redirect URI too: staging and production may share keys and app id.
    pub(super) fn all(scope: &CookieScope, app_id: &str, redirect_uri: &str) -> [Self; MAX_LOGINS] {
        from_fn(|number| {
            let name = scope.full_name(&format!("login_{number}"));
            Self {
                // Another layout of the content needs another number.
                context: format!("login 2\n{name}\n{app_id}\n{redirect_uri}").into_bytes(),
                number,
                name,
            }
        })
    }

    /// Returns the number of bytes that can be sealed in a cookie of this name. They are enough for
    /// the start and 280 bytes of `return_to`, and with a prefix of up to 12 characters for an
    /// intent as well. A longer prefix and an intent leave 265.
    pub(super) fn room(&self) -> usize {
        let value = MAX_PAIR.saturating_sub(self.name.len() + "=; ".len());
        (value * 3 / 4).saturating_sub(SEAL_BYTES)
    }
}
