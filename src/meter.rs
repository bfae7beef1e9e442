//! Metrics through the `metrics` facade. `docs/en/deploy.md` describes them for operators.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::error::kind::LoginErrorKind::{
    self, AppFailed, AudienceMismatch, Cancelled, CodeRejected, CrossSite, InvalidCallback,
    InvalidState, Misconfigured, NotANavigation, NotApproved, Overloaded, QqBusy, QqTimeout,
    QqUnavailable, Refused, SessionUnverified,
};
use crate::error::place::{StateCause, Step};

const STARTS: &str = "qq_auth_login_starts_total";
const LOGINS: &str = "qq_auth_logins_total";
const LOGIN_SECONDS: &str = "qq_auth_login_seconds";
const IN_FLIGHT: &str = "qq_auth_logins_in_flight";
const CALLS: &str = "qq_auth_qq_calls_total";
const CALL_SECONDS: &str = "qq_auth_qq_call_seconds";
const VERIFICATIONS: &str = "qq_auth_verifications_total";
const UNREADABLE: &str = "qq_auth_sessions_unreadable_total";
const OLD_KEY: &str = "qq_auth_old_key_used_total";
#[cfg(feature = "revocation")]
const LIST_CALLS: &str = "qq_auth_revocation_calls_total";
#[cfg(feature = "revocation")]
const UNCONFIRMED: &str = "qq_auth_sessions_unconfirmed_total";

/// The kinds with which a login can fail, but for `InvalidState`, which is counted by its cause.
const FAILURES: [LoginErrorKind; 15] = [
    AppFailed,
    AudienceMismatch,
    Cancelled,
    CodeRejected,
    CrossSite,
    InvalidCallback,
    Misconfigured,
    NotANavigation,
    NotApproved,
    Overloaded,
    QqBusy,
    QqTimeout,
    QqUnavailable,
    Refused,
    SessionUnverified,
];

/// The kinds with which a call to QQ can fail.
const CALL_FAILURES: [LoginErrorKind; 7] = [
    AudienceMismatch,
    CodeRejected,
    Misconfigured,
    NotApproved,
    QqBusy,
    QqTimeout,
    QqUnavailable,
];

/// Describes the metrics and starts each counter at zero, since an alert on a rate misses the first
/// event of a counter that starts with it.
pub(crate) fn register() {
    describe_counter!(STARTS, Unit::Count, "Browsers sent to QQ.");
    describe_counter!(
        LOGINS,
        Unit::Count,
        "Logins that ended, by outcome and cause."
    );
    describe_histogram!(
        LOGIN_SECONDS,
        Unit::Seconds,
        "Time from the callback to the outcome of a login."
    );
    describe_gauge!(IN_FLIGHT, Unit::Count, "Logins under way.");
    describe_counter!(CALLS, Unit::Count, "Calls to QQ, by step and result.");
    describe_histogram!(
        CALL_SECONDS,
        Unit::Seconds,
        "Time of a call to QQ, by step."
    );
    describe_counter!(
        VERIFICATIONS,
        Unit::Count,
        "Access tokens that were to be verified, by outcome."
    );
    describe_counter!(
        UNREADABLE,
        Unit::Count,
        "Session cookies that no key opens."
    );
    describe_counter!(OLD_KEY, Unit::Count, "Sessions that an old key opened.");

    counter!(STARTS).increment(0);
    counter!(UNREADABLE).increment(0);
    counter!(OLD_KEY).increment(0);
    gauge!(IN_FLIGHT).increment(0);
    for outcome in ["ok", "abandoned"] {
        count_login(outcome, None, 0);
    }
    for kind in FAILURES {
        count_login(kind.code(), None, 0);
    }
    for cause in StateCause::ALL {
        count_login(InvalidState.code(), Some(cause.name()), 0);
    }
    let failures = CALL_FAILURES.iter().chain(&[Overloaded]);
    for outcome in failures.map(|kind| kind.code()).chain(["ok"]) {
        count_verification(outcome, 0);
    }
    for step in Step::ALL {
        count_call(step, "ok", 0);
        for kind in CALL_FAILURES {
            count_call(step, kind.code(), 0);
        }
    }
}

pub(crate) fn token_verified(outcome: &'static str) {
    count_verification(outcome, 1);
}

fn count_verification(outcome: &'static str, count: u64) {
    counter!(VERIFICATIONS, "outcome" => outcome).increment(count);
}

/// Describes the metrics of a revocation list and starts their counters at zero.
#[cfg(feature = "revocation")]
pub(crate) fn register_revocations() {
    describe_counter!(
        LIST_CALLS,
        Unit::Count,
        "Calls of the revocation list, by call and result."
    );
    describe_counter!(
        UNCONFIRMED,
        Unit::Count,
        "Requests whose session the revocation list did not confirm, by status."
    );
    for call in ["check", "revoke"] {
        for result in ["ok", "failed"] {
            counter!(LIST_CALLS, "call" => call, "result" => result).increment(0);
        }
    }
    for status in ["grace", "accepted", "unverified"] {
        counter!(UNCONFIRMED, "status" => status).increment(0);
    }
}

pub(crate) fn login_started() {
    counter!(STARTS).increment(1);
}

pub(crate) fn login_ended(outcome: &'static str, cause: Option<&'static str>, elapsed: Duration) {
    count_login(outcome, cause, 1);
    histogram!(LOGIN_SECONDS, "outcome" => outcome).record(elapsed);
}

fn count_login(outcome: &'static str, cause: Option<&'static str>, count: u64) {
    match cause {
        None => counter!(LOGINS, "outcome" => outcome),
        Some(cause) => counter!(LOGINS, "outcome" => outcome, "cause" => cause),
    }
    .increment(count);
}

/// Records the time of a call, until QQ's reply has arrived or the call failed.
pub(crate) fn record_call_time(step: Step, elapsed: Duration) {
    histogram!(CALL_SECONDS, "step" => step.name()).record(elapsed);
}

pub(crate) fn qq_called(step: Step, result: &'static str) {
    count_call(step, result, 1);
}

fn count_call(step: Step, result: &'static str, count: u64) {
    counter!(CALLS, "step" => step.name(), "result" => result).increment(count);
}

pub(crate) fn session_unreadable() {
    counter!(UNREADABLE).increment(1);
}

pub(crate) fn old_key_used() {
    counter!(OLD_KEY).increment(1);
}

#[cfg(feature = "revocation")]
pub(crate) fn revocation_list_called(call: &'static str, is_ok: bool) {
    let result = if is_ok { "ok" } else { "failed" };
    counter!(LIST_CALLS, "call" => call, "result" => result).increment(1);
}

#[cfg(feature = "revocation")]
pub(crate) fn session_unconfirmed(status: &'static str) {
    counter!(UNCONFIRMED, "status" => status).increment(1);
}

/// Counts a login as in flight until it is dropped.
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn new() -> Self {
        gauge!(IN_FLIGHT).increment(1);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1);
    }
}
