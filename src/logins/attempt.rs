//! A login as the requests see it that wait for it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::outcome::Outcome;

/// Requests that may wait for one login.
const MAX_WAITING: usize = 8;

/// A login that runs or has finished.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) code: String,
    outcome: watch::Receiver<Option<Arc<Outcome>>>,
    seats: Arc<Semaphore>,
}

impl Attempt {
    pub(super) fn new(code: String, outcome: watch::Receiver<Option<Arc<Outcome>>>) -> Self {
        let seats = Arc::new(Semaphore::new(MAX_WAITING));
        Self {
            code,
            outcome,
            seats,
        }
    }

    /// Returns `None` if too many requests wait.
    pub(super) fn take_seat(&self) -> Option<Seat> {
        let permit = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        Some(Seat {
            outcome: self.outcome.clone(),
            _permit: permit,
        })
    }
}

/// The place of a request that waits for a login.
pub(crate) struct Seat {
    outcome: watch::Receiver<Option<Arc<Outcome>>>,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    /// Waits for the outcome. Returns `None` if the login was lost with its runtime.
    pub(crate) async fn wait(&mut self) -> Option<Arc<Outcome>> {
        let outcome = self.outcome.wait_for(Option::is_some).await;
        outcome.ok()?.clone()
    }
}
