//! What an answer is worth.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use super::{
    codes::{self, Meaning},
    reply::Reply,
    upstream::{Answer, Trouble},
};
use crate::{
    Language, LoginError,
    LoginErrorKind::{QqBusy, QqTimeout, QqUnavailable},
    error::Step,
    meter,
};

/// Counts a call by what came of it: a refusal of QQ's has status 200 as well.
pub(super) fn counted<T>(
    step: Step,
    judge: impl FnOnce() -> Result<T, LoginError>,
) -> Result<T, LoginError> {
    let judged = judge();
    let result = judged
        .as_ref()
        .map_or_else(|error| error.kind().code(), |_| "ok");
    meter::qq_called(step.name(), result);
    judged
}

/// The reply, unless it reports an error. One that reports an error and brings `goods` is neither.
pub(super) fn accepted(
    step: Step,
    reply: Option<Reply>,
    goods: Option<&str>,
) -> Result<Reply, LoginError> {
    let reply = reply.ok_or_else(|| garbage(step))?;
    match reply.refusal() {
        None => Ok(reply),
        Some(_) if goods.is_some_and(|goods| reply.fields.contains_key(goods)) => {
            Err(garbage(step))
        }
        Some(code) => {
            let meaning = code.map_or(Meaning::Other, codes::meaning);
            let error = LoginError::new(meaning.kind(), meaning.advice(Language::English));
            let error = match meaning {
                Meaning::Busy => error.with_retry_after(BUSY),
                _ => error,
            };
            Err(error.with_qq_code(code).at(step))
        }
    }
}

/// Why an answer that is not there, or not with status 200, is no good.
pub(super) fn unusable(failure: Result<Answer, Trouble>) -> LoginError {
    match failure {
        Ok(answer) if is_busy(answer.status) => {
            let detail = format!("qq is busy: status {}", answer.status.as_u16());
            LoginError::new(QqBusy, detail).with_retry_after(retry_after(&answer.headers))
        }
        Ok(answer) => {
            let mut detail = format!("not an answer of qq's: status {}", answer.status.as_u16());
            if let Some(length) = answer.length {
                detail += &format!(", {length} bytes");
            }
            LoginError::new(QqUnavailable, detail)
        }
        Err(Trouble::TimedOut) => LoginError::new(QqTimeout, "qq did not answer in time"),
        Err(Trouble::TooLarge) => LoginError::new(QqUnavailable, "the answer is over 64 KiB"),
        Err(Trouble::Broken(why)) => LoginError::new(QqUnavailable, format!("no answer: {why}")),
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() && !is_busy(status)
}

pub(super) fn garbage(step: Step) -> LoginError {
    LoginError::new(QqUnavailable, "the answer is not one that qq gives").at(step)
}

/// How long to wait where QQ does not say.
const BUSY: Duration = Duration::from_secs(5);

fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    match seconds {
        Some(seconds @ 1..=300) => Duration::from_secs(seconds),
        _ => BUSY,
    }
}
