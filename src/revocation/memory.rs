//! The list of revoked sessions of one machine.

use std::time::{Duration, Instant, SystemTime};

use moka::{Expiry, policy::EvictionPolicy, sync::Cache};

use super::revocation::{Answer, LookUp, Revocation, RevocationId, RevocationList, SessionIds};

/// A [`RevocationList`] in the memory of this process: for a site on one machine.
///
/// It is empty after a restart. It holds 1,000,000 entries unless told otherwise, in about 200 MB; past that those go
/// that have not been of use for longest.
#[derive(Clone, Debug)]
pub struct InMemoryRevocations {
    cutoffs: Cache<RevocationId, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    cutoff: SystemTime,
    keep: Duration,
}

impl InMemoryRevocations {
    /// An empty list for 1,000,000 entries.
    pub fn new() -> Self {
        Self::with_capacity(1_000_000)
    }

    /// An empty list for this many entries.
    pub fn with_capacity(entries: u64) -> Self {
        let cutoffs = Cache::builder()
            .max_capacity(entries)
            // The default policy may turn a new entry away.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(AtTheEnd)
            .build();
        Self { cutoffs }
    }
}

impl Default for InMemoryRevocations {
    fn default() -> Self {
        Self::new()
    }
}

impl RevocationList for InMemoryRevocations {
    fn look_up(&self, session: SessionIds) -> LookUp {
        let cutoff = |id| self.cutoffs.get(&id).map(|entry| entry.cutoff);
        LookUp::Known(cutoff(session.session).max(cutoff(session.user)))
    }

    fn revoke(&self, revocation: Revocation) -> Answer<()> {
        let (cutoff, keep) = (revocation.cutoff, revocation.keep);
        let id = revocation.session.unwrap_or(revocation.user);
        self.cutoffs.insert(id, Entry { cutoff, keep });
        Box::pin(async { Ok(()) })
    }
}

struct AtTheEnd;

impl Expiry<RevocationId, Entry> for AtTheEnd {
    fn expire_after_create(&self, _: &RevocationId, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.keep)
    }

    fn expire_after_update(
        &self,
        _: &RevocationId,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.keep)
    }
}
