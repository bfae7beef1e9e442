//! Log events and counts for operators: one of each for a login that ended, and some others.
//!
//! The event of a failed login has the support code that its page shows. Events that any visitor
//! can cause pass a [`LogLimit`]; their counters do not.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use crate::clock::as_millis;
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::{
    AppFailed, AudienceMismatch, Cancelled, CodeRejected, CrossSite, InvalidCallback, InvalidState,
    Misconfigured, NotANavigation, Refused,
};
use crate::error::place::StateCause;
use crate::log_limit::LogLimit;
use crate::meter;

/// Logs and counts a login that succeeded, `elapsed` after its callback arrived.
pub(crate) fn log_success(profile_complete: bool, elapsed: Duration) {
    meter::login_ended("ok", None, elapsed);
    tracing::info!(
        outcome = "ok",
        elapsed_ms = as_millis(elapsed),
        profile_complete,
        "login ended"
    );
}

/// Logs and counts a login whose outcome no request fetched. Without an error it had succeeded.
pub(crate) fn log_abandoned(error: Option<&LoginError>, elapsed: Duration) {
    let outcome = "abandoned";
    meter::login_ended(outcome, None, elapsed);
    let elapsed_ms = as_millis(elapsed);
    let support_code = error.and_then(LoginError::support_code);
    let result = error.map_or_else(|| "ok".to_owned(), ToString::to_string);
    tracing::info!(
        outcome,
        elapsed_ms,
        support_code,
        "login ended: the client left and did not come back: {result}"
    );
}

/// Logs and counts a login that failed, `elapsed` after its request arrived.
pub(crate) fn log_failure(error: &LoginError, elapsed: Duration) {
    log_line(error, elapsed, None, None);
}

/// Logs and counts a failure that any visitor can cause at will.
///
/// `host` is the host of the request, if it is not the site's: the likely cause of a missing login
/// cookie. No answer depends on it.
pub(crate) fn log_stray(
    error: &LoginError,
    elapsed: Duration,
    host: Option<&str>,
    limit: &LogLimit,
) {
    let error = match (error.cause(), host) {
        (Some(StateCause::NoCookie), Some(_)) => error.clone().with_cause(StateCause::OtherHost),
        _ => error.clone(),
    };
    let kind = error.cause().map_or(error.kind().code(), StateCause::name);
    match admit(limit, kind) {
        Some(left_out) => log_line(&error, elapsed, host, left_out),
        None => count_failure(&error, elapsed),
    }
}

/// Logs an access token that was not verified. Its count is that of the verifications.
pub(crate) fn log_unverified_token(error: &LoginError, limit: &LogLimit) {
    let Some(left_out) = admit(limit, error.kind().code()) else {
        return;
    };
    let (outcome, step, qq_code) = (error.kind().code(), error.step(), error.qq_code());
    let support_code = error.support_code();
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                outcome,
                step,
                qq_code,
                support_code,
                left_out,
                "access token not verified: {error}"
            )
        };
    }
    match error.kind() {
        Misconfigured => event!(error),
        // Anyone can send such tokens.
        CodeRejected | AudienceMismatch => event!(info),
        _ => event!(warn),
    }
}

/// Logs and counts a session cookie that no key opens.
pub(crate) fn log_unreadable_session(limit: &LogLimit) {
    meter::session_unreadable();
    if let Some(left_out) = admit(limit, "session") {
        tracing::info!(
            left_out,
            "a session cookie does not open: it is forged, of another site, or of a key that was \
             dropped"
        );
    }
}

/// Logs a request from a trusted origin that belongs to another site.
#[cold]
pub(crate) fn log_origin_elsewhere(headers: &HeaderMap, limit: &LogLimit) {
    if let Some(left_out) = admit(limit, "origin_elsewhere") {
        let origin = headers.get(header::ORIGIN);
        tracing::warn!(
            left_out,
            origin = origin.and_then(|origin| origin.to_str().ok()),
            "a trusted origin belongs to another site, so browsers send no session cookie from its \
             pages: serve them from a subdomain of the redirect URI's domain, or through a proxy"
        );
    }
}

