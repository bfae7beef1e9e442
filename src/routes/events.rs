//! One log event and one count for each login that ended.
//!
//! The event of a failed login has the support code that its page shows.

use std::mem;
use std::time::{Duration, Instant};

use crate::clock::as_millis;
use crate::error::LoginError;
use crate::error::LoginErrorKind::{
    AudienceMismatch, Cancelled, InvalidCallback, InvalidState, Misconfigured, Refused,
};
use crate::login::QqLogin;
use crate::meter;

/// A guard that reports the login as abandoned unless it is disarmed.
pub(super) struct AbandonGuard {
    arrived_at: Instant,
}

impl AbandonGuard {
    pub(super) fn new(arrived_at: Instant) -> Self {
        Self { arrived_at }
    }

    pub(super) fn disarm(self) {
        mem::forget(self);
    }
}

impl Drop for AbandonGuard {
    fn drop(&mut self) {
        let (outcome, elapsed) = ("abandoned", self.arrived_at.elapsed());
        meter::login_ended(outcome, elapsed);
        let elapsed_ms = as_millis(elapsed);
        tracing::info!(outcome, elapsed_ms, "login ended: the client left");
    }
}

/// Logs and counts a login that succeeded, `elapsed` after its callback arrived.
pub(super) fn log_success(login: &QqLogin, elapsed: Duration) {
    meter::login_ended("ok", elapsed);
    let profile_complete = login.user().profile_complete();
    tracing::info!(
        outcome = "ok",
        elapsed_ms = as_millis(elapsed),
        profile_complete,
        "login ended"
    );
}

/// Logs and counts a login that failed, `elapsed` after its request arrived.
pub(super) fn log_failure(error: &LoginError, elapsed: Duration) {
    let outcome = error.kind().code();
    meter::login_ended(outcome, elapsed);
    let elapsed_ms = as_millis(elapsed);
    let (step, qq_code) = (error.step(), error.qq_code());
    let support_code = error.support_code();
    // The level of an event is part of its static metadata.
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                outcome,
                step,
                qq_code,
                elapsed_ms,
                support_code,
                "login ended: {error}"
            )
        };
    }
    match error.kind() {
        Misconfigured | AudienceMismatch => event!(error),
        InvalidState | InvalidCallback | Cancelled | Refused => event!(info),
        _ => event!(warn),
    }
}
