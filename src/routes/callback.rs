//! The path of the redirect URI: QQ sends the browser back with a code.
//!
//! 1. The state comes first. Without the login that this browser started, nothing else is looked at
//!    and QQ is not called.
//! 2. A code that looks like an error number, or comes with an error, is an error report.
//! 3. A login with an intent counts only for the account that started it.
//! 4. A login that gets this far is used up, whatever comes of it, unless it found no free place.
//! 5. A signed-in user with a stale callback (reload, Back, a second tab) goes to `/` instead of an
//!    error page, except for a login with an intent. The callback itself is not accepted.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use tokio::time::{Instant, timeout_at};
use tower::BoxError;

use super::{
    account::{account_digest, has_account},
    action::Action,
    code::code,
    context::{CompletedLogin, RequestContext},
    events::{AbandonGuard, login_failed, login_succeeded},
    failure::Reporter,
    user::parts_for_hook,
};
use crate::error::LoginError;
use crate::error::LoginErrorKind::{
    CodeRejected, InvalidCallback, InvalidState, Misconfigured, Overloaded, QqTimeout, Refused,
};
use crate::hooks::failure_page::Retry;
use crate::hooks::on_login::{AcceptedLogin, RefusedLogin, Verdict};
use crate::hooks::panics::catch_panic;
use crate::login::QqLogin;
use crate::login_state::{Intent, LoginState, UnknownState};
use crate::meter::InFlight;
use crate::request::head::RequestHead;
use crate::request::query::Query;
use crate::request::requester::Client;
use crate::respond::response::{OwnResponse, see_other, with_cookie};
use crate::return_to::ReturnTo;
use crate::session::Session;
use crate::session::current::CurrentSession;
use crate::site::Site;

/// The `Retry-After` of logins beyond the limit.
const OVERLOADED_FOR: Duration = Duration::from_secs(2);

pub(super) fn finish_login(
    site: &Arc<Site>,
    head: RequestHead<'_>,
    client: Client,
    current: CurrentSession,
) -> Action {
    let query = Query::parse(head.query());
    let token = query.get("state").once().unwrap_or_default();
    let login = site.login_states.open(head.headers, token, site.now());
    let (state, removal, error) = match login {
        Ok(login) => (login.state, Some(login.removal), None),
        Err(UnknownState(return_to)) => {
            let detail = "the state belongs to no login of this browser";
            let state = LoginState {
                return_to: return_to.unwrap_or_else(ReturnTo::home),
                intent: None,
            };
            (state, None, Some(LoginError::new(InvalidState, detail)))
        }
    };
    let reply = CallbackReply {
        site: Arc::clone(site),
        reporter: Reporter::new(head, client),
        is_signed_in: current.valid().is_some() || has_account(site, head, &current),
        state,
        removal,
    };
    if let Some(error) = error {
        return Action::Respond(reply.fail(error));
    }
    let intent = reply.state.intent.as_ref();
    let code = check_account(site, head, &current, intent).and_then(|()| code(&query));
    let code = match code {
        Ok(code) => code.to_owned(),
        Err(error) => return Action::Respond(reply.fail(error)),
    };
    let Ok(permit) = Arc::clone(&site.logins_in_flight).try_acquire_owned() else {
        let error = LoginError::new(Overloaded, "too many logins are under way");
        return Action::Respond(reply.fail(error.with_retry_after(OVERLOADED_FOR)));
    };
    let hook = site.on_login.clone();
    let hook = hook.map(|hook| (hook, parts_for_hook(head, &current)));
    Action::Wait(Box::pin(async move {
        let guard = AbandonGuard::new(reply.reporter.timer);
        let in_flight = (permit, InFlight::new());
        let site = &reply.site;
        let deadline = Instant::now() + site.client.app().login_timeout;
        let verdict = async {
            let login = site.client.login_before(&code, deadline).await?;
            let LoginState { return_to, intent } = reply.state.clone();
            let login = login
                .with_return_to(return_to.to_string())
                .with_intent(intent.map(|intent| intent.name));
            let Some((hook, head)) = hook else {
                return Ok((login, Verdict::allow()));
            };
            let verdict = timeout_at(deadline, hook.call(login.clone(), head)).await;
            Ok((login, check_hook(verdict.ok())?))
        };
        let verdict = verdict.await;
        drop(in_flight);
        let action = match verdict {
            Ok((login, verdict)) => match verdict.into_result() {
                Ok(accepted) => reply.accept(login, accepted, current.session).await,
                Err(refused) => Action::Respond(reply.refuse(refused)),
            },
            Err(error) => Action::Respond(reply.fail(error)),
        };
        guard.disarm();
        action
    }))
}

/// Answers one callback.
struct CallbackReply {
    site: Arc<Site>,
    reporter: Reporter,
    is_signed_in: bool,
    state: LoginState,
    /// The cookie that removes the login cookie, if it opened.
    removal: Option<HeaderValue>,
}

