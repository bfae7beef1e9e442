//! One run of a login: QQ confirms the user, the app decides, a session starts.
//!
//! A login runs in its own task, so it completes even if the client disconnects. It runs once for
//! each state, whatever its outcome.

use std::sync::Arc;
use std::time::Instant;

use http::request;
use tokio::time;

use crate::admission::{Admission, Admitted, ConfirmedLogin};
use crate::error::LoginError;
use crate::login_state::pending::PendingLogin;
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
    pub(super) replaced: Option<Arc<Session>>,
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
        let login = ConfirmedLogin {
            site,
            login,
            head: self.head,
            previous: self.replaced.clone().filter(|_| intent.is_some()),
            is_remembered: self.login.is_remembered,
            deadline,
            support_code,
        };
        let Admitted {
            login,
            session,
            redirect_to,
        } = match login.admit().await? {
            Admission::Admitted(admitted) => *admitted,
            Admission::Refused(mut refused) => {
                let redirect_to = refused.redirect_to.take();
                let error = refused.into_error();
                return match redirect_to {
                    Some(path) => Ok(LoginResult::Refused(error, resolve_redirect(site, path))),
                    None => Err(error),
                };
            }
        };
        let return_to = match redirect_to {
            Some(path) => resolve_redirect(site, path),
            None => self.login.return_to,
        };
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

/// Returns the page that the hook chose, or the home page if it is not one of the site.
fn resolve_redirect(site: &Site, path: String) -> ReturnTo {
    ReturnTo::new(&path, &site.paths, &site.origins).unwrap_or_else(|| {
        tracing::error!("the on_login hook redirects to a page that is not of this site");
        site.home()
    })
}
