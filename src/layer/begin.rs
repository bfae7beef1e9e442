//! Starting a session for a login that did not come by the callback.

use std::time;

use http::Request;
use tokio::time::Instant;

use super::QqAuthLayer;
use crate::admission::{Admission, ConfirmedLogin};
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::Misconfigured;
use crate::events::{log_stray, log_success};
use crate::login::QqLogin;
use crate::qq_session::QqSession;
use crate::random::generate_support_code;
use crate::session::Session;

impl QqAuthLayer {
    /// Starts a session for a login that did not come by the callback, such as one of a phone app,
    /// whose token [`QqClient::verify`](crate::QqClient::verify) has checked.
    ///
    /// It runs [`on_login`](crate::QqAuthLayerBuilder::on_login), with an empty head, and the
    /// check against the revocation list. The handler returns the session as a part of its
    /// response, in a POST that no other site can cause: see the [rules](crate::session). A path
    /// that the hook redirects to is ignored. The session outlives the browser, like that of a
    /// login without `remember=0`.
    ///
    /// # Errors
    ///
    /// Returns an error if the hook refuses, fails, panics or does not finish within
    /// [`login_timeout`](crate::QqAppBuilder::login_timeout), if the user was revoked meanwhile, if
    /// the list is unavailable, if the session does not fit into its cookie, or if the layer is
    /// [`without_session`](crate::QqAuthLayerBuilder::without_session).
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::{Json, extract::State};
    /// use tower_qq_auth::{LoginError, QqAuthLayer, QqSession};
    ///
    /// async fn log_in(
    ///     State(qq): State<QqAuthLayer>,
    ///     Json(access_token): Json<String>,
    /// ) -> Result<(QqSession, String), LoginError> {
    ///     let session = qq.begin(qq.client().verify(&access_token).await?).await?;
    ///     let nickname = session.user().nickname().to_owned();
    ///     Ok((session, nickname))
    /// }
    /// # drop(axum::Router::<QqAuthLayer>::new().route("/", axum::routing::post(log_in)));
    /// ```
    pub async fn begin(&self, login: QqLogin) -> Result<QqSession, LoginError> {
        let (arrived_at, support_code) = (time::Instant::now(), generate_support_code());
        match self.start_session(login, &support_code).await {
            Ok(session) => {
                log_success(session.user.profile_complete(), arrived_at.elapsed());
                Ok(QqSession::new(&self.site, session))
            }
            Err(error) => {
                let error = error.with_support_code(support_code);
                // The same token can be sent again and again.
                log_stray(&error, arrived_at.elapsed(), None, &self.site.log_limit);
                Err(error)
            }
        }
    }

    async fn start_session(
        &self,
        login: QqLogin,
        support_code: &str,
    ) -> Result<Session, LoginError> {
        const NO_SESSIONS: &str = "the layer keeps no sessions: `without_session`";
        if !self.site.keeps_sessions {
            // The app's hook would run for nothing.
            return Err(LoginError::new(Misconfigured, NO_SESSIONS));
        }
        let (head, ()) = Request::new(()).into_parts();
        let login = ConfirmedLogin {
            site: &self.site,
            login,
            head: Some(head),
            previous: None,
            is_remembered: true,
            deadline: Instant::now() + self.site.client.app().options.login_timeout,
            support_code,
        };
        match login.admit().await? {
            Admission::Admitted(admitted) => {
                let session = admitted.session;
                session.ok_or_else(|| LoginError::new(Misconfigured, NO_SESSIONS))
            }
            Admission::Refused(refused) => Err(refused.into_error()),
        }
    }
}
