//! From a code to a user.

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{client::QqClient, identity::Identity, profile};
use crate::error::LoginErrorKind::{CodeRejected, QqUnavailable};
use crate::error::{LoginError, Step};
use crate::login::QqLogin;
use crate::tokens::QqTokens;
use crate::user::OpenId;

impl QqClient {
    /// Logs in with the code that came to the callback: token, openid, profile.
    ///
    /// # Errors
    ///
    /// Returns an error if any step but the profile fails. The profile fails the login only with
    /// [`require_profile`](crate::QqAppBuilder::require_profile). The code is used up in any case.
    pub async fn login(&self, code: &str) -> Result<QqLogin, LoginError> {
        self.login_before(code, Instant::now() + self.app().login_timeout)
            .await
    }

    pub(crate) async fn login_before(
        &self,
        code: &str,
        deadline: Instant,
    ) -> Result<QqLogin, LoginError> {
        let (tokens, openid) = self.exchange(code, deadline).await?;
        let (identity, profile) = match openid {
            Some(openid) if self.app().request_union_id => tokio::try_join!(
                async { self.identity(&tokens, Some(&openid), deadline).await },
                async { self.profile(&tokens, &openid, deadline).await },
            )?,
            Some(openid) => {
                let profile = self.profile(&tokens, &openid, deadline).await?;
                let unionid = None;
                (Identity { openid, unionid }, profile)
            }
            None => {
                let identity = self.identity(&tokens, None, deadline).await?;
                let profile = self.profile(&tokens, &identity.openid, deadline).await?;
                (identity, profile)
            }
        };
        let user = profile::user(identity.openid, identity.unionid, profile.as_ref());
        Ok(QqLogin::new(user, profile, tokens))
    }

    /// Returns the profile, or `None` if QQ gives none and the app does not require it.
    async fn profile(
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
            Err(error) if self.app().require_profile => Err(match error.kind() {
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
