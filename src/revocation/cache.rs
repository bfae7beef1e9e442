//! Answers of a revocation list: most requests need not ask it, and a short outage goes unnoticed.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use moka::sync::Cache;
use tokio::time::Instant;

use super::subject::Subject;

/// Cached sessions; 100,000 take about 20 MB.
const CAPACITY: u64 = 100_000;

/// Pause after a failed call, so that not every request waits for a list that is down.
const BACK_OFF: Duration = Duration::from_secs(1);

/// A call that took this long and was dropped counts as failed.
const SLOW: Duration = Duration::from_millis(250);

pub(super) struct Answers {
    cutoffs: Cache<Subject, CachedCutoff>,
    failed_at: Mutex<Option<Instant>>,
    /// The time of the last revocation by this machine. Older answers are not cached.
    revoked_at: Mutex<Option<Instant>>,
}

#[derive(Clone, Copy)]
pub(super) struct CachedCutoff {
    cutoff: Option<SystemTime>,
    asked_at: Instant,
}

impl CachedCutoff {
    /// Returns the cutoff if it is younger than `age`.
    pub(super) fn within(self, age: Duration) -> Option<Option<SystemTime>> {
        (self.asked_at.elapsed() < age).then_some(self.cutoff)
    }
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            cutoffs: Cache::new(CAPACITY),
            failed_at: Mutex::default(),
            revoked_at: Mutex::default(),
        }
    }

    pub(super) fn get(&self, session: Subject) -> Option<CachedCutoff> {
        self.cutoffs.get(&session)
    }

    pub(super) fn is_backing_off(&self) -> bool {
        let failed_at = *self
            .failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failed_at.is_some_and(|failed_at| failed_at.elapsed() < BACK_OFF)
    }

    /// Starts a call of the list.
    pub(super) fn call(&self) -> ListCall<'_> {
        ListCall {
            answers: self,
            asked_at: Instant::now(),
            has_failed: None,
        }
    }

    /// Drops what the revocation of this subject makes outdated.
    pub(super) fn forget(&self, subject: Subject) {
        let mut revoked_at = self
            .revoked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *revoked_at = Some(Instant::now());
        match subject.session() {
            Some(_) => self.cutoffs.invalidate(&subject),
            None => self.cutoffs.invalidate_all(),
        }
    }
}

/// A call of the list that remembers whether the list failed, even if it is dropped.
pub(super) struct ListCall<'a> {
    answers: &'a Answers,
    asked_at: Instant,
    has_failed: Option<bool>,
}

impl ListCall<'_> {
    pub(super) fn succeed(mut self, session: Subject, cutoff: Option<SystemTime>) {
        self.has_failed = Some(false);
        let Answers {
            cutoffs,
            revoked_at,
            ..
        } = self.answers;
        let asked_at = self.asked_at;
        let revoked_at = revoked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if revoked_at.is_none_or(|revoked_at| revoked_at < asked_at) {
            cutoffs.insert(session, CachedCutoff { cutoff, asked_at });
        }
    }

    /// `is_outage` is `false` if the failure concerns this session alone.
    pub(super) fn fail(mut self, is_outage: bool) {
        self.has_failed = Some(is_outage);
    }
}

impl Drop for ListCall<'_> {
    fn drop(&mut self) {
        // A client that left early says nothing about the list.
        let is_slow = self.asked_at.elapsed() >= SLOW;
        let has_failed = self.has_failed.or(is_slow.then_some(true));
        if let Some(has_failed) = has_failed {
            let mut failed_at = self
                .answers
                .failed_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *failed_at = has_failed.then(Instant::now);
        }
    }
}
