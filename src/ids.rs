//! The ids of users: at one QQ app, across the apps of a developer, and of both app and user.

use std::{fmt, str::FromStr, sync::Arc};

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

/// The identity of a user: the id of a QQ app and the user's openid there, written
/// `<app id>:<openid>`.
///
/// It is the key for an app's users table, and [`QqUser::identity`](crate::QqUser::identity)
/// returns it. An openid alone does not name a user: one user has a different openid at each app,
/// such as the website and the phone app of one site.
///
/// An [`OpenId`] converts into an identity without an app id, which stands for the app of the layer
/// or client that gets it, and is written as the openid alone.
///
/// ```
/// use tower_qq_auth::{Identity, OpenId};
///
/// let openid = OpenId::new("CC7F5CEFEFC0EBAB9B07EB481AEBC29C")?;
/// let identity = Identity::new("1106123456", &openid)?;
/// let key = identity.to_string();
/// assert_eq!(key, "1106123456:CC7F5CEFEFC0EBAB9B07EB481AEBC29C");
/// assert_eq!(key.parse(), Ok(identity));
/// # Ok::<(), tower_qq_auth::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Empty if it stands for the app of the layer or client.
    app_id: Arc<str>,
    openid: OpenId,
}

/// The error for text that is not an [`OpenId`], a [`UnionId`] or an [`Identity`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InvalidId(&'static str);

/// The texts of [`InvalidId`].
const NO_ID: &str = "not a QQ id: expected 1 to 128 characters of [0-9A-Za-z_-]";
pub(crate) const NO_APP_ID: &str = "not the id of a QQ app: expected 1 to 20 digits";
const NO_IDENTITY: &str = "not an identity: expected `<app id>:<openid>`";

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

impl Identity {
    /// Creates the identity of a user at the QQ app `app_id`, for example from the columns of a
    /// users table.
    ///
    /// # Errors
    ///
    /// Returns an error if `app_id` is not 1 to 20 digits.
    pub fn new(app_id: &str, openid: &OpenId) -> Result<Self, InvalidId> {
        if !is_app_id(app_id) {
            return Err(InvalidId(NO_APP_ID));
        }
        let openid = openid.clone();
        Ok(Self::of_app(app_id.into(), openid))
    }

    pub(crate) fn of_app(app_id: Arc<str>, openid: OpenId) -> Self {
        Self { app_id, openid }
    }

    pub(crate) fn into_parts(self) -> (Arc<str>, OpenId) {
        (self.app_id, self.openid)
    }
}

#[cfg(feature = "revocation")]
impl Identity {
    pub(crate) fn app_id(&self) -> &str {
        &self.app_id
    }

    pub(crate) fn openid(&self) -> &OpenId {
        &self.openid
    }

    /// Sets the app if the identity has none.
    pub(crate) fn or_app(mut self, app_id: &Arc<str>) -> Self {
        if self.app_id.is_empty() {
            self.app_id = Arc::clone(app_id);
        }
        self
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

// `unwrap()` prints `Debug`, which should read as well.
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

impl From<OpenId> for Identity {
    fn from(openid: OpenId) -> Self {
        Self::of_app(Arc::default(), openid)
    }
}

impl From<&OpenId> for Identity {
    fn from(openid: &OpenId) -> Self {
        openid.clone().into()
    }
}

impl From<&Identity> for Identity {
    fn from(identity: &Identity) -> Self {
        identity.clone()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.app_id {
            "" => self.openid.fmt(f),
            app_id => write!(f, "{app_id}:{}", self.openid),
        }
    }
}

impl FromStr for Identity {
    type Err = InvalidId;

    /// Parses `<app id>:<openid>`. An openid alone is an error: an app's own ids look like one.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (app_id, openid) = text.split_once(':').ok_or(InvalidId(NO_IDENTITY))?;
        Self::new(app_id, &OpenId::new(openid)?)
    }
}
