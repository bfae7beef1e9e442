//! Judging a response of QQ.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use super::{
    codes::{self, Meaning},
    reply::Reply,
    upstream::{UpstreamError, UpstreamResponse},
};
use crate::error::LoginErrorKind::{QqBusy, QqTimeout, QqUnavailable};
use crate::error::{LoginError, Step};
use crate::language::Language;
use crate::meter;

/// Counts a call by its result, which the status alone does not tell: QQ refuses with status 200.
pub(super) fn count<T>(
    step: Step,
    judge: impl FnOnce() -> Result<T, LoginError>,
) -> Result<T, LoginError> {
    let result = judge();
    let label = result
        .as_ref()
        .map_or_else(|error| error.kind().code(), |_| "ok");
    meter::qq_called(step.name(), label);
    result
}

/// Returns the reply unless it reports an error. A reply that reports an error and yet contains
/// `goods` is unreadable.
pub(super) fn accept(
    step: Step,
    reply: Option<Reply>,
    goods: Option<&str>,
) -> Result<Reply, LoginError> {
    let reply = reply.ok_or_else(|| unreadable(step))?;
    match reply.error() {
        None => Ok(reply),
        Some(_) if goods.is_some_and(|goods| reply.fields.contains_key(goods)) => {
            Err(unreadable(step))
        }
        Some(code) => {
            let meaning = code.map_or(Meaning::Other, codes::meaning);
            let error = LoginError::new(meaning.kind(), meaning.advice(Language::English));
            let error = match meaning {
                Meaning::Busy => error.with_retry_after(DEFAULT_RETRY_AFTER),
                _ => error,
            };
            Err(error.with_qq_code(code).with_step(step))
        }
    }
}

/// Explains a call that brought no response, or one with another status than 200.
pub(super) fn unusable(failure: Result<UpstreamResponse, UpstreamError>) -> LoginError {
    match failure {
        Ok(response) if is_busy(response.status) => {
            let detail = format!("qq is busy: status {}", response.status.as_u16());
            LoginError::new(QqBusy, detail).with_retry_after(retry_after(&response.headers))
        }
        Ok(response) => {
            let mut detail = format!("unexpected status from qq: {}", response.status.as_u16());
            if let Some(length) = response.length {
                detail += &format!(", {length} bytes");
            }
            LoginError::new(QqUnavailable, detail)
        }
        Err(UpstreamError::TimedOut) => LoginError::new(QqTimeout, "qq did not answer in time"),
        Err(UpstreamError::TooLarge) => LoginError::new(QqUnavailable, "the reply exceeds 64 KiB"),
        Err(UpstreamError::Failed(why)) => {
            LoginError::new(QqUnavailable, format!("no response: {why}"))
        }
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// Returns whether another request may succeed at once.
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() && !is_busy(status)
}

pub(super) fn unreadable(step: Step) -> LoginError {
    LoginError::new(QqUnavailable, "the reply is not one of qq's").with_step(step)
}

/// Applies if QQ names no time.
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
