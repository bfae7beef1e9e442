//! The subject of a revocation.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use aws_lc_rs::digest::{SHA256, digest};

use crate::identity::Identity;
#[cfg(feature = "redis")]
use crate::random::random_bytes;
use crate::session::id::SessionId;

/// A session, or all sessions of a user, as a revocation list knows them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    user: [u8; 16],
    session: Option<[u8; 16]>,
}

impl Subject {
    pub(crate) fn new(user: [u8; 16], session: Option<SessionId>) -> Self {
        let session = session.map(|id| *id.as_bytes());
        Self { user, session }
    }

    /// Returns the digest of a user. It does not depend on the session keys, so a revocation holds
    /// when they change.
    pub(crate) fn digest_user(user: &Identity) -> [u8; 16] {
        let text = ["qq-auth", user.app_id(), user.openid().as_str()].join("\n");
        let digest = digest(&SHA256, text.as_bytes());
        let mut half = [0; 16];
        half.copy_from_slice(&digest.as_ref()[..16]);
        half
    }

    /// Creates a session that no user has, to check a list.
    #[cfg(feature = "redis")]
    pub(crate) fn random() -> Self {
        Self {
            user: random_bytes(),
            session: Some(random_bytes()),
        }
    }

    /// Returns the subject of all sessions of the user.
    pub(super) fn without_session(self) -> Self {
        let session = None;
        Self { session, ..self }
    }

    /// Returns the user: the first half of the SHA-256 of `qq-auth`, the app id and the openid,
    /// separated by line feeds.
    pub fn user(&self) -> &[u8; 16] {
        &self.user
    }

    /// Returns the id of the session, 16 random bytes, or `None` for all sessions of the user.
    pub fn session(&self) -> Option<&[u8; 16]> {
        self.session.as_ref()
    }
}

/// Ids and digests are random, so half of one is enough. Every signed-in request hashes two of
/// them.
impl Hash for Subject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let id = self.session.unwrap_or(self.user);
        state.write_u64(u128::from_be_bytes(id) as u64);
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
