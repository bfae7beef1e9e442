//! The error of a session, and the check of an account.

use std::fmt;

/// The limit of an account in bytes.
const MAX_ACCOUNT: usize = 256;

/// The error of a change that a session cannot take, or of text that is not a
/// [`SessionId`](super::SessionId).
#[derive(Clone, PartialEq, Eq)]
pub struct SessionError(String);

impl SessionError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// `unwrap()` prints `Debug`, which should be readable too.
impl fmt::Debug for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SessionError {}

/// Checks an account of the app.
pub(crate) fn check_account(account: &str) -> Result<(), SessionError> {
    if (1..=MAX_ACCOUNT).contains(&account.len()) {
        return Ok(());
    }
    let length = account.len();
    let text = format!("the account must have 1 to {MAX_ACCOUNT} bytes: it has {length}");
    Err(SessionError::new(text))
}
