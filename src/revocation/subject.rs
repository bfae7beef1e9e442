//! The subject of a revocation.

use std::fmt;

use crate::session::Session;

/// A session, or all sessions of a user, as a revocation list knows them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject {
    user: [u8; 16],
    session: Option<[u8; 16]>,
}

impl Subject {
    pub(crate) fn of(session: &Session) -> Self {
        Self {
            user: session.user_digest,
            session: Some(session.id),
        }
    }

    pub(crate) fn new(user: [u8; 16], session: Option<[u8; 16]>) -> Self {
        Self { user, session }
    }

    /// Returns the digest of the user.
    pub fn user(&self) -> &[u8; 16] {
        &self.user
    }

    /// Returns the id of the session, 16 random bytes, or `None` for all sessions of the user.
    pub fn session(&self) -> Option<&[u8; 16]> {
        self.session.as_ref()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = u128::from_be_bytes(self.user);
        write!(f, "Subject({user:032x}")?;
        if let Some(session) = self.session {
            write!(f, ":{:032x}", u128::from_be_bytes(session))?;
        }
        f.write_str(")")
    }
}
