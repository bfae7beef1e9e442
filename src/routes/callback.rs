//! The path of the redirect URI: QQ sends the browser back with a code.
//!
//! 1. The state is checked first. If it belongs to no login of this browser, no other parameter is read
//!    and QQ is not called.
//! 2. A code of six digits, or an error parameter, counts as an error reported by QQ.
//! 3. A login with an intent succeeds only for the account that started it.
//! 4. Every outcome uses up the login, except `overloaded`, which the browser can retry.
//! 5. A stale callback (reload, Back, a second tab) redirects a signed-in user to `/` instead of
//!    showing an error, unless the login has an intent. It starts no session.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, request};
use tokio::time::{Instant, timeout_at};
use tower::BoxError;

use super::{
    account::{account_digest, has_account},
    action::Action,
    code::read_code,
    context::{CompletedLogin, RequestContext},
    events::{AbandonGuard, log_failure, log_success},
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
use crate::login_state::{OpenedLogin, PendingLogin, UnknownState};
use crate::meter::InFlight;
use crate::request::head::RequestHead;
use crate::request::query::Query;
use crate::request::requester::Requester;
use crate::respond::response::{LayerResponse, see_other, with_cookies};
use crate::return_to::ReturnTo;
use crate::session::Session;
use crate::session::current::CurrentSession;
use crate::site::Site;

const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(2);

pub(super) fn finish_login(
    site: &Arc<Site>,
    head: RequestHead<'_>,
    requester: Requester,
    current: CurrentSession,
) -> Action {
    let query = Query::parse(head.query());
    let mut callback = Callback {
        site: Arc::clone(site),
        reporter: Reporter::new(head, requester),
        is_signed_in: current.valid().is_some() || has_account(site, head, &current),
        login: PendingLogin::home(),
        removal: None,
    };
    let state = query.state.once().unwrap_or_default();
    match site.pending_logins.open(head.headers, state, site.now()) {
        Ok(OpenedLogin { login, removal }) => {
            callback.login = login;
            callback.removal = Some(removal);
        }
        Err(UnknownState(return_to)) => {
            callback.login.return_to = return_to;
            let detail = "the state belongs to no login of this browser";
            return Action::Respond(callback.fail(LoginError::new(InvalidState, detail)));
        }
    }
    let code = callback
        .check_account(head, &current)
        .and_then(|()| read_code(&query));
    let code = match code {
        Ok(code) => code.to_owned(),
        Err(error) => return Action::Respond(callback.fail(error)),
    };
    let Ok(permit) = Arc::clone(&site.logins_in_flight).try_acquire_owned() else {
        let error = LoginError::new(Overloaded, "too many logins are under way")
            .with_retry_after(OVERLOADED_RETRY_AFTER);
        return Action::Respond(callback.fail(error));
    };
    let hook = site.on_login.as_ref();
    let parts = hook.map(|_| parts_for_hook(head, &current));
    let guard = AbandonGuard::new(callback.reporter.arrived_at);
    Action::Wait(Box::pin(async move {
        let in_flight = (permit, InFlight::new());
        let outcome = callback.run(&code, parts).await;
        drop(in_flight);
        let action = match outcome.map(|(login, verdict)| (login, verdict.into_result())) {
            Ok((login, Ok(accepted))) => {
                callback
                    .accept(login, accepted, current.into_session())
                    .await
            }
            Ok((_, Err(refused))) => Action::Respond(callback.refuse(refused)),
            Err(error) => Action::Respond(callback.fail(error)),
        };
        guard.disarm();
        action
    }))
}

/// One callback, and all that its answer depends on.
struct Callback {
    site: Arc<Site>,
    reporter: Reporter,
    is_signed_in: bool,
    login: PendingLogin,
    /// The cookie that removes the login cookie, if that could be opened.
    removal: Option<HeaderValue>,
}

impl Callback {
    /// Fails unless the account is still the one that started a login with an intent.
    fn check_account(
        &self,
        head: RequestHead<'_>,
        current: &CurrentSession,
    ) -> Result<(), LoginError> {
        match &self.login.intent {
            Some(intent) if intent.account != account_digest(&self.site, head, current)? => {
                let detail = "a different account was signed in when the login started";
                Err(LoginError::new(Refused, detail))
            }
            _ => Ok(()),
        }
    }

    /// Asks QQ for the user and the app for its verdict.
    async fn run(
        &self,
        code: &str,
        parts: Option<request::Parts>,
    ) -> Result<(QqLogin, Verdict), LoginError> {
        let client = &self.site.client;
        let deadline = Instant::now() + client.app().options.login_timeout;
        let login = client.login_by(code, deadline).await?;
        let intent = self.login.intent.as_ref();
        let login = login
            .with_return_to(self.login.return_to.to_location())
            .with_intent(intent.map(|intent| intent.name.clone()));
        let Some((hook, parts)) = self.site.on_login.as_ref().zip(parts) else {
            return Ok((login, Verdict::allow()));
        };
        let verdict = timeout_at(deadline, hook.call(login.clone(), parts)).await;
        Ok((login, unwrap_verdict(verdict.ok())?))
    }

    async fn accept(
        self,
        login: QqLogin,
        accepted: AcceptedLogin,
        replaced: Option<Box<Session>>,
    ) -> Action {
        let site = &self.site;
        let return_to = match accepted.redirect_to {
            Some(path) => self.resolve_redirect(path),
            None => self.login.return_to.clone(),
        };
        let session = match session_cookie(site, &login) {
            Ok(session) => session,
            Err(error) => return Action::Respond(self.fail(error)),
        };
        // The browser drops the replaced cookie, so no logout could revoke that session later.
        if let Some(replaced) = replaced {
            site.revoke(&replaced).await;
        }
        log_success(&login, self.reporter.arrived_at.elapsed());
        if site.forwards_callback {
            let completed = CompletedLogin {
                login: login.with_return_to(return_to.to_location()),
                session,
                removal: self.removal,
            };
            let requester = self.reporter.requester;
            return Action::Forward(RequestContext::for_callback(
                self.site, requester, completed,
            ));
        }
        let response = with_cookies(see_other(&return_to.to_location()), session);
        Action::Respond(self.remove_login_cookie(response))
    }

    fn refuse(&self, refused: RefusedLogin) -> LayerResponse {
        let error = LoginError::new(Refused, "the app refused the login");
        match refused.redirect_to {
            Some(path) => {
                log_failure(&error, self.reporter.arrived_at.elapsed());
                let response = see_other(&self.resolve_redirect(path).to_location());
                self.remove_login_cookie(response)
            }
            None => self.fail(error.with_reason(refused.reason)),
        }
    }

    /// Shows the error, or redirects a signed-in user to `/`.
    fn fail(&self, error: LoginError) -> LayerResponse {
        let is_harmless = self.is_signed_in && self.login.intent.is_none();
        let response = match error.kind() {
            // The browser can bring this callback again, so its cookie stays.
            Overloaded => return self.report(error),
            // A reload: this login has already ended and been logged.
            InvalidState if is_harmless => see_other("/"),
            InvalidCallback | CodeRejected if is_harmless => {
                log_failure(&error, self.reporter.arrived_at.elapsed());
                see_other("/")
            }
            _ => self.report(error),
        };
        self.remove_login_cookie(response)
    }

    /// Offers a new login or, with an intent, the `return_to`.
    fn report(&self, error: LoginError) -> LayerResponse {
        let return_to = &self.login.return_to;
        if self.login.intent.is_some() {
            let page = return_to.to_location();
            self.reporter.report(&self.site, error, Retry::Page(&page))
        } else {
            let url = self.site.login_url(return_to);
            self.reporter.report(&self.site, error, Retry::Login(&url))
        }
    }

    fn remove_login_cookie(&self, response: LayerResponse) -> LayerResponse {
        with_cookies(response, self.removal.clone())
    }

    /// Returns the path that the hook chose, or `/` if it is not one of the site.
    fn resolve_redirect(&self, path: String) -> ReturnTo {
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
    let cookie = cookie.map_err(|error| LoginError::new(Misconfigured, error.to_string()))?;
    Ok(Some(cookie))
}

/// Turns a failed or late hook into a login error.
fn unwrap_verdict(verdict: Option<Result<Verdict, BoxError>>) -> Result<Verdict, LoginError> {
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
