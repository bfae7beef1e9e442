//! The answer to a callback whose state is valid.

use std::sync::Arc;

use http::HeaderValue;

use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::{
    AppFailed, CodeRejected, InvalidCallback, InvalidState, Misconfigured, Overloaded, Refused,
    SessionUnverified,
};
use crate::events::log_stray;
use crate::hooks::failure_page::Retry;
use crate::login::QqLogin;
use crate::login_state::pending::PendingLogin;
use crate::logins::outcome::{Accepted, HandlerTurn, LoginResult, Outcome};
use crate::logins::shared::OutcomeReceiver;
use crate::random::generate_support_code;
use crate::request::head::RequestHead;
use crate::respond::response::{LayerResponse, see_other, with_cookies};
use crate::routes::account::account_digest;
use crate::routes::action::Action;
use crate::routes::context::{CompletedLogin, RequestContext};
use crate::routes::failure::Reporter;
use crate::routes::popup::end_popup;
use crate::session::current::{CurrentSession, SessionStatus};
use crate::site::Site;

/// One callback, and all that its answer depends on.
pub(super) struct Callback {
    pub(super) site: Arc<Site>,
    pub(super) reporter: Reporter,
    pub(super) is_signed_in: bool,
    pub(super) login: PendingLogin,
    /// The cookie that removes the login cookie, if that could be opened.
    pub(super) removal: Option<HeaderValue>,
}

impl Callback {
    /// Fails unless the account is still the one that started a login with an intent.
    pub(super) fn check_account(
        &self,
        head: RequestHead<'_>,
        current: &CurrentSession,
    ) -> Result<(), LoginError> {
        let Some(intent) = &self.login.intent else {
            return Ok(());
        };
        if Some(intent.account) == account_digest(&self.site, head, current)? {
            return Ok(());
        }
        let detail = "a different account was signed in when the login started";
        Err(LoginError::new(Refused, detail))
    }

    /// Waits for the outcome of a login that another request runs or has run, and answers with it
    /// if the session is still good.
    pub(super) async fn join(self, mut outcome: OutcomeReceiver) -> Action {
        let received = outcome.receive().await;
        if let Some(LoginResult::Accepted(accepted)) = received.as_ref().map(|it| &it.result) {
            if let Err(error) = self.check_session(accepted).await {
                return Action::Respond(self.fail(error));
            }
        }
        self.deliver(outcome).await
    }

    /// Waits for the outcome of the login and answers with it.
    pub(super) async fn deliver(self, mut outcome: OutcomeReceiver) -> Action {
        let Some(outcome) = outcome.receive().await else {
            return Action::Respond(self.fail(LoginError::new(AppFailed, "the login was lost")));
        };
        match &outcome.result {
            LoginResult::Failed(error) => {
                outcome.mark_fetched();
                Action::Respond(self.answer(error.clone(), error.is_code_unused()))
            }
            LoginResult::Refused(error, return_to) => {
                outcome.mark_fetched();
                let response = match self.login.is_popup {
                    true => self.show(error.clone()),
                    false => see_other(&return_to.to_location()),
                };
                Action::Respond(self.remove_login_cookie(response))
            }
            LoginResult::Accepted(accepted) => match self.hand_out(&outcome, accepted).await {
                Ok(action) => action,
                Err(error) => Action::Respond(self.fail(error)),
            },
        }
    }

    /// Signs the browser in, or forwards the callback to the app, unless the session has ended.
    async fn hand_out(&self, outcome: &Outcome, accepted: &Accepted) -> Result<Action, LoginError> {
        let turn = match &accepted.login {
            Some(login) => Some((login.clone(), outcome.wait_for_handler().await)),
            None => None,
        };
        let is_answered = turn.as_ref().is_some_and(|(_, turn)| turn.is_answered());
        if is_answered || outcome.has_ended() {
            return Err(LoginError::used());
        }
        outcome.mark_fetched();
        if let Some((login, turn)) = turn {
            return Ok(self.forward(accepted, login, turn));
        }
        let session = accepted.session.as_ref();
        let cookie = session.map(|session| self.site.sessions.write(session));
        let cookie = cookie
            .transpose()
            .map_err(|error| LoginError::new(Misconfigured, error.to_string()))?;
        let response = match self.login.is_popup {
            true => end_popup(&self.login, &accepted.return_to, self.reporter.language),
            false => see_other(&accepted.return_to.to_location()),
        };
        let response = with_cookies(response, cookie);
        Ok(Action::Respond(self.remove_login_cookie(response)))
    }

    fn forward(&self, accepted: &Accepted, login: QqLogin, turn: HandlerTurn) -> Action {
        let completed = CompletedLogin {
            login,
            session: accepted.session.clone().map(Arc::new),
            removal: self.removal.clone(),
            turn,
        };
        let context =
            RequestContext::for_callback(Arc::clone(&self.site), self.reporter, completed);
        Action::Forward(context)
    }

    /// Fails if the session was revoked since the login.
    async fn check_session(&self, accepted: &Accepted) -> Result<(), LoginError> {
        let Some(session) = &accepted.session else {
            return Ok(());
        };
        let revocations = &self.site.revocations;
        let status = match revocations.known_status(session) {
            Some(status) => status,
            None => revocations.ask_status(session).await,
        };
        match status {
            SessionStatus::Valid | SessionStatus::Assumed => Ok(()),
            SessionStatus::Revoked => Err(LoginError::used()),
            SessionStatus::Unverified => Err(LoginError::unverified()),
        }
    }

    /// Logs the error and answers with it.
    pub(super) fn fail(&self, error: LoginError) -> LayerResponse {
        let error = error.with_support_code(generate_support_code());
        // A reload by a signed-in user is not logged: its login ended earlier, and was logged then.
        if error.kind() != InvalidState || !self.is_harmless() {
            let (site, elapsed) = (&self.site, self.reporter.arrived_at.elapsed());
            // Any visitor can start a login and send its callback as often as they like.
            log_stray(&error, elapsed, None, &site.log_limit);
        }
        // The browser can send this callback again.
        let keeps_cookie =
            error.is_code_unused() || matches!(error.kind(), Overloaded | SessionUnverified);
        self.answer(error, keeps_cookie)
    }

    /// Shows the error, or redirects a signed-in user to `/`.
    fn answer(&self, error: LoginError, keeps_cookie: bool) -> LayerResponse {
        let response = match error.kind() {
            InvalidState | InvalidCallback | CodeRejected if self.is_harmless() => {
                see_other(&self.site.paths.home())
            }
            _ => self.show(error),
        };
        if keeps_cookie {
            return response;
        }
        self.remove_login_cookie(response)
    }

    fn is_harmless(&self) -> bool {
        self.is_signed_in && self.login.intent.is_none() && !self.login.is_popup
    }

    /// Offers a new login or, with an intent, the `return_to`.
    fn show(&self, error: LoginError) -> LayerResponse {
        let (site, login) = (&self.site, &self.login);
        let (page, url) = (login.return_to.to_location(), site.login_url(login));
        let retry = match login.intent {
            Some(_) => Retry::Page(&page),
            None => Retry::Login(&url),
        };
        self.reporter.show(site, error, login, retry)
    }

    fn remove_login_cookie(&self, response: LayerResponse) -> LayerResponse {
        with_cookies(response, self.removal.clone())
    }
}
