//! Checking sessions against the list, and revoking them.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tower::BoxError;

use crate::clock::CLOCK_SKEW;
use crate::config::ConfigError;
use crate::events::log_user_revoked;
use crate::revocation::cache::AnswerCache;
use crate::revocation::list::{ErasedList, RevocationError, RevocationList, UnreadableEntry};
use crate::revocation::subject::Subject;
use crate::session::Session;
use crate::session::current::SessionStatus;
use crate::session::current::SessionStatus::{Revoked, Unverified, Valid};
use crate::session::sessions::Sessions;
use crate::user::OpenId;

/// The longest time that a list has to keep an entry, whatever the lifetime of a session.
const MAX_KEEP: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The revocation list of a layer, if it has one, and how the layer uses it.
pub(crate) struct Revocations {
    list: Option<CachedList>,
    pub(crate) timeout: Duration,
    pub(crate) freshness: Duration,
    pub(crate) grace: Duration,
    pub(crate) accept_unverified: bool,
}

struct CachedList {
    list: Arc<dyn ErasedList>,
    /// `None` for a local list, which is asked every time.
    cache: Option<AnswerCache>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            list: None,
            timeout: Duration::from_millis(500),
            freshness: Duration::from_secs(3),
            grace: Duration::from_secs(60),
            accept_unverified: false,
        }
    }
}

impl Revocations {
    pub(crate) fn set_list(&mut self, list: impl RevocationList) {
        let list: Arc<dyn ErasedList> = Arc::new(list);
        let cache = (!list.is_local()).then(AnswerCache::new);
        self.list = Some(CachedList { list, cache });
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.timeout.is_zero() {
            let problem = "must be greater than zero: 0ns";
            return Err(ConfigError::new("revocation timeout", problem));
        }
        Ok(())
    }

    fn has_list(&self) -> bool {
        self.list.is_some()
    }

    /// Returns the status of a session if it is known without waiting.
    pub(crate) fn known_status(&self, session: &Session) -> Option<SessionStatus> {
        let Some(CachedList { list, cache }) = &self.list else {
            return Some(Valid);
        };
        let subject = Subject::of(session);
        let Some(cache) = cache else {
            let answer = list.local_cutoff(subject)?;
            return Some(match answer {
                Ok(cutoff) => judge(session, cutoff),
                Err(error) => self.fall_back(&to_log_line(&error)),
            });
        };
        let cached = cache.get(subject);
        let within = |age| cached.filter(|answer| answer.is_younger_than(age));
        if let Some(answer) = within(self.freshness) {
            return Some(judge(session, answer.cutoff));
        }
        if !cache.is_backing_off() {
            return None;
        }
        Some(match within(self.grace) {
            Some(answer) => judge(session, answer.cutoff),
            None => self.fallback_status(),
        })
    }

    /// Asks the list for the status of a session.
    pub(crate) async fn ask_status(&self, session: &Session) -> SessionStatus {
        let Some(CachedList { list, cache }) = &self.list else {
            return Valid;
        };
        let subject = Subject::of(session);
        let cache = cache.as_ref();
        let call = cache.map(|cache| cache.start_call(self.timeout));
        let answer = self.with_timeout(list.latest_cutoff(subject)).await;
        match answer {
            Ok(cutoff) => {
                if let Some(call) = call {
                    call.succeed(subject, cutoff);
                }
                judge(session, cutoff)
            }
            Err(error) => {
                if let Some(call) = call {
                    call.fail(error.is_outage);
                }
                let cached = cache.and_then(|cache| cache.get(subject));
                match cached.filter(|answer| answer.is_younger_than(self.grace)) {
                    Some(answer) => judge(session, answer.cutoff),
                    None => self.fall_back(&error.text),
                }
            }
        }
    }

    /// Revokes one session under every key of the ring, since copies may be sealed by any of them.
    pub(crate) async fn revoke_session(
        &self,
        sessions: &Sessions,
        session: &Session,
        now: SystemTime,
    ) {
        if !self.has_list() {
            return;
        }
        let ends = session.started() + sessions.settings().lifetime.min(MAX_KEEP);
        let left = ends.duration_since(now).unwrap_or_default();
        let digests = sessions.user_digests(session.user.openid());
        let subjects = digests.map(|digest| Subject::new(digest, Some(session.id)));
        // The failure is in the log, and the caller can do nothing about it.
        let _ = self.raise(subjects, now + CLOCK_SKEW, left).await;
    }

    /// Revokes all sessions of a user that started up to now.
    pub(crate) async fn revoke_user(
        &self,
        sessions: &Sessions,
        user: &OpenId,
        now: SystemTime,
    ) -> Result<(), RevocationError> {
        let digests = sessions.user_digests(user);
        let subjects = digests.map(|digest| Subject::new(digest, None));
        let keep_for = sessions.settings().lifetime.min(MAX_KEEP);
        self.raise(subjects, now, keep_for).await?;
        log_user_revoked();
        Ok(())
    }

    async fn raise(
        &self,
        subjects: impl Iterator<Item = Subject>,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<(), RevocationError> {
        const NO_LIST: &str =
            "there is no revocation list: set one with `QqAuthLayerBuilder::revocations`";
        let Some(CachedList { list, cache }) = &self.list else {
            return Err(RevocationError::new(NO_LIST));
        };
        for subject in subjects {
            let call = list.raise_cutoff(subject, cutoff, keep_for + CLOCK_SKEW);
            if let Err(FailedCall { text, .. }) = self.with_timeout(call).await {
                tracing::error!("cannot put a session on the revocation list: {text}");
                return Err(RevocationError::new(
                    "the revocation list failed: try again",
                ));
            }
            if let Some(cache) = cache {
                cache.invalidate(subject);
            }
        }
        Ok(())
    }

    async fn with_timeout<T>(
        &self,
        call: impl Future<Output = Result<T, BoxError>>,
    ) -> Result<T, FailedCall> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(|error| FailedCall {
                is_outage: !error.is::<UnreadableEntry>(),
                text: to_log_line(&error),
            }),
            Err(_) => Err(FailedCall {
                is_outage: true,
                text: "no answer in time".to_owned(),
            }),
        }
    }

    /// Logs that the list is unavailable for a session and returns the status that it gets.
    fn fall_back(&self, error: &str) -> SessionStatus {
        if self.accept_unverified {
            tracing::warn!("accepted a session without the revocation list: {error}");
        } else {
            tracing::error!("cannot check a session against the revocation list: {error}");
        }
        self.fallback_status()
    }

    fn fallback_status(&self) -> SessionStatus {
        if self.accept_unverified {
            Valid
        } else {
            Unverified
        }
    }
}

struct FailedCall {
    /// `false` if only this entry is unreadable.
    is_outage: bool,
    text: String,
}

/// Judges a session by the cutoff of the list.
fn judge(session: &Session, cutoff: Option<SystemTime>) -> SessionStatus {
    match cutoff {
        Some(cutoff) if session.started() <= cutoff => Revoked,
        _ => Valid,
    }
}

/// Returns the text of an error as one line of a log.
fn to_log_line(error: &BoxError) -> String {
    error.to_string().escape_debug().to_string()
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("has_list", &self.has_list())
            .finish_non_exhaustive()
    }
}