/// Logs a request for a path of the layer that has the public prefix.
#[cold]
pub(crate) fn log_unstripped_prefix(limit: &LogLimit) {
    if let Some(left_out) = admit(limit, "unstripped_prefix") {
        tracing::warn!(
            left_out,
            "a request for the layer has the public prefix, so the app gets it: let the proxy \
             strip the prefix, or remove `public_prefix`"
        );
    }
}

/// Logs that a login starts at another host than the one to which QQ sends the browser back.
#[cold]
pub(crate) fn log_start_elsewhere(host: &str, limit: &LogLimit) {
    if let Some(left_out) = admit(limit, "start_elsewhere") {
        tracing::info!(
            left_out,
            host,
            "a login starts at another host than that of the redirect URI, where its cookie will be \
             missing: redirect users first, or let the proxy pass `Host`"
        );
    }
}

/// Logs the refusal of a logout or a login that another site may have caused.
pub(crate) fn log_foreign(headers: &HeaderMap, limit: &LogLimit) {
    if let Some(left_out) = admit(limit, "foreign") {
        let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
        let origin = origin.map(|origin| origin[..origin.len().min(100)].escape_ascii());
        tracing::info!(
            left_out,
            origin = origin.map(tracing::field::display),
            "refused a request that another site may have caused: if the origin is yours, add it \
             to `trusted_origins`"
        );
    }
}

/// Logs that a session of the app is not set, within the limit if there is one.
#[cold]
pub(crate) fn log_session_not_set(reason: &str, limit: Option<&LogLimit>) {
    let left_out = limit.map_or(Some(None), |limit| admit(limit, "session_not_set"));
    if let Some(left_out) = left_out {
        tracing::error!(left_out, "the app's QqSession is not set: {reason}");
    }
}

/// Logs a logout. Without a revocation list the same cookie can be sent again and again.
pub(crate) fn log_logout(limit: &LogLimit) {
    if let Some(left_out) = admit(limit, "logout") {
        tracing::info!(left_out, "signed out");
    }
}

/// Logs a revocation. The app knows the user; the log has no identities.
#[cfg(feature = "revocation")]
pub(crate) fn log_user_revoked(limit: &LogLimit) {
    if let Some(left_out) = admit(limit, "revocation") {
        tracing::info!(left_out, "revoked all sessions of a user");
    }
}

/// Logs that all sessions of a user ended but one.
#[cfg(feature = "revocation")]
pub(crate) fn log_other_sessions_ended(limit: &LogLimit) {
    if let Some(left_out) = admit(limit, "other_sessions") {
        tracing::info!(left_out, "ended the other sessions of a user");
    }
}

/// Returns `None` if a line must be left out, else the number of lines of its kind left out since
/// the last one, if any.
fn admit(limit: &LogLimit, kind: &'static str) -> Option<Option<u64>> {
    let left_out = limit.admit(kind)?;
    Some((left_out > 0).then_some(left_out))
}

fn log_line(error: &LoginError, elapsed: Duration, host: Option<&str>, left_out: Option<u64>) {
    count_failure(error, elapsed);
    let outcome = error.kind().code();
    let cause = error.cause().map(StateCause::name);
    let elapsed_ms = as_millis(elapsed);
    let (step, qq_code) = (error.step(), error.qq_code());
    let support_code = error.support_code();
    // The level of an event is part of its static metadata.
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                outcome,
                cause,
                step,
                qq_code,
                elapsed_ms,
                support_code,
                host,
                left_out,
                "login ended: {error}"
            )
        };
    }
    match error.kind() {
        // The number comes from the query of the callback, which the browser can change.
        Misconfigured if error.step().is_none() && error.qq_code().is_some() => event!(warn),
        Misconfigured | AudienceMismatch | AppFailed => event!(error),
        InvalidState | InvalidCallback | Cancelled | Refused | CrossSite | NotANavigation => {
            event!(info);
        }
        _ => event!(warn),
    }
}

fn count_failure(error: &LoginError, elapsed: Duration) {
    let cause = error.cause().map(StateCause::name);
    meter::login_ended(error.kind().code(), cause, elapsed);
}
