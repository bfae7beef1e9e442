//! The path of the redirect URI: back from QQ.
//!
//! 1. The state first: without the login that this browser started, nothing else is looked at and QQ is not called.
//! 2. A code that looks like an error number, or stands beside an error, is an error report.
//! 3. Whatever comes of it, a login that came this far is used up; only one that had to wait outside is not.
//! 4. Somebody who is signed in already and comes with a callback that is no good (reload, Back, a second tab) goes to
//!    the start page instead of seeing an error. The callback is not accepted for that.

use std::sync::Arc;

use http::{HeaderValue, header};

use super::{
    Decision, Flow, Head,
    messages::Reason,
    page::{Notice, OwnResponse, see_other},
    pending::{Returned, Stray},
    query::Param,
    return_to::ReturnTo,
    visitor::Visitor,
};
use crate::{
    LoginError,
    LoginErrorKind::AudienceMismatch,
    LoginErrorKind::{Cancelled, InvalidCallback, InvalidState, Misconfigured, Overloaded},
    QqLogin,
    session::keys::random,
};

/// What the logins beyond the limit are told to wait.
const OVERLOADED_FOR: std::time::Duration = std::time::Duration::from_secs(2);

impl Flow {
    pub(super) fn callback(self: &Arc<Self>, head: Head<'_>) -> Decision {
        let visitor = Visitor::of(head.headers);
        let query = head.query();
        let stray = |error: LoginError, return_to: &ReturnTo| {
            if self.is_signed_in(head.headers) {
                return see_other("/");
            }
            self.failed(&error, return_to, visitor)
        };
        let state = Param::of(query, "state").once().unwrap_or_default();
        let Returned {
            return_to,
            consumed,
        } = match self
            .pending
            .returned(head.headers, &state, &self.paths, self.now())
        {
            Ok(returned) => returned,
            Err(Stray(return_to)) => {
                let detail = "the state is not one that this browser holds a login for";
                let return_to = return_to.unwrap_or_else(ReturnTo::home);
                return Decision::Respond(stray(LoginError::new(InvalidState, detail), &return_to));
            }
        };
        let code = match code(query) {
            Ok(code) => code,
            Err(error) => {
                let response = match error.kind() {
                    InvalidCallback => stray(error, &return_to),
                    _ => self.failed(&error, &return_to, visitor),
                };
                return Decision::Respond(with_cookies(response, [consumed]));
            }
        };
        let Ok(place) = Arc::clone(&self.in_flight).try_acquire_owned() else {
            let error = LoginError::new(Overloaded, "too many logins are under way")
                .with_retry_after(OVERLOADED_FOR);
            return Decision::Respond(self.failed(&error, &return_to, visitor));
        };
        let flow = Arc::clone(self);
        Decision::Wait(Box::pin(async move {
            let outcome = flow.client.login(&code).await;
            drop(place);
            match outcome {
                Ok(login) => flow.signed_in(&login, &return_to, consumed),
                Err(error) => with_cookies(flow.failed(&error, &return_to, visitor), [consumed]),
            }
        }))
    }

    fn signed_in(
        &self,
        login: &QqLogin,
        return_to: &ReturnTo,
        consumed: HeaderValue,
    ) -> OwnResponse {
        tracing::info!(
            profile_complete = login.user().profile_complete(),
            "signed in with qq"
        );
        let session = self.sessions.start(login.user().clone(), self.now());
        with_cookies(see_other(&return_to.to_string()), [session, consumed])
    }

    /// Tells the person, and the operator under the same support code.
    fn failed(&self, error: &LoginError, return_to: &ReturnTo, visitor: Visitor) -> OwnResponse {
        let kind = error.kind();
        let support_code = support_code();
        match kind {
            Misconfigured | AudienceMismatch => {
                tracing::error!(support_code, "login failed: {error}")
            }
            InvalidState | InvalidCallback | Cancelled => {
                tracing::info!(support_code, "login failed: {error}");
            }
            _ => tracing::warn!(support_code, "login failed: {error}"),
        }
        Notice {
            status: kind.status(),
            code: kind.code(),
            reason: Reason::Failed(kind),
            url: &self.paths.login_to(return_to),
            support_code: Some(&support_code),
            retry_after: error.retry_after(),
        }
        .respond(visitor)
    }
}

/// The authorization code of a callback whose state is good.
fn code(query: &str) -> Result<String, LoginError> {
    let param = |name| Param::of(query, name);
    let odd = |detail| LoginError::new(InvalidCallback, detail);
    let reported = match param("usercancel") {
        Param::Missing => false,
        Param::Once(number) => number != "0",
        Param::Odd => true,
    };
    let code = match param("code") {
        Param::Odd => return Err(odd("the code is repeated or not text")),
        code => code.once(),
    };
    let is_number =
        |code: &String| code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    let reported = reported
        || ["error", "error_description", "msg"]
            .iter()
            .any(|name| param(name) != Param::Missing)
        || code.as_ref().is_some_and(is_number);
    if reported {
        return Err(LoginError::new(
            Cancelled,
            "the person cancelled, or qq reported an error",
        ));
    }
    match code {
        Some(code) if is_code(&code) => Ok(code),
        Some(_) => Err(odd("the code is not one that qq gives")),
        None => Err(odd("there is no code")),
    }
}

fn is_code(code: &str) -> bool {
    (1..=256).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic())
}

fn with_cookies(
    mut response: OwnResponse,
    cookies: impl IntoIterator<Item = HeaderValue>,
) -> OwnResponse {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Eight characters that are easy to read out: Crockford's base 32.
fn support_code() -> String {
    let digit = |byte: &u8| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[usize::from(byte % 32)]);
    random::<8>().iter().map(digit).collect()
}
