//! A cache of the list's answers: it spares most requests a call and bridges short outages.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use moka::sync::Cache;
use tokio::time::Instant;

use super::subject::Subject;

/// Cached sessions; 100,000 take about 20 MB.
const CAPACITY: u64 = 100_000;

/// Pause after a failed call, so that not every request waits for a list that is down.
const BACK_OFF: Duration = Duration::from_secs(1);

pub(crate) struct AnswerCache {
    answers: Cache<Subject, Answer>,
    failed_at: Mutex<Option<Instant>>,
    /// The time of the last revocation by this machine. Answers asked for earlier are not cached.
    revoked_at: Mutex<Option<Instant>>,
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
            failed_at: Mutex::default(),
            revoked_at: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, session: Subject) -> Option<Answer> {
        self.answers.get(&session)
    }

    pub(crate) fn is_backing_off(&self) -> bool {
        lock(&self.failed_at).is_some_and(|failed_at| failed_at.elapsed() < BACK_OFF)
    }

    /// Starts a call of the list. If it is dropped after half of its `timeout`, it counts as
    /// failed.
    pub(crate) fn start_call(&self, timeout: Duration) -> ListCall<'_> {
        ListCall {
            cache: self,
            asked_at: Instant::now(),
            slow_after: timeout / 2,
            has_failed: None,
        }
    }

    /// Removes the answers that this revocation outdates.
    pub(crate) fn invalidate(&self, subject: Subject) {
        let mut revoked_at = lock(&self.revoked_at);
        *revoked_at = Some(Instant::now());
        match subject.session() {
            Some(_) => self.answers.invalidate(&subject),
            None => self.answers.invalidate_all(),
        }
    }
}

/// A call of the list. It remembers whether the list failed, even if it is dropped.
pub(crate) struct ListCall<'c> {
    cache: &'c AnswerCache,
    asked_at: Instant,
    slow_after: Duration,
    has_failed: Option<bool>,
}

impl ListCall<'_> {
    pub(crate) fn succeed(mut self, session: Subject, cutoff: Option<SystemTime>) {
        self.has_failed = Some(false);
        let asked_at = self.asked_at;
        let revoked_at = lock(&self.cache.revoked_at);
        if revoked_at.is_none_or(|revoked_at| revoked_at < asked_at) {
            let answer = Answer { cutoff, asked_at };
            self.cache.answers.insert(session, answer);
        }
    }

    /// `is_outage` is `false` if the failure concerns this session alone.
    pub(crate) fn fail(mut self, is_outage: bool) {
        self.has_failed = Some(is_outage);
    }
}

impl Drop for ListCall<'_> {
    fn drop(&mut self) {
        // A client that left early says nothing about the list.
        let is_slow = self.asked_at.elapsed() >= self.slow_after;
        if let Some(has_failed) = self.has_failed.or(is_slow.then_some(true)) {
            *lock(&self.cache.failed_at) = has_failed.then(Instant::now);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
