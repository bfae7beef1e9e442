//! A signed-in user.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// A signed-in user.
///
/// [`QqAuthLayer`](crate::QqAuthLayer) puts it into the extensions of a request exactly when the
/// request is signed in. With axum it is also a handler argument: `QqUser` for pages that need a
/// user, `Option<QqUser>` for public pages.
///
/// Cloning is cheap: clones share their fields. It serializes as
/// `{"openid", "unionid", "nickname", "avatar", "profile_complete"}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QqUser(Arc<Fields>);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fields {
    openid: OpenId,
    unionid: Option<UnionId>,
    nickname: String,
    avatar: Option<String>,
    profile_complete: bool,
}

impl QqUser {
    /// Creates a user with this openid, with an empty nickname and `profile_complete` false, for an
    /// app's records and tests.
    ///
    /// ```
    /// use tower_qq_auth::{OpenId, QqUser};
    ///
    /// let openid = OpenId::new("CC7F5CEFEFC0EBAB9B07EB481AEBC29C").unwrap();
    /// let user = QqUser::new(openid).with_nickname("小明");
    /// assert_eq!(user.nickname(), "小明");
    /// ```
    pub fn new(openid: OpenId) -> Self {
        Self::from_parts(openid, None, "", None, false)
    }

    pub(crate) fn from_parts(
        openid: OpenId,
        unionid: Option<UnionId>,
        nickname: &str,
        avatar: Option<String>,
        profile_complete: bool,
    ) -> Self {
        Self(Arc::new(Fields {
            openid,
            unionid,
            nickname: nickname.to_owned(),
            avatar,
            profile_complete,
        }))
    }

    /// Sets the nickname, unchecked.
    pub fn with_nickname(mut self, nickname: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).nickname = nickname.into();
        self
    }

    /// Sets the URL of the picture, unchecked.
    pub fn with_avatar(mut self, url: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).avatar = Some(url.into());
        self
    }

    /// Sets the UnionID.
    pub fn with_unionid(mut self, unionid: UnionId) -> Self {
        Arc::make_mut(&mut self.0).unionid = Some(unionid);
        self
    }

    /// Sets whether the profile is complete.
    pub fn with_profile_complete(mut self, complete: bool) -> Self {
        Arc::make_mut(&mut self.0).profile_complete = complete;
        self
    }

    /// Returns the openid, the key for an app's users table.
    ///
    /// A user has the same openid at every login to one QQ app, and a different one at every other
    /// QQ app.
    pub fn openid(&self) -> &OpenId {
        &self.0.openid
    }

    /// Returns the UnionID, one id across all QQ apps of a developer, if the app asked for it
    /// ([`request_union_id`](crate::QqAppBuilder::request_union_id)) and QQ granted it.
    ///
    /// Never use it in place of the openid: it comes and goes with a permission of the QQ app.
    pub fn unionid(&self) -> Option<&UnionId> {
        self.0.unionid.as_ref()
    }

    /// Returns the nickname at the last login: at most 256 bytes, without control characters and
    /// bidirectional formatting.
    ///
    /// It may be empty, or `qzuser` or `qquser` if the user withheld it or QQ has not approved the
    /// app yet. One that shows nothing, or that cannot be read, is empty.
    /// Users choose it freely: escape it in HTML, as every template engine does.
    pub fn nickname(&self) -> &str {
        &self.0.nickname
    }

    /// Returns the URL of the user's picture. After a login it is always `https`, has at most
    /// 512 bytes, and only `&` in it needs escaping inside an HTML attribute.
    pub fn avatar(&self) -> Option<&str> {
        self.0.avatar.as_deref()
    }

    /// Returns whether QQ gave a real profile at the login.
    ///
    /// `false` if QQ gave no profile (the user is then signed in by openid alone), if QQ marked it
    /// as incomplete, or if the nickname is empty or one of the placeholders `qzuser` and `qquser`.
    pub fn profile_complete(&self) -> bool {
        self.0.profile_complete
    }
}

impl fmt::Debug for QqUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QqUser")
            .field("openid", &self.0.openid.as_str())
            .field("nickname", &self.0.nickname)
            .finish_non_exhaustive()
    }
}

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

/// The error for text that is not an [`OpenId`] or a [`UnionId`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InvalidId(());

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

fn check(id: String) -> Result<String, InvalidId> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    // Without an early exit the loop is vectorized; every signed-in request reads an id.
    let is_valid = id
        .bytes()
        .fold(true, |valid, byte| valid & is_allowed(byte));
    if is_valid && (1..=128).contains(&id.len()) {
        Ok(id)
    } else {
        Err(InvalidId(()))
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
        f.write_str("not a QQ id: expected 1 to 128 characters of [0-9A-Za-z_-]")
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
