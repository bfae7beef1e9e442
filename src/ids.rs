//! The ids of users, at one QQ app and across the apps of a developer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The id of a user at one QQ app: 1 to 128 characters of `[0-9A-Za-z_-]`, in practice 32
/// upper-case hex digits.
///
/// It is opaque and compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OpenId(String);

/// The id of a user across all QQ apps of one developer: 1 to 128 characters of `[0-9A-Za-z_-]`, in
/// practice `UID_` and 32 upper-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnionId(String);

/// The error for text that is not an [`OpenId`], a [`UnionId`] or an
/// [`Identity`](crate::Identity).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InvalidId(pub(crate) &'static str);

// The texts of `InvalidId`.
const NO_ID: &str = "not a QQ id: expected 1 to 128 characters of [0-9A-Za-z_-]";
pub(crate) const NO_APP_ID: &str = "not the id of a QQ app: expected 1 to 20 digits";

impl OpenId {
    /// Creates an openid from the text that QQ sends.
    ///
    /// # Errors
    ///
    /// Returns an error if `id` is empty, longer than 128 bytes, or has characters other than
    /// `[0-9A-Za-z_-]`.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidId> {
        check(id.into()).map(Self)
    }

    /// Returns the openid as QQ sends it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UnionId {
    /// Creates a UnionID from the text that QQ sends.
    ///
    /// # Errors
    ///
    /// Returns an error if `id` is empty, longer than 128 bytes, or has characters other than
    /// `[0-9A-Za-z_-]`.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidId> {
        check(id.into()).map(Self)
    }

    /// Returns the UnionID as QQ sends it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(crate) fn is_app_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn check(id: String) -> Result<String, InvalidId> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    // Without an early exit the loop is vectorized; every signed-in request reads an id.
    let is_valid = id
        .bytes()
        .fold(true, |valid, byte| valid & is_allowed(byte));
    if is_valid && (1..=128).contains(&id.len()) {
        Ok(id)
    } else {
        Err(InvalidId(NO_ID))
    }
}

impl fmt::Display for OpenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UnionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

// `unwrap()` prints `Debug`, which should be readable too.
impl fmt::Debug for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for InvalidId {}

impl TryFrom<String> for OpenId {
    type Error = InvalidId;

    fn try_from(id: String) -> Result<Self, InvalidId> {
        Self::new(id)
    }
}

impl TryFrom<String> for UnionId {
    type Error = InvalidId;

    fn try_from(id: String) -> Result<Self, InvalidId> {
        Self::new(id)
    }
}

impl From<OpenId> for String {
    fn from(id: OpenId) -> Self {
        id.0
    }
}

impl From<UnionId> for String {
    fn from(id: UnionId) -> Self {
        id.0
    }
}
