//! The id of a session.

use std::{fmt, str::FromStr};

use super::error::SessionError;
use crate::random::random_bytes;

/// The id of a session: 16 random bytes, written as 32 hex digits.
///
/// It is no secret: only the sealed cookie signs in. Store it for a list of a user's devices, and
/// parse it for [`revoke_session`](crate::QqAuthLayer).
///
/// ```
/// use tower_qq_auth::session::SessionId;
///
/// let id: SessionId = "0a14983ae332e8d89e40cc103202851a".parse().unwrap();
/// assert_eq!(id.to_string(), "0a14983ae332e8d89e40cc103202851a");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    pub(crate) fn random() -> Self {
        Self(random_bytes())
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SessionId {
    type Err = SessionError;

    fn from_str(id: &str) -> Result<Self, SessionError> {
        let is_hex = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u128::from_str_radix(id, 16).ok().filter(|_| is_hex);
        let id = id.map(|id| Self(id.to_be_bytes()));
        id.ok_or_else(|| SessionError::new("not the id of a session: expected 32 hex digits"))
    }
}
