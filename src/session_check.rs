//! Checking sessions against the revocation list.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tower::BoxError;
use tracing::{Instrument, Span};

use crate::config::ConfigError;
use crate::hooks::panics::{catch_panic, catch_panics};
use crate::identity::Identity;
use crate::meter;
use crate::revocation::cache::{Answer, AnswerCache, CallError, CallResult};
use crate::revocation::list::{ErasedList, RevocationList};
use crate::revocation::subject::Subject;
use crate::session::Session;
use crate::session::current::SessionStatus;
use crate::session::current::SessionStatus::{Assumed, Revoked, Unverified, Valid};

mod connection;
mod login;
mod revoke;

const MILLISECOND: Duration = Duration::from_millis(1);

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
    cache: Option<Arc<AnswerCache>>,
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
        let cache = (!list.is_local()).then(|| Arc::new(AnswerCache::new()));
        self.list = Some(CachedList { list, cache });
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.timeout.is_zero() {
            let problem = "must be greater than zero: 0ns";
            return Err(ConfigError::new("revocation timeout", problem));
        }
        Ok(())
    }

    /// Registers the metrics of the list, if there is one.
    pub(crate) fn register_metrics(&self) {
        if self.list.is_some() {
            meter::register_revocations();
        }
    }

    /// Returns the status of a session if it is known without waiting.
    pub(crate) fn known_status(&self, session: &Session) -> Option<SessionStatus> {
        let Some(CachedList { list, cache }) = &self.list else {
            return Some(Valid);
        };
        let subject = self.subject(session);
        let Some(cache) = cache else {
            let answer = catch_panic(|| list.local_cutoff(subject));
            let answer = answer.unwrap_or_else(|panic| Some(Err(panic)))?;
            let result = answer.map_err(CallError::new);
            if result.is_err() {
                note_check(&result, true);
            }
            return Some(self.judge_local(session, result));
        };
        if cache.is_revoked_here(subject) {
            return Some(Revoked);
        }
        let cached = cache.get(subject);
        if let Some(answer) = cached.filter(|answer| answer.is_younger_than(self.freshness)) {
            return Some(judge(session, answer.cutoff));
        }
        if cache.may_ask() {
            return None;
        }
        Some(self.status_without_call(session, cache))
    }

    /// Returns whether a session is known to be valid, without waiting and without a call of a list
    /// that is not local.
    pub(crate) fn is_known_valid(&self, session: &Session) -> bool {
        let cache = self.list.as_ref().and_then(|list| list.cache.as_ref());
        let Some(cache) = cache else {
            return self.known_status(session) == Some(Valid);
        };
        let subject = self.subject(session);
        let cached = cache.get(subject);
        let is_valid = |answer: Answer| {
            answer.is_younger_than(self.refresh_time()) && judge(session, answer.cutoff) == Valid
        };
        cached.is_some_and(is_valid) && !cache.is_revoked_here(subject)
    }

    /// Asks the list for the status of a session.
    pub(crate) async fn ask_status(&self, session: &Session) -> SessionStatus {
        let Some(CachedList { list, cache }) = &self.list else {
            return Valid;
        };
        let subject = self.subject(session);
        let call = self.check_call(list, subject, true);
        let Some(cache) = cache else {
            return self.judge_local(session, call.await);
        };
        let result = if self.freshness.is_zero() {
            // A shared call may have started before this request, and miss a revocation.
            let asked_at = Instant::now();
            let result = call.await;
            cache.record(subject, asked_at, &result);
            Some(result)
        } else {
            cache.ask(subject, call).await
        };
        match result {
            Some(Ok(cutoff)) => judge(session, cutoff),
            Some(Err(_)) | None => self.status_without_call(session, cache),
        }
    }

    /// Returns the digest of a user for the list, if there is one.
    pub(crate) fn user_digest(&self, user: &Identity) -> Option<[u8; 16]> {
        self.list.is_some().then(|| Subject::digest_user(user))
    }

    /// Calls the list in a future that can outlive the request. Without `logs`, a failure is only
    /// counted.
    fn check_call(
        &self,
        list: &Arc<dyn ErasedList>,
        subject: Subject,
        logs: bool,
    ) -> impl Future<Output = CallResult> + Send + 'static {
        let (list, timeout) = (Arc::clone(list), self.timeout);
        let call = async move {
            let call = async { list.latest_cutoff(subject).await };
            let result = with_timeout(timeout, call).await;
            note_check(&result, logs);
            result
        };
        call.instrument(Span::current())
    }

    fn judge_local(&self, session: &Session, result: CallResult) -> SessionStatus {
        match result {
            Ok(cutoff) => judge(session, cutoff),
            Err(_) => self.fallback_status(),
        }
    }

    /// Returns the status by an older answer, or the one that the settings name.
    fn status_without_call(&self, session: &Session, cache: &AnswerCache) -> SessionStatus {
        let Some(answer) = cache.get(self.subject(session)) else {
            return self.fallback_status();
        };
        // Cutoffs only rise, so a revocation counts however old the answer is.
        let is_revoked = judge(session, answer.cutoff) == Revoked;
        if !is_revoked && !answer.is_younger_than(self.grace) {
            return self.fallback_status();
        }
        meter::session_unconfirmed("grace");
        match is_revoked {
            true => Revoked,
            false => Assumed,
        }
    }

    fn fallback_status(&self) -> SessionStatus {
        if self.accept_unverified {
            meter::session_unconfirmed("accepted");
            Assumed
        } else {
            meter::session_unconfirmed("unverified");
            Unverified
        }
    }

    fn subject(&self, session: &Session) -> Subject {
        // A session from before the layer had a list holds no digest.
        let user = session.user_digest;
        let user = user.unwrap_or_else(|| Subject::digest_user(&session.user.identity()));
        Subject::new(user, Some(session.id))
    }
}

/// Judges a session by the cutoff of the list.
fn judge(session: &Session, cutoff: Option<SystemTime>) -> SessionStatus {
    match cutoff {
        Some(cutoff) if session.stamp() <= cutoff => Revoked,
        _ => Valid,
    }
}

/// Counts a call about a session, and logs it if it failed.
fn note_check(result: &CallResult, logs: bool) {
    meter::revocation_list_called("check", result.is_ok());
    if let (Err(error), true) = (result, logs) {
        let text = &error.text;
        tracing::error!("cannot check a session against the revocation list: {text}");
    }
}

async fn with_timeout<T>(
    timeout: Duration,
    call: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(timeout, catch_panics(call)).await {
        Ok(answer) => answer.map_err(CallError::new),
        Err(_) => Err(CallError {
            is_outage: true,
            text: "no answer in time".to_owned(),
        }),
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("has_list", &self.list.is_some())
            .finish_non_exhaustive()
    }
}
