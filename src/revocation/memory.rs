//! The revocation list of one machine.

use std::{
    cmp::max,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use moka::{Expiry, policy::EvictionPolicy, sync::Cache};
use tower::BoxError;

use super::{list::RevocationList, subject::Subject};

/// A [`RevocationList`] in the memory of this process, for a site on one machine.
///
/// It is empty after a restart. Clones share their entries.
#[derive(Clone, Debug)]
pub struct InMemoryRevocations {
    /// By session id or user digest.
    entries: Cache<[u8; 16], Entry>,
    /// Held while a cutoff is raised, because that may depend on two entries.
    raising: Arc<Mutex<()>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    cutoff: SystemTime,
    /// `None` if it exceeds what an `Instant` can hold.
    keep_until: Option<Instant>,
}

impl InMemoryRevocations {
    /// Creates an empty list for 1,000,000 entries, which take about 200 MB.
    pub fn new() -> Self {
        Self::with_capacity(1_000_000)
    }

    /// Creates an empty list for this many entries. Beyond that, the least recently used entries
    /// are evicted, and the sessions that they revoked count again.
    pub fn with_capacity(entries: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(entries)
            // The default policy may reject a new entry.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(EntryExpiry)
            .build();
        let raising = Arc::default();
        Self { entries, raising }
    }

    /// Returns the later cutoff of a session and its user.
    fn latest(&self, session: Subject) -> Option<SystemTime> {
        let cutoff = |key| self.entries.get(key).map(|entry| entry.cutoff);
        let session_cutoff = session.session().and_then(cutoff);
        max(session_cutoff, cutoff(session.user()))
    }

    /// Raises a cutoff. The caller holds `raising`.
    fn raise(&self, key: [u8; 16], cutoff: SystemTime, keep_for: Duration) -> SystemTime {
        let cutoff = max(cutoff, SystemTime::now());
        let keep_until = Instant::now().checked_add(keep_for);
        let entry = self.entries.entry(key).and_upsert_with(|stored| {
            let Some(stored) = stored.map(moka::Entry::into_value) else {
                return Entry { cutoff, keep_until };
            };
            Entry {
                cutoff: max(cutoff, stored.cutoff + Duration::from_millis(1)),
                keep_until: stored.keep_until.zip(keep_until).map(|(a, b)| max(a, b)),
            }
        });
        entry.into_value().cutoff
    }
}

impl Default for InMemoryRevocations {
    fn default() -> Self {
        Self::new()
    }
}

impl RevocationList for InMemoryRevocations {
    const IS_LOCAL: bool = true;

    async fn latest_cutoff(&self, session: Subject) -> Result<Option<SystemTime>, BoxError> {
        Ok(self.latest(session))
    }

    async fn raise_cutoff(
        &self,
        subject: Subject,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<SystemTime, BoxError> {
        let _guard = self.raising.lock().unwrap_or_else(PoisonError::into_inner);
        let key = *subject.session().unwrap_or(subject.user());
        Ok(self.raise(key, cutoff, keep_for))
    }

    async fn raise_user_cutoff(
        &self,
        session: Subject,
        started_at: SystemTime,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<Option<SystemTime>, BoxError> {
        let _guard = self.raising.lock().unwrap_or_else(PoisonError::into_inner);
        if self.latest(session) >= Some(started_at) {
            return Ok(None);
        }
        let stored = self.raise(*session.user(), max(cutoff, started_at), keep_for);
        Ok(Some(stored))
    }
}

/// Expires entries at the time they hold.
struct EntryExpiry;

impl EntryExpiry {
    fn remaining(entry: &Entry, now: Instant) -> Option<Duration> {
        Some(entry.keep_until?.saturating_duration_since(now))
    }
}

impl Expiry<[u8; 16], Entry> for EntryExpiry {
    fn expire_after_create(&self, _: &[u8; 16], entry: &Entry, now: Instant) -> Option<Duration> {
        Self::remaining(entry, now)
    }

    fn expire_after_update(
        &self,
        _: &[u8; 16],
        entry: &Entry,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Self::remaining(entry, now)
    }
}
