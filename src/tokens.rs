//! The secrets by which QQ's APIs are asked.

use std::{fmt, time::Duration};

/// An access token and what belongs to it. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct QqTokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) expires_in: Option<Duration>,
}

impl QqTokens {
    /// Tokens as QQ would give them, for an app's own tests.
    pub fn new(
        access_token: impl Into<String>,
        refresh_token: Option<String>,
        expires_in: Option<Duration>,
    ) -> Self {
        Self {
            access_token: access_token.into(),
            refresh_token,
            expires_in,
        }
    }

    /// The secret by which [`QqClient::open_api`](crate::QqClient::open_api) asks for this person.
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// The secret for [`QqClient::refresh`](crate::QqClient::refresh); good for one use.
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_deref()
    }

    /// How long the access token is good, in practice 60 days at first; `None` if QQ did not say.
    ///
    /// It counts from the reply of QQ, or from this request for tokens that a session kept.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }
}

impl fmt::Debug for QqTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QqTokens")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}
