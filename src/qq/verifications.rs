//! The limits that the verifications of one client share: of their number and of their log lines.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::LoginError;
use crate::events::log_unverified_token;
use crate::log_limit::LogLimit;

const MAX_RUNNING: usize = 64;

pub(super) struct Verifications {
    /// One permit for each verification that may run.
    places: Semaphore,
    log_limit: LogLimit,
}

impl Default for Verifications {
    fn default() -> Self {
        Self {
            places: Semaphore::new(MAX_RUNNING),
            log_limit: LogLimit::default(),
        }
    }
}

impl Verifications {
    /// Takes a place until the permit is dropped.
    pub(super) fn enter(&self) -> Result<SemaphorePermit<'_>, LoginError> {
        let place = self.places.try_acquire();
        place.map_err(|_| LoginError::overloaded("too many tokens are being verified"))
    }

    pub(super) fn log(&self, error: &LoginError) {
        log_unverified_token(error, &self.log_limit);
    }
}
