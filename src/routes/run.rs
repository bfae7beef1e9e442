//! One run of a login: QQ confirms the user, the app decides, a session starts.
//!
//! A login runs in its own task, so it completes even if the client disconnects. It runs once for
//! each state, whatever its outcome.

use std::sync::Arc;
use std::time::Instant;

use http::request;
use tokio::time;
use tower::BoxError;

use crate::error::LoginError;
use crate::error::LoginErrorKind::{AppFailed, Misconfigured, Refused};
use crate::hooks::on_login::Verdict;
use crate::hooks::panics::catch_panic;
use crate::login::QqLogin;
use crate::login_state::PendingLogin;
use crate::logins::outcome::{Accepted, LoginResult, Outcome};
use crate::random::generate_support_code;
use crate::return_to::ReturnTo;
use crate::session::Session;
use crate::site::Site;

/// A login that is about to run, and everything that its outcome depends on.
pub(super) struct LoginRun {
    pub(super) site: Arc<Site>,
    pub(super) code: String,
    pub(super) login: PendingLogin,
    /// The head of the callback, if the app has a hook.
    pub(super) head: Option<request::Parts>,
    /// The session that the new one replaces.
    pub(super) replaced: Option<Box<Session>>,
    pub(super) arrived_at: Instant,
}

impl LoginRun {
    pub(super) async fn run(self) -> Outcome {
        let arrived_at = self.arrived_at;
        let support_code = generate_support_code();
        let result = self.confirm(&support_code).await;
        let result = result
            .unwrap_or_else(|error| LoginResult::Failed(error.with_support_code(support_code)));
        Outcome::new(result, arrived_at.elapsed())
    }

    async fn confirm(self, support_code: &str) -> Result<LoginResult, LoginError> {
        let site = &self.site;
        let deadline = time::Instant::now() + site.client.app().options.login_timeout;
        let login = site.client.login_by(&self.code, deadline).await?;
        let intent = self.login.intent.as_ref();
        let login = login
            .with_return_to(self.login.return_to.to_location())
            .with_intent(intent.map(|intent| intent.name.clone()));
        let verdict = match site.on_login.as_ref().zip(self.head) {
            Some((hook, head)) => {
                let verdict = time::timeout_at(deadline, hook.call(login.clone(), head)).await;
                unwrap_verdict(verdict.ok(), support_code)?
            }
            None => Verdict::allow(),
        };
        let accepted = match verdict.into_result() {
            Ok(accepted) => accepted,
            Err(refused) => {
                let error = LoginError::new(Refused, "the app refused the login");
                return match refused.redirect_to {
                    Some(path) => Ok(LoginResult::Refused(error, resolve_redirect(site, path))),
                    None => Err(error.with_reason(refused.reason)),
                };
            }
        };
        let return_to = match accepted.redirect_to {
            Some(path) => resolve_redirect(site, path),
            None => self.login.return_to,
        };
        let session = start_session(site, &login)?;
        // The browser drops the replaced cookie, so no logout could revoke that session later.
        if let Some(replaced) = self.replaced {
            site.end_session(&replaced).await;
        }
        Ok(LoginResult::Accepted(Box::new(Accepted {
            session,
            profile_complete: login.user().profile_complete(),
            login: site
                .forwards_callback
                .then(|| login.with_return_to(return_to.to_location())),
            return_to,
        })))
    }
}

/// Creates the session, unless the app keeps the sessions.
fn start_session(site: &Site, login: &QqLogin) -> Result<Option<Session>, LoginError> {
    if !site.keeps_sessions {
        return Ok(None);
    }
    let user = login.user().clone();
    let session = site.sessions.start(user, Some(login.tokens()), site.now());
    // Each response seals it anew; this one shows that it fits.
    let cookie = site.sessions.write(session.clone());
    cookie.map_err(|error| LoginError::new(Misconfigured, error.to_string()))?;
    Ok(Some(session))
}

/// Turns a failed or late hook into a login error.
fn unwrap_verdict(
    verdict: Option<Result<Verdict, BoxError>>,
    support_code: &str,
) -> Result<Verdict, LoginError> {
    match verdict {
        Some(Ok(verdict)) => Ok(verdict),
        Some(Err(error)) => {
            let error = catch_panic(|| error.to_string()).unwrap_or_else(|panic| panic.to_string());
            // The text may hold what QQ sent, line feeds included.
            let error = error.escape_debug();
            tracing::error!(support_code, "the on_login hook failed: {error}");
            Err(LoginError::new(AppFailed, "the app's on_login hook failed"))
        }
        None => {
            let detail = "the app's on_login hook did not finish in time";
            Err(LoginError::new(AppFailed, detail))
        }
    }
}

/// Returns the path that the hook chose, or `/` if it is not one of the site.
fn resolve_redirect(site: &Site, path: String) -> ReturnTo {
    ReturnTo::new(path, &site.paths).unwrap_or_else(|| {
        tracing::error!("the on_login hook redirects to a path that is not of this site");
        ReturnTo::home()
    })
}
