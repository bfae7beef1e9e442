//! A list of revoked sessions behind a cache: what keeps most requests from asking it, and a short outage from being
//! noticed.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use moka::sync::Cache;
use tokio::time::Instant;

use super::revocation::{Answer, BadEntry, LookUp, Revocation, RevocationList, SessionIds};

/// How many sessions are remembered: 100,000 take about 20 MB.
const CAPACITY: u64 = 100_000;

/// How long a list that failed is left alone, so that not every request waits for it.
const PAUSE: Duration = Duration::from_secs(1);

/// A list that took this long and was given up has failed.
const SLOW: Duration = Duration::from_millis(250);

/// A [`RevocationList`] in front of another: answers are good for a few seconds, and for longer while there are no
/// others.
#[derive(Clone)]
#[must_use = "a list does nothing until a layer has it"]
pub struct CachedRevocations<L> {
    list: Arc<L>,
    answers: Cache<SessionIds, Known>,
    failed: Arc<Mutex<Option<Instant>>>,
    /// When this machine last revoked something: an answer that was asked for before is not kept.
    revoked: Arc<Mutex<Option<Instant>>>,
    fresh_for: Duration,
    grace: Duration,
}

#[derive(Clone, Copy)]
struct Known {
    cutoff: Option<SystemTime>,
    since: Instant,
}

impl<L: RevocationList> CachedRevocations<L> {
    /// A cache in front of `list`: answers are fresh for 3 seconds, and serve for 60 while there are no others.
    pub fn new(list: L) -> Self {
        Self {
            list: Arc::new(list),
            answers: Cache::new(CAPACITY),
            failed: Arc::default(),
            revoked: Arc::default(),
            fresh_for: Duration::from_secs(3),
            grace: Duration::from_secs(60),
        }
    }

    /// How long an answer serves without asking again: the time that a revocation takes to reach this machine. By default
    /// 3 seconds.
    pub fn fresh_for(mut self, time: Duration) -> Self {
        self.fresh_for = time;
        self
    }

    /// How long an answer serves while the list cannot be asked. By default 60 seconds.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }
}

impl<L: RevocationList> RevocationList for CachedRevocations<L> {
    fn look_up(&self, session: SessionIds) -> LookUp {
        let known = self.answers.get(&session);
        if let Some(known) = known.filter(|known| known.since.elapsed() < self.fresh_for) {
            return LookUp::Known(known.cutoff);
        }
        let stale = known
            .filter(|known| known.since.elapsed() < self.grace)
            .map(|known| known.cutoff);
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_some_and(|failed| failed.elapsed() < PAUSE) {
            return match stale {
                Some(cutoff) => LookUp::Known(cutoff),
                None => {
                    let answer = Box::pin(async { Err("it failed a moment ago".into()) });
                    LookUp::Asking { stale, answer }
                }
            };
        }
        let since = Instant::now();
        let answer = match self.list.look_up(session) {
            LookUp::Known(cutoff) => return LookUp::Known(cutoff),
            LookUp::Asking { answer, .. } => answer,
        };
        let (answers, revoked) = (self.answers.clone(), Arc::clone(&self.revoked));
        let attempt = Attempt {
            failed: Arc::clone(&self.failed),
            since,
            succeeded: None,
        };
        LookUp::Asking {
            stale,
            answer: Box::pin(async move {
                let answer = answer.await;
                // An entry that cannot be read is one session's trouble, not the list's.
                let failed = answer.as_ref().is_err_and(|error| !error.is::<BadEntry>());
                attempt.ended(!failed);
                let cutoff = answer?;
                let revoked = revoked.lock().unwrap_or_else(PoisonError::into_inner);
                if revoked.is_none_or(|revoked| revoked < since) {
                    answers.insert(session, Known { cutoff, since });
                }
                Ok(cutoff)
            }),
        }
    }

    fn revoke(&self, revocation: Revocation) -> Answer<()> {
        let revoked = self.list.revoke(revocation);
        let (answers, last) = (self.answers.clone(), Arc::clone(&self.revoked));
        Box::pin(async move {
            revoked.await?;
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(Instant::now());
            // What this machine has revoked it knows at once.
            match revocation.session {
                Some(session) => {
                    let user = revocation.user;
                    answers.invalidate(&SessionIds { user, session });
                }
                None => answers.invalidate_all(),
            }
            Ok(())
        })
    }
}

/// Remembers whether the list failed, also where nobody waited for the end of it.
struct Attempt {
    failed: Arc<Mutex<Option<Instant>>>,
    since: Instant,
    succeeded: Option<bool>,
}

impl Attempt {
    fn ended(mut self, succeeded: bool) {
        self.succeeded = Some(succeeded);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // A client that hung up early says nothing about the list.
        let succeeded = self
            .succeeded
            .or((self.since.elapsed() >= SLOW).then_some(false));
        if let Some(succeeded) = succeeded {
            let failed = (!succeeded).then(Instant::now);
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        }
    }
}

impl<L> fmt::Debug for CachedRevocations<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedRevocations")
            .field("fresh_for", &self.fresh_for)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}
