//! The session that a request came with, and its status.

use std::sync::Arc;

use super::Session;

/// The status of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "revocation"), allow(dead_code))]
pub(crate) enum SessionStatus {
    Valid,
    /// Accepted while the revocation list is unavailable: by an older answer, or unchecked.
    Assumed,
    Revoked,
    /// The revocation list is unavailable, and the app does not accept unchecked sessions.
    Unverified,
}

/// The session of a request, if it has one.
pub(crate) struct CurrentSession(Option<(Arc<Session>, SessionStatus)>);

impl CurrentSession {
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn new(session: Arc<Session>, status: SessionStatus) -> Self {
        Self(Some((session, status)))
    }

    /// Returns the session if it counts.
    pub(crate) fn valid(&self) -> Option<&Arc<Session>> {
        match &self.0 {
            Some((session, SessionStatus::Valid | SessionStatus::Assumed)) => Some(session),
            _ => None,
        }
    }

    /// Returns whether the session is valid without assumptions. Only then it may be renewed.
    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(&self.0, Some((_, SessionStatus::Valid)))
    }

    pub(crate) fn is_unverified(&self) -> bool {
        matches!(&self.0, Some((_, SessionStatus::Unverified)))
    }

    /// Returns the session unless it is revoked, so that something is left to end.
    pub(crate) fn unrevoked(&self) -> Option<&Arc<Session>> {
        match &self.0 {
            Some((session, status)) if *status != SessionStatus::Revoked => Some(session),
            _ => None,
        }
    }
}
