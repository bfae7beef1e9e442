//! A signed-in user.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::identity::Identity;
use crate::ids::{NO_APP_ID, OpenId, UnionId, is_app_id};

/// A signed-in user.
///
/// [`QqAuthLayer`](crate::QqAuthLayer) puts it into the extensions of a request exactly when the
/// request is signed in. With axum it is also a handler argument: `QqUser` for pages that need a
/// user, `Option<QqUser>` for public pages.
///
/// Cloning is cheap: clones share their fields. It serializes as
/// `{"app_id", "openid", "unionid", "nickname", "avatar", "profile_complete"}`. Without `app_id` it
/// deserializes as a user of the layer's own app.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QqUser(Arc<Fields>);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fields {
    /// Empty if it stands for the app of the layer.
    #[serde(default, deserialize_with = "read_app_id")]
    app_id: Arc<str>,
    openid: OpenId,
    unionid: Option<UnionId>,
    nickname: String,
    avatar: Option<String>,
    profile_complete: bool,
}

impl QqUser {
    /// Creates a user with this identity, with an empty nickname and `profile_complete` false, for
    /// an app's records and tests.
    ///
    /// With an [`OpenId`] alone, the user belongs to the app of the layer that seals the session,
    /// and [`app_id`](Self::app_id) is empty until then.
    ///
    /// ```
    /// use tower_qq_auth::{OpenId, QqUser};
    ///
    /// let openid = OpenId::new("CC7F5CEFEFC0EBAB9B07EB481AEBC29C").unwrap();
    /// let user = QqUser::new(openid).with_nickname("小明");
    /// assert_eq!(user.nickname(), "小明");
    /// ```
    pub fn new(identity: impl Into<Identity>) -> Self {
        Self::from_parts(identity.into(), None, "", None, false)
    }

    pub(crate) fn from_parts(
        identity: Identity,
        unionid: Option<UnionId>,
        nickname: &str,
        avatar: Option<String>,
        profile_complete: bool,
    ) -> Self {
        let (app_id, openid) = identity.into_parts();
        Self(Arc::new(Fields {
            app_id,
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

    /// Sets the app if the user has none.
    pub(crate) fn or_app(mut self, app_id: &Arc<str>) -> Self {
        if self.0.app_id.is_empty() {
            Arc::make_mut(&mut self.0).app_id = Arc::clone(app_id);
        }
        self
    }

    /// Returns the identity of the user, `<app id>:<openid>`: the key for an app's users table.
    pub fn identity(&self) -> Identity {
        Identity::of_app(Arc::clone(&self.0.app_id), self.0.openid.clone())
    }

    /// Returns the id of the QQ app that the user has signed in to.
    ///
    /// That is the app of the layer, or after
    /// [`QqClient::verify`](crate::QqClient::verify) the phone app of the token.
    pub fn app_id(&self) -> &str {
        &self.0.app_id
    }

    pub(crate) fn shared_app_id(&self) -> &Arc<str> {
        &self.0.app_id
    }

    /// Returns the openid, the id of the user at one QQ app.
    ///
    /// A user has the same openid at every login to one QQ app, and a different one at every other
    /// QQ app. If all users come from the app of the layer, it is enough as the key of a users
    /// table; otherwise use the [`identity`](Self::identity).
    pub fn openid(&self) -> &OpenId {
        &self.0.openid
    }

    /// Returns the UnionID, one id across all QQ apps of a developer, if the app asked for it
    /// ([`request_union_id`](crate::QqAppBuilder::request_union_id)) and QQ granted it.
    ///
    /// Never use it in place of the identity: it comes and goes with a permission of the QQ app.
    pub fn unionid(&self) -> Option<&UnionId> {
        self.0.unionid.as_ref()
    }

    /// Returns the nickname at the last login: at most 256 bytes, without control characters and
    /// bidirectional formatting.
    ///
    /// It may be empty, or `qzuser` or `qquser` if the user withheld it or QQ has not approved the
    /// app yet. One that shows nothing, or that cannot be read, is empty. Users choose it freely:
    /// escape it in HTML, as every template engine does.
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
    /// `false` if QQ gave no profile (the user is then signed in without one), if QQ marked it as
    /// incomplete, or if the nickname is empty or one of the placeholders `qzuser` and `qquser`.
    pub fn profile_complete(&self) -> bool {
        self.0.profile_complete
    }
}

impl From<&QqUser> for Identity {
    fn from(user: &QqUser) -> Self {
        user.identity()
    }
}

impl fmt::Debug for QqUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QqUser")
            .field("app_id", &self.0.app_id)
            .field("openid", &self.0.openid.as_str())
            .field("nickname", &self.0.nickname)
            .finish_non_exhaustive()
    }
}

fn read_app_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    let app_id = Arc::<str>::deserialize(deserializer)?;
    if !app_id.is_empty() && !is_app_id(&app_id) {
        return Err(D::Error::custom(NO_APP_ID));
    }
    Ok(app_id)
}
