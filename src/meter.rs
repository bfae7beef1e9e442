//! Counters through the `metrics` facade.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `qq_auth_login_starts_total` | counter of browsers sent to QQ | |
//! | `qq_auth_logins_total` | counter | `outcome`: `ok`, `abandoned` or the code of the failure; `cause`, only with `invalid_state` |
//! | `qq_auth_login_seconds` | histogram | `outcome` |
//! | `qq_auth_logins_in_flight` | gauge | |
//! | `qq_auth_sessions_unreadable_total` | counter of session cookies that no key opens | |
//! | `qq_auth_old_key_used_total` | counter of cookies that an old key opened | |
//! | `qq_auth_revocation_calls_total` | counter of calls of the list | `call`: `check` or `revoke`; `result`: `ok` or `failed` |
//! | `qq_auth_sessions_unconfirmed_total` | counter of requests while the list is unavailable | `status`: `grace` (an older answer counts), `accepted` or `unverified` |
//! | `qq_auth_qq_calls_total` | counter | `step`, `result`: `ok` or the code of the failure |

use std::time::Duration;

use metrics::{counter, gauge, histogram};

pub(crate) fn login_started() {
    counter!("qq_auth_login_starts_total").increment(1);
}

pub(crate) fn login_ended(outcome: &'static str, cause: Option<&'static str>, elapsed: Duration) {
    match cause {
        None => counter!("qq_auth_logins_total", "outcome" => outcome),
        Some(cause) => counter!("qq_auth_logins_total", "outcome" => outcome, "cause" => cause),
    }
    .increment(1);
    histogram!("qq_auth_login_seconds", "outcome" => outcome).record(elapsed.as_secs_f64());
}

pub(crate) fn qq_called(step: &'static str, result: &'static str) {
    counter!("qq_auth_qq_calls_total", "step" => step, "result" => result).increment(1);
}

pub(crate) fn session_unreadable() {
    counter!("qq_auth_sessions_unreadable_total").increment(1);
}

pub(crate) fn old_key_used() {
    counter!("qq_auth_old_key_used_total").increment(1);
}

#[cfg(feature = "revocation")]
pub(crate) fn revocation_list_called(call: &'static str, is_ok: bool) {
    let result = if is_ok { "ok" } else { "failed" };
    counter!("qq_auth_revocation_calls_total", "call" => call, "result" => result).increment(1);
}

#[cfg(feature = "revocation")]
pub(crate) fn session_unconfirmed(status: &'static str) {
    counter!("qq_auth_sessions_unconfirmed_total", "status" => status).increment(1);
}

/// Counts a login as in flight until it is dropped.
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn new() -> Self {
        gauge!("qq_auth_logins_in_flight").increment(1);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!("qq_auth_logins_in_flight").decrement(1);
    }
}
