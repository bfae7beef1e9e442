//! Checking the session of a connection that stays open.
//!
//! All connections of a session on this machine share one call per refresh time. While the list is
//! unavailable, nothing ends but what is known to be revoked.

use std::time::Duration;

use super::{CachedList, Revocations, judge};
use crate::session::Session;
use crate::session::current::SessionStatus::Revoked;

impl Revocations {
    /// Returns whether a session is revoked, as far as this machine knows.
    pub(crate) async fn is_revoked(&self, session: &Session) -> bool {
        let Some(CachedList { list, cache }) = &self.list else {
            return false;
        };
        let subject = self.subject(session);
        let Some(cache) = cache else {
            // Each connection asks a local list, and a line for each would be too many.
            let result = self.check_call(list, subject, false).await;
            return result.is_ok_and(|cutoff| judge(session, cutoff) == Revoked);
        };
        if cache.is_revoked_here(subject) {
            return true;
        }
        let known = cache.get(subject);
        let is_due = known.is_none_or(|answer| !answer.is_younger_than(self.refresh_time()));
        if is_due && cache.may_ask() {
            let call = self.check_call(list, subject, true);
            if let Some(Ok(cutoff)) = cache.ask(subject, call).await {
                return judge(session, cutoff) == Revoked;
            }
        }
        known.is_some_and(|answer| judge(session, answer.cutoff) == Revoked)
    }

    /// Returns the interval at which a session is checked again while a connection stays open.
    pub(crate) fn refresh_time(&self) -> Duration {
        const SECOND: Duration = Duration::from_secs(1);
        match &self.list {
            Some(CachedList { cache: Some(_), .. }) => self.freshness.max(SECOND),
            Some(CachedList { cache: None, .. }) => SECOND,
            None => 60 * SECOND,
        }
    }
}
