//! The session that a request came with.

use super::Session;

/// Says whether a session counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "revocation"), allow(dead_code))]
pub(crate) enum SessionStatus {
    Valid,
    Revoked,
    /// The revocation list is unavailable, and the app does not accept unchecked sessions.
    Unverified,
}

pub(crate) struct CurrentSession {
    /// Boxed to keep the pass-through future small.
    pub(crate) session: Option<Box<Session>>,
    pub(crate) status: SessionStatus,
}

impl CurrentSession {
    pub(crate) fn none() -> Self {
        Self {
            session: None,
            status: SessionStatus::Valid,
        }
    }

    /// Returns the session if it counts.
    pub(crate) fn valid(&self) -> Option<&Session> {
        let session = self.session.as_deref();
        session.filter(|_| self.status == SessionStatus::Valid)
    }

    pub(crate) fn is_unverified(&self) -> bool {
        self.status == SessionStatus::Unverified
    }
}
