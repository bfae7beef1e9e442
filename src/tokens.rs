//! The secrets that QQ's APIs require.

use std::{fmt, sync::Arc, time::Duration};

/// An access token, its refresh token, its lifetime and the QQ app that it belongs to.
///
/// `Debug` shows neither token.
#[derive(Clone, PartialEq, Eq)]
pub struct QqTokens {
    /// Empty if it stands for the app of the client.
    pub(crate) app_id: Arc<str>,
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) expires_in: Option<Duration>,
}

impl QqTokens {
    /// Creates tokens of the client's own app, from parts that the app has stored, or for its
    /// tests.
    pub fn new(
        access_token: impl Into<String>,
        refresh_token: Option<String>,
        expires_in: Option<Duration>,
    ) -> Self {
        Self {
            app_id: Arc::default(),
            access_token: access_token.into(),
            refresh_token,
            expires_in,
        }
    }

    /// Sets the QQ app that the tokens belong to, such as the phone app of
    /// [`QqClient::verify`](crate::QqClient::verify). By default the client's own.
    pub fn with_app_id(mut self, app_id: &str) -> Self {
        self.app_id = app_id.into();
        self
    }

    /// Returns the id of the QQ app that the tokens belong to, which every call with them names. It
    /// is empty for tokens from [`new`](Self::new), which belong to the client's own app.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// Returns the id of the QQ app that the tokens belong to: `own` if they name none.
    pub(crate) fn app_or<'a>(&'a self, own: &'a Arc<str>) -> &'a Arc<str> {
        if self.app_id.is_empty() {
            own
        } else {
            &self.app_id
        }
    }

    /// Returns the access token, a secret: it allows calls to QQ's APIs on behalf of the user.
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// Returns the refresh token, a secret that [`QqClient::refresh`](crate::QqClient::refresh) can
    /// use once.
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_deref()
    }

    /// Returns the lifetime of the access token, or `None` if QQ named none.
    ///
    /// QQ grants 60 days. For tokens kept in a session it is the time left at this request.
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
