//! Everything that one layer knows of its site. Built once, then immutable.

use std::{fmt, sync::Arc, time::SystemTime};

use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::hooks::account_of::AccountOf;
use crate::hooks::failure_page::FailurePage;
use crate::hooks::on_login::OnLogin;
use crate::login_state::LoginStates;
use crate::paths::Paths;
use crate::qq::client::QqClient;
use crate::request::query::{Query, encode};
use crate::return_to::ReturnTo;
use crate::revocation::check::Revocations;
use crate::session::Session;
use crate::session::current::{CurrentSession, SessionStatus};
use crate::session::sessions::Sessions;

pub(crate) struct Site {
    pub(crate) client: QqClient,
    pub(crate) paths: Paths,
    pub(crate) sessions: Sessions,
    pub(crate) login_states: LoginStates,
    pub(crate) revocations: Revocations,
    /// One permit for each login that may wait for QQ.
    pub(crate) logins_in_flight: Arc<Semaphore>,
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

    pub(crate) fn origin(&self) -> &str {
        self.client.app().redirect_uri.origin()
    }

    /// Returns the URL that starts a login which ends at `return_to`.
    pub(crate) fn login_url(&self, return_to: &ReturnTo) -> String {
        let login = &self.paths.login;
        if *return_to == ReturnTo::home() {
            return login.clone();
        }
        format!("{login}?return_to={}", encode(return_to.as_str()))
    }

    /// Like [`login_url`](Self::login_url), with `/` for anything but a path of the site.
    pub(crate) fn login_url_for(&self, return_to: &str) -> String {
        self.login_url(&self.return_to(return_to))
    }

    /// Returns the `return_to` of a query, or `/`.
    pub(crate) fn requested_return_to(&self, query: &Query<'_>) -> ReturnTo {
        self.return_to(query.get("return_to").once().unwrap_or("/"))
    }

    /// Asks the revocation list about a session.
    pub(crate) async fn check(&self, session: Option<Box<Session>>) -> CurrentSession {
        let status = match &session {
            Some(session) => self.revocations.ask_status(session).await,
            None => SessionStatus::Valid,
        };
        CurrentSession { session, status }
    }

    /// Revokes a session. A failure is in the log; the caller can do nothing about it.
    pub(crate) async fn revoke(&self, session: &Session) {
        self.revocations
            .revoke_session(&self.sessions, session, self.now())
            .await;
    }

    fn return_to(&self, given: &str) -> ReturnTo {
        ReturnTo::new(given, &self.paths).unwrap_or_else(ReturnTo::home)
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
