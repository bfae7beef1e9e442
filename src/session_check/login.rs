//! Logins and the revocation list: a revocation beats every login that asked
//! the app before it.
//!
//! 1. When the user is known, and before the app is asked, the layer reads the user's cutoff. It
//!    stamps the session later than that, so that older revocations do not end it.
//! 2. Before the session starts, the layer reads the cutoff again. A change refuses the login.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{CachedList, Revocations};
use crate::error::LoginError;
use crate::revocation::cache::CallError;
use crate::revocation::subject::Subject;
use crate::session::Session;
use crate::session::id::SessionId;
use crate::user::OpenId;

/// The list's answer at the start of a login.
#[derive(Clone, Copy)]
pub(crate) struct LoginCheck {
    /// `None` if the list is unavailable and the app accepts that.
    cutoff: Option<Option<SystemTime>>,
    pub(crate) stamp: SystemTime,
}

impl Revocations {
    /// Asks the list about a user whose login begins at `now`.
    pub(crate) async fn begin_login(
        &self,
        user: &OpenId,
        id: SessionId,
        now: SystemTime,
    ) -> Result<LoginCheck, LoginError> {
        let cutoff = match self.ask_cutoff(user, id).await {
            Ok(cutoff) => Some(cutoff),
            Err(_) if self.accept_unverified => None,
            Err(_) => return Err(LoginError::unverified()),
        };
        let later = |cutoff| cutoff + Duration::from_millis(1);
        let stamp = cutoff
            .flatten()
            .map_or(now, |cutoff| now.max(later(cutoff)));
        Ok(LoginCheck { cutoff, stamp })
    }

    /// Asks the list again. Fails if the user was revoked since
    /// [`begin_login`](Self::begin_login).
    pub(crate) async fn confirm_login(
        &self,
        user: &OpenId,
        id: SessionId,
        check: LoginCheck,
    ) -> Result<(), LoginError> {
        match self.ask_cutoff(user, id).await {
            Ok(cutoff) => {
                let is_raised = check.cutoff.is_some_and(|before| cutoff > before);
                if is_raised || cutoff >= Some(check.stamp) {
                    return Err(LoginError::revoked_meanwhile());
                }
                Ok(())
            }
            Err(_) if self.accept_unverified => Ok(()),
            Err(_) => Err(LoginError::unverified()),
        }
    }

    /// Fails if a session was revoked since its request arrived.
    pub(crate) async fn confirm_session(&self, session: &Session) -> Result<(), LoginError> {
        match self.ask_cutoff(session.user.openid(), session.id).await {
            Ok(cutoff) if cutoff >= Some(session.stamp()) => Err(LoginError::revoked_meanwhile()),
            Ok(_) => Ok(()),
            Err(_) if self.accept_unverified => Ok(()),
            Err(_) => Err(LoginError::unverified()),
        }
    }

    /// Asks about the session that the login starts, so that its first request needs no call.
    async fn ask_cutoff(
        &self,
        user: &OpenId,
        id: SessionId,
    ) -> Result<Option<SystemTime>, CallError> {
        let Some(CachedList { list, cache }) = &self.list else {
            return Ok(None);
        };
        let subject = Subject::new(self.digest_user(user), Some(id));
        let asked_at = Instant::now();
        let result = self.check_call(list, subject, true).await;
        if let Some(cache) = cache {
            cache.record(subject, asked_at, &result);
        }
        result
    }
}
