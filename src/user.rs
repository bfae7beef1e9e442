//! Who somebody is.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// A person who is signed in with QQ.
///
/// [`QqAuthLayer`](crate::QqAuthLayer) puts it into the extensions of a request exactly when that request is signed
/// in. With axum it is also a handler argument: `QqUser` for pages that need somebody, `Option<QqUser>` for pages that
/// do not.
///
/// Cloning is cheap: the fields are shared. It serialises as
/// `{"openid", "unionid", "nickname", "avatar", "profile_complete"}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QqUser(#[serde(with = "shared")] Arc<Fields>);

/// Their order is a part of the layout of session cookies.
#[derive(PartialEq, Eq, Clone, Serialize, Deserialize)]
struct Fields {
    openid: OpenId,
    unionid: Option<UnionId>,
    nickname: String,
    avatar: Option<String>,
    profile_complete: bool,
}

impl QqUser {
    /// A person of whom nothing but the openid is known.
    ///
    /// The layer makes the users of a running site; this is for an app's own records and tests.
    ///
    /// ```
    /// use tower_qq_auth::{OpenId, QqUser};
    ///
    /// let user = QqUser::new(OpenId::new("CC7F5CEFEFC0EBAB9B07EB481AEBC29C").unwrap()).with_nickname("小明");
    /// assert_eq!(user.nickname(), "小明");
    /// ```
    pub fn new(openid: OpenId) -> Self {
        Self(Arc::new(Fields {
            openid,
            unionid: None,
            nickname: String::new(),
            avatar: None,
            profile_complete: false,
        }))
    }

    /// The same person with this nickname, which is taken as it is.
    pub fn with_nickname(mut self, nickname: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).nickname = nickname.into();
        self
    }

    /// The same person with this picture, which is taken as it is.
    pub fn with_avatar(mut self, url: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).avatar = Some(url.into());
        self
    }

    /// The same person with this UnionID.
    pub fn with_unionid(mut self, unionid: UnionId) -> Self {
        Arc::make_mut(&mut self.0).unionid = Some(unionid);
        self
    }

    /// The same person, with a profile that is complete or not.
    pub fn with_profile_complete(mut self, complete: bool) -> Self {
        Arc::make_mut(&mut self.0).profile_complete = complete;
        self
    }

    /// Who this is: the key for an app's users table.
    ///
    /// The same person has the same openid at every login to one QQ app, and another one at every other QQ app.
    pub fn openid(&self) -> &OpenId {
        &self.0.openid
    }

    /// One id across all QQ apps of one developer, if it was asked for
    /// ([`QqApp::union_id`](crate::QqApp::union_id)) and QQ granted it.
    ///
    /// Never use it in the openid's place: it comes and goes with a permission of the QQ app.
    pub fn unionid(&self) -> Option<&UnionId> {
        self.0.unionid.as_ref()
    }

    /// The nickname at the last login, without control and bidirectional formatting characters, at most 256 bytes.
    ///
    /// May be empty, or `qzuser` where the person kept it back or the QQ app is not approved yet. It is text chosen by
    /// a stranger: escape it in HTML, as every template engine does.
    pub fn nickname(&self) -> &str {
        &self.0.nickname
    }

    /// The address of the person's picture. From a login it is always `https`, and made of characters that are safe inside
    /// an HTML attribute but for `&`.
    pub fn avatar(&self) -> Option<&str> {
        self.0.avatar.as_deref()
    }

    /// Whether QQ gave a real profile at the login.
    ///
    /// `false` when QQ's profile could not be had (the person is signed in by openid alone), when QQ marked it as
    /// incomplete, and when the nickname is missing or QQ's placeholder `qzuser`.
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

mod shared {
    use super::{Arc, Deserialize, Fields, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(
        fields: &Arc<Fields>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        Fields::serialize(fields, to)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<Fields>, D::Error> {
        Fields::deserialize(from).map(Arc::new)
    }
}

/// The id of a person at one QQ app: 1 to 128 characters of `[0-9A-Za-z_-]`, in practice 32 upper-case hex digits.
///
/// Opaque; compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OpenId(String);

/// The id of a person across all QQ apps of one developer: 1 to 128 characters of `[0-9A-Za-z_-]`, in practice `UID_`
/// and 32 upper-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnionId(String);

/// A text that cannot be an [`OpenId`] or a [`UnionId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId(());

impl OpenId {
    /// Takes an id as QQ writes it.
    ///
    /// # Errors
    ///
    /// If it is empty, longer than 128 bytes or holds anything but `[0-9A-Za-z_-]`.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidId> {
        checked(id.into()).map(Self)
    }

    /// The id as QQ writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UnionId {
    /// Takes an id as QQ writes it.
    ///
    /// # Errors
    ///
    /// If it is empty, longer than 128 bytes or holds anything but `[0-9A-Za-z_-]`.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidId> {
        checked(id.into()).map(Self)
    }

    /// The id as QQ writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn checked(id: String) -> Result<String, InvalidId> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    // Without an end at the first that is wrong, many bytes are looked at together: each request reads an id.
    let good = id.bytes().fold(true, |good, byte| good & allowed(byte));
    if good && (1..=128).contains(&id.len()) {
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
        f.write_str("not an id of QQ: expected 1 to 128 characters of [0-9A-Za-z_-]")
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
