//! The hook that decides whether a login succeeds.

use std::pin::Pin;

use http::request;
use tower::BoxError;

use super::panics::catch_panics;
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::Refused;
use crate::login::QqLogin;

/// The app's answer to a login that QQ confirmed, for
/// [`on_login`](crate::QqAuthLayerBuilder::on_login).
///
/// ```
/// use tower_qq_auth::Verdict;
///
/// let welcome = Verdict::allow().redirect_to("/welcome");
/// let member = Verdict::allow().with_account("42");
/// let banned = Verdict::refuse("this account is closed");
/// let survey = Verdict::refuse("too young").redirect_to("/not-yet");
/// # drop((welcome, member, banned, survey));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a verdict does nothing until on_login returns it"]
pub struct Verdict {
    /// The reason of a refusal.
    refusal: Option<String>,
    redirect_to: Option<String>,
    account: Option<String>,
    ends_other_sessions: bool,
}

impl Verdict {
    /// Signs the user in. The login ends at its `return_to`.
    pub fn allow() -> Self {
        Self {
            refusal: None,
            redirect_to: None,
            account: None,
            ends_other_sessions: false,
        }
    }

    /// Refuses the login. A page with status 403 shows `reason` as plain text.
    pub fn refuse(reason: impl Into<String>) -> Self {
        let refusal = Some(reason.into());
        Self {
            refusal,
            ..Self::allow()
        }
    }

    /// Sends the browser to this page instead, whether the login is allowed or refused: a path of
    /// the site, or a URL of a [trusted origin](crate::QqAuthLayerBuilder::trusted_origins).
    ///
    /// Any other becomes the home page, and the log has an error. A popup does not follow it: the
    /// page of a success links to it, a refusal shows the usual page, and the popup of a trusted
    /// origin ends at its `return_to`.
    pub fn redirect_to(mut self, page: impl Into<String>) -> Self {
        self.redirect_to = Some(page.into());
        self
    }

    /// Sets the app's own id of the user, 1 to 256 bytes, which
    /// [`QqSession::account`](crate::QqSession::account) returns from the first page on.
    ///
    /// A longer or empty one fails the login as `app_failed`. A refused login ignores it,
    /// and so does a layer [`without_session`](crate::QqAuthLayerBuilder::without_session).
    pub fn with_account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Ends all other sessions of the user, and keeps the one that this login starts.
    ///
    /// Needs a [revocation list](crate::QqAuthLayerBuilder::revocations): without one the login
    /// ends as `misconfigured`. Of two such logins at once, one may be refused. A user is one
    /// [`Identity`](crate::Identity): if an account has several, revoke the others.
    #[cfg(feature = "revocation")]
    pub fn end_other_sessions(mut self) -> Self {
        self.ends_other_sessions = true;
        self
    }

    /// Splits the verdict, so that a refused login cannot be taken for an accepted one.
    pub(crate) fn into_result(self) -> Result<AcceptedLogin, RefusedLogin> {
        let redirect_to = self.redirect_to;
        match self.refusal {
            None => Ok(AcceptedLogin {
                redirect_to,
                account: self.account,
                ends_other_sessions: self.ends_other_sessions,
            }),
            Some(reason) => Err(RefusedLogin {
                reason,
                redirect_to,
            }),
        }
    }
}

pub(crate) struct AcceptedLogin {
    pub(crate) redirect_to: Option<String>,
    pub(crate) account: Option<String>,
    #[cfg_attr(not(feature = "revocation"), allow(dead_code))]
    pub(crate) ends_other_sessions: bool,
}

pub(crate) struct RefusedLogin {
    pub(crate) reason: String,
    pub(crate) redirect_to: Option<String>,
}

impl RefusedLogin {
    pub(crate) fn into_error(self) -> LoginError {
        LoginError::new(Refused, "the app refused the login").with_reason(self.reason)
    }
}

type VerdictFuture = Pin<Box<dyn Future<Output = Result<Verdict, BoxError>> + Send>>;

/// The hook of [`QqAuthLayerBuilder::on_login`](crate::QqAuthLayerBuilder::on_login).
pub(crate) struct OnLogin(Box<dyn Fn(QqLogin, request::Parts) -> VerdictFuture + Send + Sync>);

impl OnLogin {
    /// The hook is cloned for each login, like a handler of axum, so that an `async move` closure
    /// can use what it captured.
    pub(crate) fn new<F, Fut>(hook: F) -> Self
    where
        F: FnOnce(QqLogin, request::Parts) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Verdict, BoxError>> + Send + 'static,
    {
        Self(Box::new(move |login, head| {
            Box::pin(hook.clone()(login, head))
        }))
    }

    /// Calls the hook. A panic becomes an error.
    pub(crate) async fn call(
        &self,
        login: QqLogin,
        head: request::Parts,
    ) -> Result<Verdict, BoxError> {
        catch_panics(async { (self.0)(login, head).await }).await
    }
}
