//! The session that a request came with, and its status.

use super::Session;

/// The status of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "revocation"), allow(dead_code))]
pub(crate) enum SessionStatus {
    Valid,
    Revoked,
    /// The revocation list is unavailable, and the app does not accept unchecked sessions.
    Unverified,
}

/// The session of a request, if it has one. Boxed to keep the pass-through future small.
pub(crate) enum CurrentSession {
    None,
    Valid(Box<Session>),
    Revoked(Box<Session>),
    Unverified(Box<Session>),
}

impl CurrentSession {
    pub(crate) fn new(session: Box<Session>, status: SessionStatus) -> Self {
        match status {
            SessionStatus::Valid => Self::Valid(session),
            SessionStatus::Revoked => Self::Revoked(session),
            SessionStatus::Unverified => Self::Unverified(session),
        }
    }

    /// Returns the session if it counts.
    pub(crate) fn valid(&self) -> Option<&Session> {
        match self {
            Self::Valid(session) => Some(session),
            Self::None | Self::Revoked(_) | Self::Unverified(_) => None,
        }
    }

    pub(crate) fn is_unverified(&self) -> bool {
        matches!(self, Self::Unverified(_))
    }

    /// Returns the session whatever its status.
    pub(crate) fn into_session(self) -> Option<Box<Session>> {
        match self {
            Self::None => None,
            Self::Valid(session) | Self::Revoked(session) | Self::Unverified(session) => {
                Some(session)
            }
        }
    }
}
