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
/// It is empty after a restart, so sessions that were revoked before count again. Clones share
/// their entries.
#[derive(Clone, Debug)]
pub struct InMemoryRevocations {
    entries: Cache<Subject, Entry>,
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
        let cutoff = |subject| self.entries.get(&subject).map(|entry| entry.cutoff);
        max(cutoff(session), cutoff(session.without_session()))
    }

    /// Raises a cutoff. The caller holds `raising`.
    fn raise(&self, subject: Subject, cutoff: SystemTime, keep_for: Duration) -> SystemTime {
        let cutoff = max(cutoff, SystemTime::now());
        let keep_until = Instant::now().checked_add(keep_for);
        let entry = self.entries.entry(subject).and_upsert_with(|stored| {
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
        Ok(self.raise(subject, cutoff, keep_for))
    }

    async fn raise_user_cutoff(
        &self,
        session: Subject,
        stamp: SystemTime,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<Option<SystemTime>, BoxError> {
        let _guard = self.raising.lock().unwrap_or_else(PoisonError::into_inner);
        if self.latest(session) >= Some(stamp) {
            return Ok(None);
        }
        let (user, cutoff) = (session.without_session(), max(cutoff, stamp));
        Ok(Some(self.raise(user, cutoff, keep_for)))
    }
}

/// Expires entries at the time they hold.
struct EntryExpiry;

impl EntryExpiry {
    fn remaining(entry: &Entry, now: Instant) -> Option<Duration> {
        Some(entry.keep_until?.saturating_duration_since(now))
    }
}

impl Expiry<Subject, Entry> for EntryExpiry {
    fn expire_after_create(&self, _: &Subject, entry: &Entry, now: Instant) -> Option<Duration> {
        Self::remaining(entry, now)
    }

    fn expire_after_update(
        &self,
        _: &Subject,
        entry: &Entry,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Self::remaining(entry, now)
    }
}
