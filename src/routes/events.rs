//! What the operator is told: one event for each login that ended, under the support code that the page shows.
//!
//! A login that waits for QQ or the app has ended as well when its client leaves: nobody is there to be answered.

use std::time::Instant;

use crate::{
    LoginError,
    LoginErrorKind::{
        AudienceMismatch, Cancelled, InvalidCallback, InvalidState, Misconfigured, Refused,
    },
    QqLogin, meter,
};

/// When the request came in that ended a login.
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

/// A login that waits. To drop it is to abandon the login.
pub(super) struct Waiting(pub(super) LoginTimer);

impl Waiting {
    /// From here on the login ends in an answer.
    pub(super) fn over(self) {
        std::mem::forget(self);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let outcome = "abandoned";
        meter::login_ended(outcome, self.0.0.elapsed());
        let elapsed_ms = self.0.millis();
        tracing::info!(outcome, elapsed_ms, "login ended without an answer");
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
    let (hop, qq_code) = (error.step(), error.qq_code());
    let support_code = error.support_code();
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                outcome,
                hop,
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
