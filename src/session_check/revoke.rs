//! Revoking sessions.

use std::time::{Duration, SystemTime};

use super::{CachedList, MILLISECOND, Revocations, with_timeout};
use crate::clock::CLOCK_SKEW;
use crate::identity::Identity;
use crate::meter;
use crate::revocation::cache::CallError;
use crate::revocation::list::RevocationError;
use crate::revocation::subject::Subject;
use crate::session::Session;
use crate::session::id::SessionId;

/// The longest time that a list has to keep an entry, whatever the lifetime of a session.
const MAX_KEEP: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl Revocations {
    /// Revokes one session, which can live for another `lifetime`. Its stamp may be unknown.
    pub(crate) async fn revoke_session(
        &self,
        user: &Identity,
        id: SessionId,
        stamp: Option<SystemTime>,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<(), RevocationError> {
        let subject = Subject::new(Subject::digest_user(user), Some(id));
        let result = async {
            let stamp = match stamp {
                Some(stamp) => stamp,
                None => self.latest_stamp(subject).await?,
            };
            self.raise(subject, stamp.max(now + CLOCK_SKEW), lifetime)
                .await
        };
        let result = result.await;
        let cache = self.list.as_ref().and_then(|list| list.cache.as_ref());
        if let (Err(RevocationError::Failed), Some(cache)) = (result, cache) {
            cache.revoke_here(subject);
        }
        result
    }

    /// Returns the latest stamp that a session of this user can have, unless its machine's clock is
    /// ahead.
    async fn latest_stamp(&self, subject: Subject) -> Result<SystemTime, RevocationError> {
        let Some(CachedList { list, .. }) = &self.list else {
            return Err(RevocationError::NoList);
        };
        let call = async { list.latest_cutoff(subject).await };
        let cutoff = note_revocation(with_timeout(self.timeout, call).await)?;
        Ok(cutoff.map_or(SystemTime::UNIX_EPOCH, |cutoff| cutoff + MILLISECOND))
    }

    /// Revokes all sessions of a user that started up to now.
    pub(crate) async fn revoke_user(
        &self,
        user: &Identity,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<(), RevocationError> {
        let subject = Subject::new(Subject::digest_user(user), None);
        // The machine that started a session may have a clock ahead of this one.
        self.raise(subject, now + CLOCK_SKEW, lifetime).await
    }

    /// Ends all sessions of a user if this one has not ended. Returns the stamp of the session that
    /// replaces it.
    pub(crate) async fn end_other_sessions(
        &self,
        session: &Session,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<SystemTime, RevocationError> {
        let Some(CachedList { list, cache }) = &self.list else {
            return Err(RevocationError::NoList);
        };
        let (subject, stamp) = (self.subject(session), session.stamp());
        let cutoff = stamp.max(now + CLOCK_SKEW);
        let keep_for = keep_for(lifetime);
        let call = async {
            list.raise_user_cutoff(subject, stamp, cutoff, keep_for)
                .await
        };
        let result = with_timeout(self.timeout, call).await;
        let cutoff = note_revocation(result)?.ok_or(RevocationError::SessionEnded)?;
        if let Some(cache) = cache {
            cache.outdate(subject);
        }
        Ok(cutoff + MILLISECOND)
    }

    async fn raise(
        &self,
        subject: Subject,
        cutoff: SystemTime,
        lifetime: Duration,
    ) -> Result<(), RevocationError> {
        let Some(CachedList { list, cache }) = &self.list else {
            return Err(RevocationError::NoList);
        };
        let call = async { list.raise_cutoff(subject, cutoff, keep_for(lifetime)).await };
        note_revocation(with_timeout(self.timeout, call).await)?;
        if let Some(cache) = cache {
            cache.outdate(subject);
        }
        Ok(())
    }
}

/// Returns the time for which a list keeps a cutoff of sessions with this lifetime: they start up
/// to the cutoff, which may be later than now.
fn keep_for(lifetime: Duration) -> Duration {
    lifetime.min(MAX_KEEP) + 3 * CLOCK_SKEW
}

/// Counts a call that revokes, and logs it if it failed.
fn note_revocation<T>(result: Result<T, CallError>) -> Result<T, RevocationError> {
    meter::revocation_list_called("revoke", result.is_ok());
    result.map_err(|error| {
        let text = error.text;
        tracing::error!("cannot store a revocation: {text}");
        RevocationError::Failed
    })
}
