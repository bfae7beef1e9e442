//! Admitting a login that QQ has confirmed: the app decides, and the session starts.

use std::{sync::Arc, time::SystemTime};

use http::request;
use tokio::time::{Instant, timeout_at};

use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::{AppFailed, Misconfigured};
use crate::hooks::on_login::{RefusedLogin, Verdict};
use crate::hooks::panics::catch_panic;
use crate::login::QqLogin;
#[cfg(feature = "revocation")]
use crate::revocation::list::RevocationError;
use crate::session::Session;
use crate::session::error::check_account;
use crate::session::id::SessionId;
use crate::session::sessions::NewSession;
use crate::site::Site;

/// A login that QQ has confirmed, and everything that its session depends on.
pub(crate) struct ConfirmedLogin<'s> {
    pub(crate) site: &'s Site,
    pub(crate) login: QqLogin,
    /// The head of the request, for the app's hook.
    pub(crate) head: Option<request::Parts>,
    /// The session for which a login with an intent was started. It has to last until the end.
    pub(crate) previous: Option<Arc<Session>>,
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
        let (site, id) = (self.site, SessionId::random());
        self.login = self.login.with_session_id(id);
        let user = self.login.user().identity();
        let started_at = site.now();
        let check = site.revocations.begin_login(&user, id, started_at).await?;
        let accepted = match self.ask_app().await?.into_result() {
            Ok(accepted) => accepted,
            Err(refused) => return Ok(Admission::Refused(refused)),
        };
        if let Some(previous) = &self.previous {
            site.revocations.confirm_session(previous).await?;
        }
        let session = self.start_session(id, accepted.account, check.stamp, started_at)?;
        #[cfg(feature = "revocation")]
        if accepted.ends_other_sessions {
            let ended = site.end_other_sessions(session, id).await;
            let session = ended.map_err(into_login_error)?;
            return Ok(self.admitted(Some(session), accepted.redirect_to));
        }
        site.revocations.confirm_login(&session, check).await?;
        Ok(self.admitted(Some(session), accepted.redirect_to))
    }

    fn start_session(
        &self,
        id: SessionId,
        account: Option<String>,
        stamp: SystemTime,
        started_at: SystemTime,
    ) -> Result<Session, LoginError> {
        let (sessions, user) = (&self.site.sessions, self.login.user());
        if let Some(account) = &account {
            check_account(account).map_err(|error| self.fail_hook(&error.to_string()))?;
        }
        let new = NewSession {
            id,
            user_digest: self.site.revocations.user_digest(&user.identity()),
            user: user.clone(),
            account,
            tokens: Some(self.login.tokens()),
            is_remembered: self.is_remembered,
            stamp,
        };
        let session = sessions.start(new, started_at);
        let fits = sessions.check_size(&session);
        fits.map_err(|error| LoginError::new(Misconfigured, error.to_string()))?;
        Ok(session)
    }

    fn admitted(self, session: Option<Session>, redirect_to: Option<String>) -> Admission {
        Admission::Admitted(Box::new(Admitted {
            login: self.login,
            session,
            redirect_to,
        }))
    }

    async fn ask_app(&mut self) -> Result<Verdict, LoginError> {
        let Some((hook, head)) = self.site.on_login.as_ref().zip(self.head.take()) else {
            return Ok(Verdict::allow());
        };
        let verdict = timeout_at(self.deadline, hook.call(self.login.clone(), head)).await;
        match verdict {
            Ok(Ok(verdict)) => Ok(verdict),
            Ok(Err(error)) => {
                let text = catch_panic(|| error.to_string());
                let text = text.unwrap_or_else(|panic| panic.to_string());
                // It may hold what QQ sent, line feeds included.
                Err(self.fail_hook(&text.escape_debug().to_string()))
            }
            Err(_) => {
                let detail = "the app's on_login hook did not finish in time";
                Err(LoginError::new(AppFailed, detail))
            }
        }
    }

    /// Logs the error of the hook, and returns the one of the login.
    fn fail_hook(&self, error: &str) -> LoginError {
        let support_code = self.support_code;
        tracing::error!(support_code, "the on_login hook failed: {error}");
        LoginError::new(AppFailed, "the app's on_login hook failed")
    }
}

/// Returns the error of a login that could not end the other sessions of its user.
#[cfg(feature = "revocation")]
fn into_login_error(error: RevocationError) -> LoginError {
    match error {
        RevocationError::SessionEnded => LoginError::revoked_meanwhile(),
        RevocationError::NoList => LoginError::new(Misconfigured, error.to_string()),
        RevocationError::Failed => LoginError::unverified(),
    }
}
