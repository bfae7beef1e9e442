//! A cache of the list's answers: it spares most requests a call and bridges short outages.
//!
//! 1. Requests that ask about one session at the same time share one call.
//! 2. After a failed call the list is asked once a second, by one request; all others make do with
//!    what the cache holds.
//! 3. A revocation by this machine outdates the answers about its user that were asked for earlier.
//! 4. A session whose revocation could not be stored stays revoked on this machine, for a day at
//!    most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use moka::sync::Cache;
use tokio::{sync::watch, time::Instant};
use tower::BoxError;

use super::{list::UnreadableEntry, subject::Subject};

/// Cached sessions; 100,000 take about 20 MB.
const CAPACITY: u64 = 100_000;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Pause after a failed call, so that not every request waits for a list that is down.
const BACK_OFF: Duration = Duration::from_secs(1);

/// The result of a call of the list.
pub(crate) type CallResult = Result<Option<SystemTime>, CallError>;

/// The error of a failed call.
#[derive(Clone)]
pub(crate) struct CallError {
    /// `false` if only this entry is unreadable.
    pub(crate) is_outage: bool,
    /// One line for the log.
    pub(crate) text: String,
}

impl CallError {
    pub(crate) fn new(error: BoxError) -> Self {
        Self {
            is_outage: !error.is::<UnreadableEntry>(),
            text: error.to_string().escape_debug().to_string(),
        }
    }
}

pub(crate) struct AnswerCache {
    answers: Cache<Subject, Answer>,
    /// The time of the last revocation by this machine, by user.
    revoked_at: Cache<[u8; 16], Instant>,
    /// The sessions whose revocation could not be stored.
    unstored: Cache<Subject, ()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The calls under way. `None` until one is answered.
    calls: HashMap<Subject, watch::Receiver<Option<CallResult>>>,
    failed_at: Option<Instant>,
}

#[derive(Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) cutoff: Option<SystemTime>,
    asked_at: Instant,
}

impl Answer {
    pub(crate) fn is_younger_than(&self, age: Duration) -> bool {
        self.asked_at.elapsed() < age
    }
}

impl AnswerCache {
    pub(crate) fn new() -> Self {
        Self {
            answers: Cache::new(CAPACITY),
            revoked_at: Cache::new(CAPACITY),
            unstored: Cache::builder()
                .max_capacity(CAPACITY / 10)
                .time_to_live(DAY)
                .build(),
            state: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, session: Subject) -> Option<Answer> {
        let revoked_at = self.revoked_at.get(session.user());
        let is_current = |answer: &Answer| revoked_at.is_none_or(|at| at < answer.asked_at);
        self.answers.get(&session).filter(is_current)
    }

    /// Returns whether a revocation of this session could not be stored.
    pub(crate) fn is_revoked_here(&self, session: Subject) -> bool {
        self.unstored.contains_key(&session)
    }

    /// Returns whether the list may be asked now. While it fails, one request a second may.
    pub(crate) fn may_ask(&self) -> bool {
        let mut state = self.lock();
        let is_backing_off = |failed_at: Instant| failed_at.elapsed() < BACK_OFF;
        match state.failed_at {
            Some(failed_at) if is_backing_off(failed_at) => false,
            Some(_) => {
                state.failed_at = Some(Instant::now());
                true
            }
            None => true,
        }
    }

    /// Joins the call about this session, or starts one in a task of its own, so that it ends even
    /// if the client leaves. Returns `None` if the call panicked.
    pub(crate) async fn ask<F>(self: &Arc<Self>, session: Subject, call: F) -> Option<CallResult>
    where
        F: Future<Output = CallResult> + Send + 'static,
    {
        let mut result = self.join_or_start(session, call);
        let result = result.wait_for(Option::is_some).await.ok()?;
        result.clone()
    }

    fn join_or_start<F>(
        self: &Arc<Self>,
        session: Subject,
        call: F,
    ) -> watch::Receiver<Option<CallResult>>
    where
        F: Future<Output = CallResult> + Send + 'static,
    {
        let mut state = self.lock();
        if let Some(result) = state
            .calls
            .get(&session)
            .filter(|it| it.has_changed().is_ok())
        {
            return result.clone();
        }
        let (sender, result) = watch::channel(None);
        state.calls.insert(session, result.clone());
        drop(state);
        let (cache, asked_at) = (Arc::clone(self), Instant::now());
        tokio::spawn(async move {
            let result = call.await;
            cache.record(session, asked_at, &result);
            sender.send_replace(Some(result));
        });
        result
    }

    /// Keeps the result of a call.
    pub(crate) fn record(&self, session: Subject, asked_at: Instant, result: &CallResult) {
        let mut state = self.lock();
        state.calls.remove(&session);
        match result {
            &Ok(cutoff) => {
                state.failed_at = None;
                self.answers.insert(session, Answer { cutoff, asked_at });
            }
            Err(error) => state.failed_at = error.is_outage.then(Instant::now),
        }
    }

    /// Outdates the answers and the calls about the user of a revocation.
    pub(crate) fn outdate(&self, revoked: Subject) {
        self.revoked_at.insert(*revoked.user(), Instant::now());
        let mut state = self.lock();
        state
            .calls
            .retain(|session, _| session.user() != revoked.user());
    }

    /// Revokes a session on this machine alone.
    pub(crate) fn revoke_here(&self, session: Subject) {
        self.unstored.insert(session, ());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
