//! Logins and the revocation list: a revocation beats every login that asked the app before it.
//!
//! 1. When the user is known, and before the app is asked, the layer reads the user's cutoff. It
//!    stamps the session later than that, so that older revocations do not end it.
//! 2. Before the session starts, the layer reads the cutoff again. A change refuses the login.

use std::time::SystemTime;

use tokio::time::Instant;

use super::{CachedList, MILLISECOND, Revocations, judge};
use crate::error::LoginError;
use crate::identity::Identity;
use crate::revocation::subject::Subject;
use crate::session::Session;
use crate::session::current::SessionStatus::Revoked;
use crate::session::id::SessionId;

/// A cutoff, if there is one. `None` if the list is unavailable and the app accepts that.
type ListAnswer = Option<Option<SystemTime>>;

/// The list's answer at the start of a login.
#[derive(Clone, Copy)]
pub(crate) struct LoginCheck {
    cutoff: ListAnswer,
    pub(crate) stamp: SystemTime,
}

impl Revocations {
    /// Asks the list about a user whose login begins at `now`. It asks about the session that the
    /// login starts, so that its first request needs no call.
    pub(crate) async fn begin_login(
        &self,
        user: &Identity,
        id: SessionId,
        now: SystemTime,
    ) -> Result<LoginCheck, LoginError> {
        let subject = Subject::new(Subject::digest_user(user), Some(id));
        let cutoff = self.ask_at_login(subject).await?;
        let later = cutoff.flatten().map(|cutoff| cutoff + MILLISECOND);
        let stamp = later.map_or(now, |later| now.max(later));
        Ok(LoginCheck { cutoff, stamp })
    }

    /// Asks the list again. Fails if the user was revoked since
    /// [`begin_login`](Self::begin_login).
    pub(crate) async fn confirm_login(
        &self,
        session: &Session,
        check: LoginCheck,
    ) -> Result<(), LoginError> {
        self.confirm(session, check.cutoff).await
    }

    /// Fails if a session was revoked since its request arrived.
    pub(crate) async fn confirm_session(&self, session: &Session) -> Result<(), LoginError> {
        self.confirm(session, None).await
    }

    async fn confirm(&self, session: &Session, before: ListAnswer) -> Result<(), LoginError> {
        let Some(cutoff) = self.ask_at_login(self.subject(session)).await? else {
            return Ok(());
        };
        let is_raised = before.is_some_and(|before| cutoff > before);
        if is_raised || judge(session, cutoff) == Revoked {
            return Err(LoginError::revoked_meanwhile());
        }
        Ok(())
    }

    async fn ask_at_login(&self, subject: Subject) -> Result<ListAnswer, LoginError> {
        let Some(CachedList { list, cache }) = &self.list else {
            return Ok(Some(None));
        };
        let asked_at = Instant::now();
        let result = self.check_call(list, subject, true).await;
        if let Some(cache) = cache {
            cache.record(subject, asked_at, &result);
        }
        match result {
            Ok(cutoff) => Ok(Some(cutoff)),
            Err(_) if self.accept_unverified => Ok(None),
            Err(_) => Err(LoginError::unverified()),
        }
    }
}
