//! The authorization code in the query of a callback.

use crate::error::LoginError;
use crate::error::LoginErrorKind::{Cancelled, InvalidCallback};
use crate::request::query::{Param, Query};

/// Returns the authorization code of a callback whose state is valid.
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
    if is_cancelled || query.has_error || code.is_some_and(is_error_code) {
        let detail = "the user cancelled, or QQ reported an error";
        return Err(LoginError::new(Cancelled, detail));
    }
    match code {
        Some(code) if is_authorization_code(code) => Ok(code),
        Some(_) => invalid("the code is malformed"),
        None => invalid("the code is missing"),
    }
}

/// QQ reports errors to old callbacks by a number of six digits in place of the code.
fn is_error_code(code: &str) -> bool {
    code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_authorization_code(code: &str) -> bool {
    (1..=256).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic())
}
