//! One log event and one count for each login that ended.
//!
//! The event of a failed login has the support code that its page shows.

use std::time::Instant;

use crate::error::LoginError;
use crate::error::LoginErrorKind::{
    AudienceMismatch, Cancelled, InvalidCallback, InvalidState, Misconfigured, Refused,
};
use crate::login::QqLogin;
use crate::meter;

/// Measures from the arrival of the request that ends a login.
#[derive(Clone, Copy)]
pub(super) struct LoginTimer(Instant);

impl LoginTimer {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Reports the login as abandoned if it is dropped before [`disarm`](Self::disarm).
pub(super) struct AbandonGuard(LoginTimer);

impl AbandonGuard {
    pub(super) fn new(timer: LoginTimer) -> Self {
        Self(timer)
    }

    pub(super) fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for AbandonGuard {
    fn drop(&mut self) {
        let outcome = "abandoned";
        meter::login_ended(outcome, self.0.0.elapsed());
        let elapsed_ms = self.0.millis();
        tracing::info!(outcome, elapsed_ms, "login ended: the client left");
    }
}

pub(super) fn login_succeeded(login: &QqLogin, timer: &LoginTimer) {
    meter::login_ended("ok", timer.0.elapsed());
    let profile_complete = login.user().profile_complete();
    tracing::info!(
        outcome = "ok",
        elapsed_ms = timer.millis(),
        profile_complete,
        "login ended"
    );
}

pub(super) fn login_failed(error: &LoginError, timer: &LoginTimer) {
    let outcome = error.kind().code();
    meter::login_ended(outcome, timer.0.elapsed());
    let elapsed_ms = timer.millis();
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
