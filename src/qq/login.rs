//! A login: code, token, openid, profile.

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{client::QqClient, identity::Identity, profile::build_user};
use crate::error::LoginErrorKind::{CodeRejected, QqUnavailable};
use crate::error::{LoginError, Step};
use crate::login::QqLogin;
use crate::tokens::QqTokens;
use crate::user::OpenId;

impl QqClient {
    /// Logs in with the code that came to the callback: token, openid, profile.
    ///
    /// The code is used up even if the login fails. If the openid comes with the token, a UnionID
    /// that cannot be obtained never fails it.
    ///
    /// # Errors
    ///
    /// Returns an error if the token or the openid cannot be obtained or, with
    /// [`require_profile`](crate::QqAppBuilder::require_profile), the profile, and if QQ says that
    /// the token belongs to another app or another user.
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
        let (identity, profile) = match openid {
            Some(openid) => {
                let unionid = async {
                    if !self.app().options.request_union_id {
                        return Ok(None);
                    }
                    self.request_union_id(&tokens, &openid, deadline).await
                };
                let profile = self.request_profile(&tokens, &openid, deadline);
                let (unionid, profile) = tokio::try_join!(unionid, profile)?;
                (Identity { openid, unionid }, profile)
            }
            None => {
                let identity = self.request_identity(&tokens, deadline).await?;
                let openid = &identity.openid;
                let profile = self.request_profile(&tokens, openid, deadline).await?;
                (identity, profile)
            }
        };
        let user = build_user(identity.openid, identity.unionid, profile.as_ref());
        Ok(QqLogin::new(user, profile, tokens))
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
