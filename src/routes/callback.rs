//! The path of the redirect URI: back from QQ.
//!
//! 1. The state first: without the login that this browser started, nothing else is looked at and QQ is not called.
//! 2. A code that looks like an error number, or stands beside an error, is an error report.
//! 3. A login with an intent counts only for the account that started it.
//! 4. Whatever comes of it, a login that came this far is used up; only one that had to wait outside is not.
//! 5. Somebody who is signed in already and comes with a callback or a code that is no good (reload, Back, a second tab)
//!    goes to the start page instead of seeing an error, but for a login with an intent. The callback is not accepted
//!    for that.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use tokio::time::{Instant, timeout_at};

use super::{
    Completed, Decision, Flow, Head, Outcome, Visit, Who,
    audience::Audience,
    events::{self, LoginTimer, Waiting},
    login::introduced,
    page::{OwnResponse, see_other, with_cookie},
    pending::{Purpose, Returned, Stray},
    query::Param,
    return_to::ReturnTo,
};
use crate::{
    LoginError,
    LoginErrorKind::{
        Cancelled, CodeRejected, InvalidCallback, InvalidState, Misconfigured, Overloaded,
        QqTimeout, Refused,
    },
    QqLogin, Verdict,
    hook::caught,
    meter::InFlight,
    session::Session,
};

/// What the logins beyond the limit are told to wait.
const OVERLOADED_FOR: Duration = Duration::from_secs(2);

impl Flow {
    pub(super) fn callback(self: &Arc<Self>, head: Head<'_>, who: &Who) -> Decision {
        let mut ending = Ending {
            timer: LoginTimer::start(),
            audience: Audience::of(head.headers),
            signed_in: who.signed_in().is_some() || self.has_account(head, who),
            has_intent: false,
            flow: Arc::clone(self),
        };
        let query = head.query();
        let state = Param::of(query, "state").once().unwrap_or_default();
        let (purpose, consumed) = match self.pending.returned(head.headers, &state, self.now()) {
            Ok(Returned { purpose, consumed }) => (purpose, consumed),
            Err(Stray(return_to)) => {
                let detail = "the state is not one that this browser holds a login for";
                let again = self
                    .paths
                    .login_to(&return_to.unwrap_or_else(ReturnTo::home));
                let error = LoginError::new(InvalidState, detail);
                return Decision::Respond(ending.failed(error, &again));
            }
        };
        let again = self.paths.again(&purpose);
        ending.has_intent = purpose.intent.is_some();
        let code = match self
            .same_account(head, who, &purpose)
            .and_then(|()| authorization_code(query))
        {
            Ok(code) => code,
            Err(error) => {
                let response = ending.failed(error, &again);
                return Decision::Respond(with_cookie(response, consumed));
            }
        };
        let Ok(place) = Arc::clone(&self.in_flight).try_acquire_owned() else {
            let error = LoginError::new(Overloaded, "too many logins are under way")
                .with_retry_after(OVERLOADED_FOR);
            return Decision::Respond(ending.failed(error, &again));
        };
        let hook = self
            .on_login
            .clone()
            .map(|hook| (hook, introduced(head, who)));
        let replaced = who.session.clone();
        let waiting = Waiting(ending.timer);
        Decision::Wait(Box::pin(async move {
            let in_flight = (place, InFlight::new());
            let deadline = Instant::now() + ending.flow.client.app().login_timeout;
            let return_to = purpose.return_to.clone();
            let admitted = async {
                let mut login = ending.flow.client.login_by(&code, deadline).await?;
                login.return_to = purpose.return_to.to_string();
                login.intent = purpose.intent.map(|(intent, _)| intent);
                match hook {
                    Some((hook, head)) => {
                        let asked = timeout_at(deadline, hook.ask(login.clone(), head)).await;
                        Ok((login, verdict(asked.ok())?))
                    }
                    None => Ok((login, Verdict::Allow)),
                }
            };
            let admitted = admitted.await;
            drop(in_flight);
            let outcome = match admitted {
                Ok((login, verdict)) => {
                    let reached = ending.reached(login, verdict, &return_to, consumed, replaced);
                    reached.await
                }
                Err(error) => Outcome::Respond(with_cookie(ending.failed(error, &again), consumed)),
            };
            waiting.over();
            outcome
        }))
    }

    /// Revokes the session that a new one takes the place of: nobody would have its cookie to sign it out.
    async fn replace(&self, session: Option<Box<Session>>) {
        if let Some(session) = session.filter(|_| self.revocations.list.is_some()) {
            // What went wrong is in the log, and no reason to keep anybody out.
            let revocations = self.sessions.revocation(&session, self.now());
            let _ = self.revocations.revoke(revocations).await;
        }
    }

    /// Whether the app knows the person by a session of its own.
    fn has_account(&self, head: Head<'_>, who: &Who) -> bool {
        let hook = self.account_of.as_ref();
        hook.is_some_and(|hook| matches!(hook.ask(&introduced(head, who)), Ok(Some(_))))
    }

