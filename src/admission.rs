//! Admitting a user whom QQ has confirmed: the app decides, and the session starts.

use http::request;
use tokio::time::{Instant, timeout_at};
use tower::BoxError;

use crate::error::LoginError;
use crate::error::LoginErrorKind::{AppFailed, Misconfigured};
use crate::hooks::on_login::{AcceptedLogin, RefusedLogin, Verdict};
use crate::hooks::panics::catch_panic;
use crate::login::QqLogin;
use crate::random::random_bytes;
use crate::session::sessions::NewSession;
use crate::session::{Session, check_account};
use crate::site::Site;

/// A login that QQ has confirmed, and everything that its session depends on.
pub(crate) struct ConfirmedLogin<'s> {
    pub(crate) site: &'s Site,
    pub(crate) login: QqLogin,
    /// The head of the request, for the app's hook.
    pub(crate) head: Option<request::Parts>,
    pub(crate) is_remembered: bool,
    /// The time by which the hook has to finish.
    pub(crate) deadline: Instant,
    pub(crate) support_code: &'s str,
}

pub(crate) enum Admission {
    Admitted(Box<Admitted>),
    Refused(RefusedLogin),
}

pub(crate) struct Admitted {
    pub(crate) login: QqLogin,
    /// `None` if the app keeps the sessions.
    pub(crate) session: Option<Session>,
    pub(crate) redirect_to: Option<String>,
}

impl ConfirmedLogin<'_> {
    pub(crate) async fn admit(mut self) -> Result<Admission, LoginError> {
        if !self.site.keeps_sessions {
            let verdict = self.ask_app().await?;
            return Ok(match verdict.into_result() {
                Ok(accepted) => self.admitted(None, accepted.redirect_to),
                Err(refused) => Admission::Refused(refused),
            });
        }
        let (site, id) = (self.site, random_bytes());
        self.login = self.login.with_session_id(id);
        let (user, started_at) = (self.login.user().clone(), site.now());
        let openid = user.openid();
        let check = site.revocations.begin_login(openid, id, started_at).await?;
        let accepted = match self.ask_app().await?.into_result() {
            Ok(accepted) => accepted,
            Err(refused) => return Ok(Admission::Refused(refused)),
        };
        let AcceptedLogin {
            redirect_to,
            account,
            ends_other_sessions,
        } = accepted;
        if let Some(account) = &account {
            check_account(account).map_err(|error| {
                let support_code = self.support_code;
                tracing::error!(support_code, "the on_login hook failed: {error}");
                hook_failed()
            })?;
        }
        let new = NewSession {
            id,
            user_digest: site.revocations.user_digest(openid),
            user: user.clone(),
            account,
            tokens: Some(self.login.tokens()),
            is_remembered: self.is_remembered,
            stamp: check.stamp,
        };
        let mut session = site.sessions.start(new, started_at);
        // Each response seals it anew; this one shows that it fits.
        let cookie = site.sessions.write(&session);
        cookie.map_err(|error| LoginError::new(Misconfigured, error.to_string()))?;
        if ends_other_sessions {
            let lifetime = site.sessions.settings().limits.lifetime;
            let ended = site
                .revocations
                .replace_sessions_at_login(&session, site.now(), lifetime);
            session.replace(id, ended.await?);
        } else {
            site.revocations.confirm_login(openid, id, check).await?;
        }
        Ok(self.admitted(Some(session), redirect_to))
    }

    fn admitted(&self, session: Option<Session>, redirect_to: Option<String>) -> Admission {
        Admission::Admitted(Box::new(Admitted {
            login: self.login.clone(),
            session,
            redirect_to,
        }))
    }

    async fn ask_app(&mut self) -> Result<Verdict, LoginError> {
        let Some((hook, head)) = self.site.on_login.as_ref().zip(self.head.take()) else {
            return Ok(Verdict::allow());
        };
        let verdict = timeout_at(self.deadline, hook.call(self.login.clone(), head)).await;
        unwrap_verdict(verdict.ok(), self.support_code)
    }
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
            Err(hook_failed())
        }
        None => {
            let detail = "the app's on_login hook did not finish in time";
            Err(LoginError::new(AppFailed, detail))
        }
    }
}

fn hook_failed() -> LoginError {
    LoginError::new(AppFailed, "the app's on_login hook failed")
}
