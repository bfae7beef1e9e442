//! The authorization code in the query of a callback, or the error that QQ reports in its place.

use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::{Cancelled, InvalidCallback};
use crate::qq::response::reported_error;
use crate::request::query::{Param, Query};

/// Returns the authorization code of a callback whose state is valid.
///
/// 1. `usercancel` other than 0 means that the user cancelled.
/// 2. `error`, `error_description`, `msg`, or a code of six digits or fewer is an error report. Its
///    number decides the kind of the error; one without a number counts as cancelled.
/// 3. Anything else must be one well-formed code.
pub(super) fn read_code<'q>(query: &'q Query<'_>) -> Result<&'q str, LoginError> {
    let invalid = |detail| Err(LoginError::new(InvalidCallback, detail));
    let code = match &query.code {
        Param::Invalid => return invalid("the code is repeated or not text"),
        code => code.once(),
    };
    let is_cancelled = match &query.usercancel {
        Param::Missing => false,
        Param::Once(number) => number != "0",
        Param::Invalid => true,
    };
    if is_cancelled {
        return Err(LoginError::new(Cancelled, "the user cancelled"));
    }
    let reports = [&query.error, &query.error_description, &query.msg];
    let is_report = reports.into_iter().any(|param| !param.is_missing());
    let number = query.error.once().or(code).and_then(error_number);
    match (number, code) {
        (Some(number), _) => Err(reported_error(Some(number))),
        _ if is_report => Err(LoginError::new(
            Cancelled,
            "QQ reported an error without a number",
        )),
        (_, Some(code)) if is_authorization_code(code) => Ok(code),
        (_, Some(_)) => invalid("the code is malformed"),
        (_, None) => invalid("the code is missing"),
    }
}

/// Reads the number of an error, which has six digits at most.
fn error_number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number =
        (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn is_authorization_code(code: &str) -> bool {
    (1..=256).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic())
}