    /// A login that does something to an account may not end in another one.
    fn same_account(&self, head: Head<'_>, who: &Who, purpose: &Purpose) -> Result<(), LoginError> {
        match &purpose.intent {
            Some((_, account)) if *account != self.account(head, who)? => {
                let detail = "somebody else is signed in than when the login was started";
                Err(LoginError::new(Refused, detail))
            }
            _ => Ok(()),
        }
    }
}

/// What the app said, in time or not.
fn verdict(asked: Option<Result<Verdict, tower::BoxError>>) -> Result<Verdict, LoginError> {
    match asked {
        Some(Ok(Verdict::Refuse(reason))) => {
            Err(LoginError::new(Refused, "the app refused the login").with_reason(reason))
        }
        Some(Ok(verdict)) => Ok(verdict),
        Some(Err(error)) => {
            let error = caught(|| error.to_string()).unwrap_or_else(|panic| panic.to_string());
            // It may hold what QQ said, line feeds and all.
            let error = error.escape_debug();
            tracing::error!("the on_login hook failed: {error}");
            Err(LoginError::new(Refused, "the app's on_login hook failed"))
        }
        None => Err(LoginError::new(
            QqTimeout,
            "the app's on_login hook did not answer in time",
        )),
    }
}

/// Ends one login.
struct Ending {
    flow: Arc<Flow>,
    timer: LoginTimer,
    audience: Audience,
    signed_in: bool,
    has_intent: bool,
}

impl Ending {
    /// QQ and the app agree.
    async fn reached(
        self,
        mut login: QqLogin,
        verdict: Verdict,
        return_to: &ReturnTo,
        consumed: HeaderValue,
        replaced: Option<Box<Session>>,
    ) -> Outcome {
        let flow = &self.flow;
        let to = |path: String| {
            ReturnTo::new(path, &flow.paths).unwrap_or_else(|| {
                tracing::error!("the on_login hook named no path of this site; going to / instead");
                ReturnTo::home()
            })
        };
        let return_to = match verdict {
            Verdict::RefuseTo(path) => {
                let path = to(path);
                let error = LoginError::new(Refused, "the app sent the person elsewhere");
                events::login_failed(&error, &self.timer);
                let response = see_other(&path.to_string());
                return Outcome::Respond(with_cookie(response, consumed));
            }
            Verdict::AllowTo(path) => to(path),
            Verdict::Allow | Verdict::Refuse(_) => return_to.clone(),
        };
        let session = match flow.session_of(&login) {
            Ok(session) => session,
            Err(error) => {
                let again = flow.paths.login_to(&return_to);
                return Outcome::Respond(with_cookie(self.failed(error, &again), consumed));
            }
        };
        flow.replace(replaced).await;
        events::login_succeeded(&login, &self.timer);
        if flow.forwards {
            login.return_to = return_to.to_string();
            let completed = Completed {
                login,
                session,
                consumed,
            };
            let wants_page = self.audience.wants_page;
            return Outcome::Forward(Visit::completed(self.flow, completed, wants_page));
        }
        let mut response = see_other(&return_to.to_string());
        if let Some(session) = session {
            response = with_cookie(response, session);
        }
        Outcome::Respond(with_cookie(response, consumed))
    }

    /// Tells the person, unless it is of no matter to them: somebody who is signed in and comes with a callback that is
    /// no good any more goes on.
    fn failed(&self, error: LoginError, again: &str) -> OwnResponse {
        let no_matter = self.signed_in && !self.has_intent;
        match error.kind() {
            // A reload: that login has ended before.
            InvalidState if no_matter => see_other("/"),
            InvalidCallback | CodeRejected if no_matter => {
                events::login_failed(&error, &self.timer);
                see_other("/")
            }
            _ => self.tell(error, again),
        }
    }

    fn tell(&self, error: LoginError, again: &str) -> OwnResponse {
        self.flow.failed(error, again, self.audience, &self.timer)
    }
}

impl Flow {
    /// The cookie of a new session, unless the app keeps its own.
    fn session_of(&self, login: &QqLogin) -> Result<Option<HeaderValue>, LoginError> {
        if !self.keeps_sessions {
            return Ok(None);
        }
        let cookie = self
            .sessions
            .start(login.user().clone(), Some(login.tokens()), self.now());
        cookie.map(Some).map_err(|too_large| {
            let size = too_large.0;
            let detail =
                format!("the session cookie would be {size} bytes; browsers drop those over 4096");
            LoginError::new(Misconfigured, detail)
        })
    }
}

/// The authorization code of a callback whose state is good.
fn authorization_code(query: &str) -> Result<String, LoginError> {
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
        let detail = "the person cancelled, or qq reported an error";
        return Err(LoginError::new(Cancelled, detail));
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
