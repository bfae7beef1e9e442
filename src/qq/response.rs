//! Turning QQ's responses into results and errors.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use super::{
    codes::{self, Meaning},
    reply::{Reply, integer},
    upstream::UpstreamError,
};
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::{QqBusy, QqTimeout, QqUnavailable};
use crate::error::place::Step;
use crate::language::Language;
use crate::meter;

/// Adds the step to an error and counts the call. Its result is known only after the body is read.
pub(super) fn finish_call<T>(step: Step, result: Result<T, LoginError>) -> Result<T, LoginError> {
    let result = result.map_err(|error| error.with_step(step));
    let label = result
        .as_ref()
        .map_or_else(|error| error.kind().code(), |_| "ok");
    meter::qq_called(step, label);
    result
}

/// Returns the reply unless it reports an error. A reply that reports an error and yet contains
/// `payload_field` is unreadable.
pub(super) fn accept(
    reply: Option<Reply>,
    payload_field: Option<&str>,
) -> Result<Reply, LoginError> {
    let reply = reply.ok_or_else(unreadable_reply)?;
    let Some(error) = reply.error() else {
        return Ok(reply);
    };
    if payload_field.is_some_and(|name| reply.fields.contains_key(name)) {
        return Err(unreadable_reply());
    }
    Err(reported_error(integer(error)))
}

/// Creates the error that QQ reports by this code, or by none.
pub(crate) fn reported_error(code: Option<i64>) -> LoginError {
    let meaning = code.map_or(Meaning::Other, codes::meaning);
    let error = LoginError::new(meaning.kind(), meaning.advice(Language::English));
    let error = match meaning {
        Meaning::Busy => error.with_retry_after(DEFAULT_RETRY_AFTER),
        _ => error,
    };
    error.with_qq_code(code)
}

pub(super) fn unreadable_reply() -> LoginError {
    LoginError::new(QqUnavailable, "QQ's reply is unreadable")
}

impl UpstreamError {
    /// Returns whether another request may succeed at once.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => status.is_server_error() && !is_busy(*status),
            Self::Failed(_) => true,
            Self::TimedOut | Self::TooLarge => false,
            #[cfg(feature = "reqwest")]
            Self::Unsent(error) => error.is_transient(),
        }
    }

    pub(super) fn into_login_error(self) -> LoginError {
        match self {
            Self::Status {
                status, headers, ..
            } if is_busy(status) => {
                let detail = format!("QQ is busy: status {}", status.as_u16());
                LoginError::new(QqBusy, detail).with_retry_after(retry_after(&headers))
            }
            Self::Status { status, length, .. } => {
                let mut detail = format!("unexpected status from QQ: {}", status.as_u16());
                if let Some(length) = length {
                    detail += &format!(", {length} bytes");
                }
                LoginError::new(QqUnavailable, detail)
            }
            Self::Failed(cause) => LoginError::new(QqUnavailable, format!("no response: {cause}")),
            Self::TimedOut => LoginError::new(QqTimeout, "QQ did not answer in time"),
            Self::TooLarge => LoginError::new(QqUnavailable, "the reply exceeds 64 KiB"),
            #[cfg(feature = "reqwest")]
            Self::Unsent(error) => error.into_login_error().with_unsent(),
        }
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// The pause if QQ names none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    match seconds {
        Some(seconds @ 1..=300) => Duration::from_secs(seconds),
        _ => DEFAULT_RETRY_AFTER,
    }
}
