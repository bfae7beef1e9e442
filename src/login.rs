//! The result of a login.

use serde_json::{Map, Value};

use crate::session::id::SessionId;
use crate::tokens::QqTokens;
use crate::user::QqUser;

/// The result of a login: the user, QQ's whole profile, and the tokens.
#[derive(Clone, Debug)]
pub struct QqLogin {
    user: QqUser,
    profile: Option<Map<String, Value>>,
    tokens: QqTokens,
    return_to: String,
    intent: Option<String>,
    session_id: Option<SessionId>,
}

impl QqLogin {
    pub(crate) fn new(user: QqUser, profile: Option<Map<String, Value>>, tokens: QqTokens) -> Self {
        Self {
            user,
            profile,
            tokens,
            return_to: "/".into(),
            intent: None,
            session_id: None,
        }
    }

    pub(crate) fn with_return_to(self, return_to: String) -> Self {
        Self { return_to, ..self }
    }

    pub(crate) fn with_intent(self, intent: Option<String>) -> Self {
        Self { intent, ..self }
    }

    pub(crate) fn with_session_id(self, id: SessionId) -> Self {
        let session_id = Some(id);
        Self { session_id, ..self }
    }

    /// Returns the user.
    pub fn user(&self) -> &QqUser {
        &self.user
    }

    /// Returns the reply of `get_user_info` as QQ sent it, or `None` if QQ gave no profile.
    ///
    /// Since 2022 `gender`, `province`, `city` and `year` are placeholders, not facts.
    pub fn profile(&self) -> Option<&Map<String, Value>> {
        self.profile.as_ref()
    }

    /// Returns the tokens for calls to QQ's other APIs.
    pub fn tokens(&self) -> &QqTokens {
        &self.tokens
    }

    /// Returns the page at which the login ends: a path of the site, with the public prefix, or a
    /// URL of a [trusted origin](crate::QqAuthLayerBuilder::trusted_origins).
    ///
    /// It is `/` for the login of a bare [`QqClient`](crate::QqClient).
    pub fn return_to(&self) -> &str {
        &self.return_to
    }

    /// Returns the purpose of a login that was started with `?intent=…`: see
    /// [`account_of`](crate::QqAuthLayerBuilder::account_of).
    pub fn intent(&self) -> Option<&str> {
        self.intent.as_deref()
    }

    /// Returns the id of the session that the login starts, for an app that lists the devices of
    /// its users: see [`QqSession::id`](crate::QqSession::id).
    ///
    /// It is `None` for the login of a bare [`QqClient`](crate::QqClient), and with
    /// [`without_session`](crate::QqAuthLayerBuilder::without_session).
    pub fn session_id(&self) -> Option<SessionId> {
        self.session_id
    }
}
