//! A login: code, token, openid, profile.

use std::{slice, sync::Arc};

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{client::QqClient, profile::build_user, token_owner::TokenOwner};
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::{CodeRejected, QqUnavailable};
use crate::error::place::Step;
use crate::identity::Identity;
use crate::ids::OpenId;
use crate::login::QqLogin;
use crate::tokens::QqTokens;

impl QqClient {
    /// Logs in with the code that came to the callback: token, openid, profile.
    ///
    /// The code is used up even if the login fails. If the openid comes with the token, a UnionID
    /// that cannot be obtained never fails the login.
    ///
    /// # Errors
    ///
    /// Returns an error if the token or the openid cannot be obtained, if QQ says that the token
    /// belongs to another app or another user, or, with
    /// [`require_profile`](crate::QqAppBuilder::require_profile), if the profile cannot be
    /// obtained.
    pub async fn login(&self, code: &str) -> Result<QqLogin, LoginError> {
        let deadline = Instant::now() + self.app().options.login_timeout;
        self.login_by(code, deadline).await
    }

    pub(crate) async fn login_by(
        &self,
        code: &str,
        deadline: Instant,
    ) -> Result<QqLogin, LoginError> {
        let (tokens, openid) = self.exchange(code, deadline).await?;
        match openid {
            Some(openid) => {
                let unionid = async {
                    if !self.app().options.request_union_id {
                        return Ok(None);
                    }
                    self.request_union_id(&tokens, &openid, deadline).await
                };
                let profile = self.request_profile(&tokens, &openid, deadline);
                let (unionid, profile) = tokio::try_join!(unionid, profile)?;
                let owner = TokenOwner {
                    app_id: Arc::clone(&self.app().id),
                    openid,
                    unionid,
                };
                Ok(owner.into_login(tokens, profile))
            }
            None => {
                let app = slice::from_ref(&self.app().id);
                let token = tokens.access_token();
                let owner = self.request_owner(token, app, deadline).await?;
                self.finish_login(owner, tokens, deadline).await
            }
        }
    }

    /// Requests the profile of the owner of these tokens and returns the login.
    pub(super) async fn finish_login(
        &self,
        owner: TokenOwner,
        tokens: QqTokens,
        deadline: Instant,
    ) -> Result<QqLogin, LoginError> {
        let profile = self.request_profile(&tokens, &owner.openid, deadline);
        let profile = profile.await?;
        Ok(owner.into_login(tokens, profile))
    }

    /// Returns the profile, or `None` if QQ gives none and the app does not require it.
    async fn request_profile(
        &self,
        tokens: &QqTokens,
        openid: &OpenId,
        deadline: Instant,
    ) -> Result<Option<Map<String, Value>>, LoginError> {
        let (step, path) = (Step::Profile, "/user/get_user_info");
        match self
            .call_api(step, path, tokens, openid, &[], deadline)
            .await
        {
            Ok(profile) => Ok(Some(profile)),
            Err(error) if self.app().options.require_profile => Err(match error.kind() {
                // QQ accepted the code; it only withholds the profile.
                CodeRejected => error.with_kind(QqUnavailable),
                _ => error,
            }),
            Err(error) => {
                tracing::warn!("signing in without a profile: {error}");
                Ok(None)
            }
        }
    }
}

impl TokenOwner {
    /// Returns the login of the user with this profile.
    fn into_login(self, tokens: QqTokens, profile: Option<Map<String, Value>>) -> QqLogin {
        let identity = Identity::of_app(self.app_id, self.openid);
        let user = build_user(identity, self.unionid, profile.as_ref());
        QqLogin::new(user, profile, tokens)
    }
}
