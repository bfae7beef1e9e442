//! A login that the browser has started.

use crate::random::is_url_safe;
use crate::return_to::ReturnTo;

/// The destination and the purpose of a login.
#[derive(Clone, Debug)]
pub(crate) struct PendingLogin {
    pub(crate) return_to: ReturnTo,
    pub(crate) intent: Option<Intent>,
    /// `false` if the session is to end with the browser.
    pub(crate) is_remembered: bool,
    /// `true` if it ends in a window of its own.
    pub(crate) is_popup: bool,
}

impl PendingLogin {
    /// Creates a remembered login without an intent that ends at `return_to`.
    pub(crate) fn to(return_to: ReturnTo) -> Self {
        Self {
            return_to,
            intent: None,
            is_remembered: true,
            is_popup: false,
        }
    }
}

/// The purpose of a login that changes an account, such as `bind`.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    pub(crate) name: String,
    /// A digest of the account for which the login was started.
    pub(crate) account: [u8; 16],
}

impl Intent {
    /// Returns whether a text can name an intent.
    pub(crate) fn is_name(text: &str) -> bool {
        (1..=32).contains(&text.len()) && is_url_safe(text.as_bytes())
    }
}
