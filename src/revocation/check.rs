//! Checking sessions against the list, and revoking them.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tower::BoxError;

use super::{
    cache::Answers,
    list::{ErasedList, RevocationList, UnreadableEntry},
    subject::Subject,
};
use crate::clock::CLOCK_SKEW;
use crate::config::ConfigError;
use crate::session::Session;
use crate::session::current::SessionStatus;
use crate::session::current::SessionStatus::{Revoked, Unverified, Valid};
use crate::session::sessions::Sessions;
use crate::user::OpenId;

/// The longest time that a list has to keep an entry, whatever the lifetime of a session.
const MAX_KEEP: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The revocation list of a layer, if it has one, and how the layer uses it.
pub(crate) struct Revocations {
    list: Option<List>,
    pub(crate) timeout: Duration,
    pub(crate) freshness: Duration,
    pub(crate) grace: Duration,
    pub(crate) accept_unverified: bool,
}

struct List {
    list: Arc<dyn ErasedList>,
    /// `None` for a local list, which is asked every time.
    answers: Option<Answers>,
}

/// The error for a revocation that may not be on the list.
#[derive(Debug)]
pub struct RevocationError(&'static str);

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for RevocationError {}

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
        let answers = (!list.is_local()).then(Answers::new);
        self.list = Some(List { list, answers });
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.timeout.is_zero() {
            let problem = "must be greater than zero: 0ns";
            return Err(ConfigError::new("revocation timeout", problem));
        }
        Ok(())
    }

    pub(crate) fn has_list(&self) -> bool {
        self.list.is_some()
    }

    /// Returns the status of a session if it is known without waiting.
    pub(crate) fn known_status(&self, session: &Session) -> Option<SessionStatus> {
        let Some(List { list, answers }) = &self.list else {
            return Some(Valid);
        };
        let subject = Subject::of(session);
        let Some(answers) = answers else {
            let answer = list.local_cutoff(subject)?;
            return Some(self.status(session, answer.map_err(|error| escape(&error))));
        };
        let cached = answers.get(subject);
        let cutoff_within = |age| cached.and_then(|cached| cached.within(age));
        if let Some(cutoff) = cutoff_within(self.freshness) {
            return Some(status_at(session, cutoff));
        }
        if !answers.is_backing_off() {
            return None;
        }
        Some(match cutoff_within(self.grace) {
            Some(cutoff) => status_at(session, cutoff),
            None => self.unknown_status(),
        })
    }

    /// Asks the list for the status of a session.
    pub(crate) async fn ask_status(&self, session: &Session) -> SessionStatus {
        let Some(List { list, answers }) = &self.list else {
            return Valid;
        };
        let subject = Subject::of(session);
        let call = answers.as_ref().map(Answers::call);
        let answer = self.in_time(list.latest_cutoff(subject)).await;
        let Some((answers, call)) = answers.as_ref().zip(call) else {
            return self.status(session, answer.map_err(|error| error.text));
        };
        match answer {
            Ok(cutoff) => {
                call.succeed(subject, cutoff);
                status_at(session, cutoff)
            }
            Err(error) => {
                call.fail(error.is_outage);
                let cached = answers.get(subject);
                match cached.and_then(|cached| cached.within(self.grace)) {
                    Some(cutoff) => status_at(session, cutoff),
                    None => self.status(session, Err(error.text)),
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
        let subjects = digests.map(|digest| Subject::of_user(digest, Some(session.id)));
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
        let subjects = digests.map(|digest| Subject::of_user(digest, None));
        let keep_for = sessions.settings().lifetime.min(MAX_KEEP);
        self.raise(subjects, now, keep_for).await
    }

    async fn raise(
        &self,
        subjects: impl Iterator<Item = Subject>,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<(), RevocationError> {
        const NO_LIST: &str =
            "there is no revocation list: set one with `QqAuthLayerBuilder::revocations`";
        let Some(List { list, answers }) = &self.list else {
            return Err(RevocationError(NO_LIST));
        };
        for subject in subjects {
            let raised = list.raise_cutoff(subject, cutoff, keep_for + CLOCK_SKEW);
            if let Err(FailedCall { text, .. }) = self.in_time(raised).await {
                tracing::error!("cannot put a session on the revocation list: {text}");
                return Err(RevocationError("the revocation list failed: try again"));
            }
            if let Some(answers) = answers {
                answers.forget(subject);
            }
        }
        Ok(())
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, BoxError>>,
    ) -> Result<T, FailedCall> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(|error| FailedCall {
                is_outage: !error.is::<UnreadableEntry>(),
                text: escape(&error),
            }),
            Err(_) => Err(FailedCall {
                is_outage: true,
                text: "no answer in time".to_owned(),
            }),
        }
    }

    /// Judges a session by an answer of the list. A failure is logged.
    fn status(
        &self,
        session: &Session,
        answer: Result<Option<SystemTime>, String>,
    ) -> SessionStatus {
        match answer {
            Ok(cutoff) => status_at(session, cutoff),
            Err(error) => {
                if self.accept_unverified {
                    tracing::warn!("accepted a session without the revocation list: {error}");
                } else {
                    tracing::error!("cannot check a session against the revocation list: {error}");
                }
                self.unknown_status()
            }
        }
    }

    fn unknown_status(&self) -> SessionStatus {
        match self.accept_unverified {
            true => Valid,
            false => Unverified,
        }
    }
}

struct FailedCall {
    /// `false` if only this entry is unreadable.
    is_outage: bool,
    text: String,
}

fn status_at(session: &Session, cutoff: Option<SystemTime>) -> SessionStatus {
    match cutoff {
        Some(cutoff) if session.started() <= cutoff => Revoked,
        _ => Valid,
    }
}

/// Returns the text of an error as one line of a log.
fn escape(error: &BoxError) -> String {
    error.to_string().escape_debug().to_string()
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("has_list", &self.has_list())
            .finish_non_exhaustive()
    }
}
