//! The authorization code in the query of a callback.

use crate::error::LoginError;
use crate::error::LoginErrorKind::{Cancelled, InvalidCallback};
use crate::request::query::{Param, Query};

/// Returns the authorization code of a callback whose state is valid.
pub(super) fn code<'q>(query: &'q Query<'_>) -> Result<&'q str, LoginError> {
    let invalid = |detail| Err(LoginError::new(InvalidCallback, detail));
    let code = match query.get("code") {
        Param::Invalid => return invalid("the code is repeated or not text"),
        code => code.once(),
    };
    let is_cancelled = match query.get("usercancel") {
        Param::Missing => false,
        Param::Once(number) => number != "0",
        Param::Invalid => true,
    };
    let has_error = ["error", "error_description", "msg"]
        .iter()
        .any(|name| *query.get(name) != Param::Missing);
    let is_number = |code: &str| code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    if is_cancelled || has_error || code.is_some_and(is_number) {
        let detail = "the user cancelled, or qq reported an error";
        return Err(LoginError::new(Cancelled, detail));
    }
    match code {
        Some(code) if is_code(code) => Ok(code),
        Some(_) => invalid("the code is not one of qq's"),
        None => invalid("the code is missing"),
    }
}

fn is_code(code: &str) -> bool {
    (1..=256).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic())
}
