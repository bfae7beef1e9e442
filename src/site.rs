//! The state that all clones of one layer share.

use std::{borrow::Cow, fmt, sync::Arc, time::SystemTime};

use http::{HeaderValue, uri::PathAndQuery};
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

use crate::clock::Clock;
#[cfg(feature = "revocation")]
use crate::events::log_other_sessions_ended;
use crate::hooks::account_of::AccountOf;
use crate::hooks::failure_page::FailurePage;
use crate::hooks::on_login::OnLogin;
use crate::log_limit::LogLimit;
use crate::login_state::PendingLogins;
use crate::login_state::pending::PendingLogin;
use crate::logins::Logins;
use crate::origins::Origins;
use crate::paths::Paths;
use crate::percent::encode_path;
use crate::qq::client::QqClient;
use crate::request::initiator::Initiator;
use crate::return_to::ReturnTo;
#[cfg(feature = "revocation")]
use crate::revocation::list::RevocationError;
use crate::session::Session;
use crate::session::current::CurrentSession;
#[cfg(feature = "revocation")]
use crate::session::id::SessionId;
use crate::session::sessions::Sessions;
use crate::session_check::Revocations;

/// The settings, keys, hooks and tables of one layer, and its client.
pub(crate) struct Site {
    pub(crate) client: QqClient,
    pub(crate) paths: Paths,
    pub(crate) origins: Origins,
    pub(crate) sessions: Sessions,
    pub(crate) pending_logins: PendingLogins,
    pub(crate) revocations: Revocations,
    pub(crate) logins: Arc<Logins>,
    pub(crate) log_limit: LogLimit,
    pub(crate) clock: Clock,
    pub(crate) on_login: Option<OnLogin>,
    pub(crate) account_of: Option<AccountOf>,
    pub(crate) failure_page: Option<FailurePage>,
    /// The app answers the callback of a login that succeeded.
    pub(crate) forwards_callback: bool,
    /// A login starts a session of the layer, not of the app.
    pub(crate) keeps_sessions: bool,
}

impl Site {
    pub(crate) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    /// Returns the page that this `return_to` names, or the home page if it is not allowed.
    pub(crate) fn return_to(&self, given: &str) -> ReturnTo {
        ReturnTo::new(given, &self.paths, &self.origins).unwrap_or_else(|| self.home())
    }

    /// Returns the page of a request, whose path has no public prefix.
    pub(crate) fn requested_page(&self, page: &PathAndQuery) -> ReturnTo {
        ReturnTo::requested(page.as_str(), &self.paths).unwrap_or_else(|| self.home())
    }

    /// Returns the page with this URL, as a header of the request names it.
    pub(crate) fn page_by_url(&self, url: &HeaderValue) -> ReturnTo {
        let url = url.to_str().unwrap_or_default();
        ReturnTo::by_url(url, &self.paths, &self.origins).unwrap_or_else(|| self.home())
    }

    pub(crate) fn home(&self) -> ReturnTo {
        ReturnTo::home(&self.paths)
    }

    /// Returns the URL that starts this login. It leaves out the intent.
    pub(crate) fn login_url(&self, login: &PendingLogin) -> String {
        let return_to = (login.return_to != self.home())
            .then(|| format!("return_to={}", encode_path(login.return_to.as_str())));
        let parameters = [
            login.is_popup.then(|| "popup=1".to_owned()),
            (!login.is_remembered).then(|| "remember=0".to_owned()),
            return_to,
        ];
        let query: Vec<String> = parameters.into_iter().flatten().collect();
        let separator = if query.is_empty() { "" } else { "?" };
        format!(
            "{}{separator}{}",
            self.paths.public_login(),
            query.join("&")
        )
    }

    /// Makes a path of the site absolute for a page of a trusted origin, which would resolve it
    /// against its own.
    pub(crate) fn url_for<'u>(&self, initiator: Initiator, url: &'u str) -> Cow<'u, str> {
        match initiator {
            Initiator::Trusted if url.starts_with('/') => {
                Cow::Owned(format!("{}{url}", self.origins.site()))
            }
            _ => Cow::Borrowed(url),
        }
    }

    /// Returns whether a `Set-Cookie` header sets or removes a cookie of the layer.
    pub(crate) fn is_layer_cookie(&self, cookie: &HeaderValue) -> bool {
        self.sessions.is_set_by(cookie) || self.pending_logins.are_set_by(cookie)
    }

    /// Asks the revocation list about a session.
    pub(crate) async fn check(&self, session: Arc<Session>) -> CurrentSession {
        let status = self.revocations.ask_status(&session).await;
        CurrentSession::new(session, status)
    }

    /// Revokes a session and stops handing out the login that started it.
    pub(crate) async fn end_session(&self, session: &Session) {
        let left = self.sessions.ends_at(session).duration_since(self.now());
        let (user, left) = (session.user.identity(), left.unwrap_or_default());
        self.logins.end_session(&user, session.id);
        let revoked = self.revocations.revoke_session(
            &user,
            session.id,
            Some(session.stamp()),
            self.now(),
            left,
        );
        // A failure is in the log, and the caller can do nothing about it.
        let _ = revoked.await;
    }

    /// Ends a session in a task of its own, so that it ends even if the client leaves.
    pub(crate) fn spawn_end(self: &Arc<Self>, session: Arc<Session>) -> JoinHandle<()> {
        let site = Arc::clone(self);
        let ended = async move { site.end_session(&session).await };
        tokio::spawn(ended.instrument(Span::current()))
    }

    /// Ends all sessions of a user, and returns the one that replaces this one.
    #[cfg(feature = "revocation")]
    pub(crate) async fn end_other_sessions(
        &self,
        mut session: Session,
        id: SessionId,
    ) -> Result<Session, RevocationError> {
        let (now, lifetime) = (self.now(), self.sessions.settings().limits.lifetime);
        let stamp = self.revocations.end_other_sessions(&session, now, lifetime);
        let stamp = stamp.await?;
        log_other_sessions_ended(&self.log_limit);
        self.logins
            .end_session(&session.user.identity(), session.id);
        session.id = id;
        session.set_stamp(stamp);
        Ok(session)
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("client", &self.client)
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}
