//! Verifying access tokens that did not come from a callback, such as those of QQ's SDK in a phone
//! app.
//!
//! 1. The token is one word of at most 512 bytes; anything else is refused without a call.
//! 2. At most 64 verifications run at once, apart from the logins of callbacks.
//! 3. QQ names the app and the openid of the token (`/me`). The app must be on the site's list.
//! 4. The profile, and the UnionID if the site wants it, come as in a login by code.

use std::sync::Arc;

use tokio::time::Instant;

use super::client::QqClient;
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::{CodeRejected, Misconfigured};
use crate::error::place::Step;
use crate::login::QqLogin;
use crate::meter;
use crate::random::generate_support_code;
use crate::tokens::QqTokens;

const MAX_TOKEN: usize = 512;

impl QqClient {
    /// Logs in with an access token that a phone app got from QQ's SDK.
    ///
    /// QQ says whose token it is and for which app; nothing else that the phone sends proves
    /// anything, an openid least of all. The app must be in
    /// [`accept_tokens_of`](crate::QqAppBuilder::accept_tokens_of). Hand the login to
    /// [`QqAuthLayer::begin`](crate::QqAuthLayer::begin), which asks the `on_login` hook and starts
    /// the session. The user has the [`app_id`](crate::QqUser::app_id) of the phone app, and the
    /// openid there.
    ///
    /// A verification takes [`login_timeout`](crate::QqAppBuilder::login_timeout) at most, and at
    /// most 64 run at once, apart from the logins of callbacks. A token can be verified any number
    /// of times until QQ ends it.
    ///
    /// ```
    /// use axum::{Json, extract::State};
    /// use tower_qq_auth::{LoginError, QqAuthLayer, QqSession, QqUser};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct PhoneLogin {
    ///     access_token: String,
    /// }
    ///
    /// async fn log_in(
    ///     State(qq): State<QqAuthLayer>,
    ///     Json(phone): Json<PhoneLogin>, // JSON only: see the guide
    /// ) -> Result<(QqSession, Json<QqUser>), LoginError> {
    ///     let login = qq.client().verify(&phone.access_token).await?;
    ///     let session = qq.begin(login).await?;
    ///     let user = session.user().clone();
    ///     Ok((session, Json(user)))
    /// }
    /// # drop(axum::Router::<QqAuthLayer>::new().route("/", axum::routing::post(log_in)));
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the app accepts no tokens
    /// ([`Misconfigured`](crate::LoginErrorKind::Misconfigured)), if the token is not one word of
    /// at most 512 bytes or QQ does not accept it
    /// ([`CodeRejected`](crate::LoginErrorKind::CodeRejected): the phone needs a new one), if it
    /// belongs to an app that is not in the list
    /// ([`AudienceMismatch`](crate::LoginErrorKind::AudienceMismatch)), if too many verifications
    /// run ([`Overloaded`](crate::LoginErrorKind::Overloaded)), and like
    /// [`login`](Self::login) if QQ fails.
    pub async fn verify(&self, access_token: &str) -> Result<QqLogin, LoginError> {
        let result = self.verify_token(access_token).await;
        let outcome = result.as_ref().map_or_else(|it| it.kind().code(), |_| "ok");
        meter::token_verified(outcome);
        result.map_err(|error| {
            let error = error.with_support_code(generate_support_code());
            self.verifications.log(&error);
            error
        })
    }

    async fn verify_token(&self, access_token: &str) -> Result<QqLogin, LoginError> {
        let apps = &self.app().options.accepted_apps;
        if apps.is_empty() {
            let detail = "the app accepts no tokens: set `accept_tokens_of` on the `QqAppBuilder`";
            return Err(LoginError::new(Misconfigured, detail));
        }
        let is_word = access_token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_word || !(1..=MAX_TOKEN).contains(&access_token.len()) {
            let detail = "the access token is not one word of at most 512 bytes";
            return Err(LoginError::new(CodeRejected, detail).with_step(Step::OpenId));
        }
        let _place = self.verifications.enter()?;
        let deadline = Instant::now() + self.app().options.login_timeout;
        let owner = self.request_owner(access_token, apps, deadline).await?;
        let tokens = QqTokens {
            app_id: Arc::clone(&owner.app_id),
            access_token: access_token.to_owned(),
            refresh_token: None,
            expires_in: None,
        };
        self.finish_login(owner, tokens, deadline).await
    }
}