impl CallbackReply {
    async fn accept(
        self,
        login: QqLogin,
        accepted: AcceptedLogin,
        replaced: Option<Box<Session>>,
    ) -> Action {
        let site = &self.site;
        let return_to = match accepted.redirect_to {
            Some(path) => self.check_redirect(path),
            None => self.state.return_to.clone(),
        };
        let session = match session_cookie(site, &login) {
            Ok(session) => session,
            Err(error) => {
                let url = site.login_url(&return_to);
                let response = self.reporter.report(site, error, Retry::Login(&url));
                return Action::Respond(self.remove_login_cookie(response));
            }
        };
        // The browser drops the replaced cookie, so no logout could revoke that session later.
        if let Some(replaced) = replaced.filter(|_| site.revocations.has_list()) {
            site.revoke(&replaced).await;
        }
        login_succeeded(&login, &self.reporter.timer);
        if site.forwards_callback {
            let completed = CompletedLogin {
                login: login.with_return_to(return_to.to_string()),
                session,
                removal: self.removal,
            };
            let client = self.reporter.client;
            return Action::Forward(RequestContext::of_callback(self.site, client, completed));
        }
        let response = see_other(&return_to.to_string());
        let response = session.into_iter().fold(response, with_cookie);
        Action::Respond(self.remove_login_cookie(response))
    }

    fn refuse(&self, refused: RefusedLogin) -> OwnResponse {
        let error = LoginError::new(Refused, "the app refused the login");
        match refused.redirect_to {
            Some(path) => {
                login_failed(&error, &self.reporter.timer);
                let response = see_other(&self.check_redirect(path).to_string());
                self.remove_login_cookie(response)
            }
            None => self.fail(error.with_reason(refused.reason)),
        }
    }

    /// Shows the error, or redirects a signed-in user to `/`.
    fn fail(&self, error: LoginError) -> OwnResponse {
        let is_harmless = self.is_signed_in && self.state.intent.is_none();
        let is_used_up = error.kind() != Overloaded;
        let response = match error.kind() {
            // A reload: this login has ended before.
            InvalidState if is_harmless => see_other("/"),
            InvalidCallback | CodeRejected if is_harmless => {
                login_failed(&error, &self.reporter.timer);
                see_other("/")
            }
            _ => self.report(error),
        };
        match is_used_up {
            true => self.remove_login_cookie(response),
            false => response,
        }
    }

    /// Offers a new login; with an intent, the page that starts it.
    fn report(&self, error: LoginError) -> OwnResponse {
        let return_to = &self.state.return_to;
        match self.state.intent {
            Some(_) => {
                let page = return_to.to_string();
                self.reporter.report(&self.site, error, Retry::Page(&page))
            }
            None => {
                let url = self.site.login_url(return_to);
                self.reporter.report(&self.site, error, Retry::Login(&url))
            }
        }
    }

    fn remove_login_cookie(&self, response: OwnResponse) -> OwnResponse {
        self.removal.iter().cloned().fold(response, with_cookie)
    }

    /// Returns the path that the hook chose, or `/` if it is not one of the site.
    fn check_redirect(&self, path: String) -> ReturnTo {
        ReturnTo::new(path, &self.site.paths).unwrap_or_else(|| {
            tracing::error!("the on_login hook redirects to a path that is not of this site");
            ReturnTo::home()
        })
    }
}

/// Returns the cookie of the new session, unless the app keeps the sessions.
fn session_cookie(site: &Site, login: &QqLogin) -> Result<Option<HeaderValue>, LoginError> {
    if !site.keeps_sessions {
        return Ok(None);
    }
    let user = login.user().clone();
    let cookie = site.sessions.start(user, Some(login.tokens()), site.now());
    cookie.map(Some).map_err(|too_large| {
        let size = too_large.0;
        let detail = format!("the session cookie has {size} bytes; browsers drop it above 4096");
        LoginError::new(Misconfigured, detail)
    })
}

/// Fails unless the account is still the one that started the login.
fn check_account(
    site: &Site,
    head: RequestHead<'_>,
    current: &CurrentSession,
    intent: Option<&Intent>,
) -> Result<(), LoginError> {
    match intent {
        Some(intent) if intent.account != account_digest(site, head, current)? => {
            let detail = "another account is signed in than at the start of the login";
            Err(LoginError::new(Refused, detail))
        }
        _ => Ok(()),
    }
}

/// Turns a failure of the hook, or its running late, into an error of the login.
fn check_hook(verdict: Option<Result<Verdict, BoxError>>) -> Result<Verdict, LoginError> {
    match verdict {
        Some(Ok(verdict)) => Ok(verdict),
        Some(Err(error)) => {
            let error = catch_panic(|| error.to_string()).unwrap_or_else(|panic| panic.to_string());
            // The text may hold what QQ sent, line feeds included.
            let error = error.escape_debug();
            tracing::error!("the on_login hook failed: {error}");
            Err(LoginError::new(Refused, "the app's on_login hook failed"))
        }
        None => {
            let detail = "the app's on_login hook did not finish in time";
            Err(LoginError::new(QqTimeout, detail))
        }
    }
}
