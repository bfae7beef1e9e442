//! What the operator is told: one event for each login that ended, under the support code that the page shows.

use std::time::Instant;

use crate::{
    LoginError,
    LoginErrorKind::{
        AudienceMismatch, Cancelled, InvalidCallback, InvalidState, Misconfigured, Refused,
    },
    QqLogin, meter,
};

/// When a callback came in.
pub(super) struct LoginTimer(Instant);

impl LoginTimer {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
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
