//! The identity of a user: app and openid.

use std::{fmt, str::FromStr, sync::Arc};

use crate::ids::{InvalidId, NO_APP_ID, OpenId, is_app_id};

const NO_IDENTITY: &str = "not an identity: expected `<app id>:<openid>`";

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

    /// Parses `<app id>:<openid>`. An openid alone is an error, because an app's own user ids would
    /// pass for one.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (app_id, openid) = text.split_once(':').ok_or(InvalidId(NO_IDENTITY))?;
        Self::new(app_id, &OpenId::new(openid)?)
    }
}

impl From<Identity> for String {
    fn from(identity: Identity) -> Self {
        identity.to_string()
    }
}

impl PartialEq<str> for Identity {
    fn eq(&self, text: &str) -> bool {
        let openid = self.openid.as_str();
        match &*self.app_id {
            "" => openid == text,
            app_id => text.split_once(':') == Some((app_id, openid)),
        }
    }
}

impl PartialEq<&str> for Identity {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}
