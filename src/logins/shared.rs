//! A login, as seen by the requests that wait for it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::outcome::Outcome;

/// Requests that may wait for one login.
const MAX_WAITING: usize = 8;

/// A login that runs or has finished.
pub(super) struct SharedLogin {
    pub(super) code: String,
    outcome: watch::Receiver<Option<Arc<Outcome>>>,
    /// One permit for each request that may wait.
    seats: Arc<Semaphore>,
}

impl SharedLogin {
    pub(super) fn new(code: String, outcome: watch::Receiver<Option<Arc<Outcome>>>) -> Self {
        let seats = Arc::new(Semaphore::new(MAX_WAITING));
        Self {
            code,
            outcome,
            seats,
        }
    }

    /// Adds a request that waits. Returns `None` if too many do.
    pub(super) fn join(&self) -> Option<OutcomeReceiver> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        Some(OutcomeReceiver {
            outcome: self.outcome.clone(),
            _seat: seat,
        })
    }
}

/// Receives the outcome of a login for one request.
pub(crate) struct OutcomeReceiver {
    outcome: watch::Receiver<Option<Arc<Outcome>>>,
    _seat: OwnedSemaphorePermit,
}

impl OutcomeReceiver {
    /// Waits for the outcome. A running login always publishes one, even if it panics, so `None`
    /// should not occur.
    pub(crate) async fn receive(&mut self) -> Option<Arc<Outcome>> {
        let outcome = self.outcome.wait_for(Option::is_some).await;
        outcome.ok()?.clone()
    }
}
