//! From a code to a person.

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{QqClient, identity::Identity, profile};
use crate::{
    LoginError,
    LoginErrorKind::{self, QqUnavailable},
    OpenId, QqTokens, QqUser,
    error::Step,
};

/// What a login brought: the person, QQ's whole profile of them, and the tokens.
#[derive(Clone, Debug)]
pub struct QqLogin {
    user: QqUser,
    profile: Option<Map<String, Value>>,
    tokens: QqTokens,
    pub(crate) return_to: String,
    pub(crate) intent: Option<String>,
}

impl QqLogin {
    /// Who signed in.
    pub fn user(&self) -> &QqUser {
        &self.user
    }

    /// The reply of `get_user_info` as QQ sent it, if it could be had.
    ///
    /// Since 2022 `gender`, `province`, `city` and `year` are filler, not facts.
    pub fn profile(&self) -> Option<&Map<String, Value>> {
        self.profile.as_ref()
    }

    /// The tokens, for calls to QQ's other APIs.
    pub fn tokens(&self) -> &QqTokens {
        &self.tokens
    }

    /// The path of the site that the login was to end at; `/` for the login of a bare [`QqClient`].
    pub fn return_to(&self) -> &str {
        &self.return_to
    }

    /// What the login was started for, if it was started with `?intent=…`: see
    /// [`QqAuthLayer::account_of`](crate::QqAuthLayer::account_of).
    pub fn intent(&self) -> Option<&str> {
        self.intent.as_deref()
    }
}

impl QqClient {
    /// Turns the code that came to the callback into a person: token, openid, profile.
    ///
    /// # Errors
    ///
    /// If any of it fails but the profile, which fails the login only with
    /// [`QqApp::require_profile`](crate::QqApp::require_profile). Whatever happens, the code is used up.
    pub async fn login(&self, code: &str) -> Result<QqLogin, LoginError> {
        self.login_by(code, Instant::now() + self.app.login_timeout)
            .await
    }

    pub(crate) async fn login_by(
        &self,
        code: &str,
        deadline: Instant,
    ) -> Result<QqLogin, LoginError> {
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.app.redirect_uri.as_str()),
            ("need_openid", "1"),
        ];
        let (tokens, openid) = self.token(&grant, deadline).await?;
        let token = tokens.access_token();
        let (identity, profile) = match openid {
            Some(openid) if self.app.union_id => tokio::try_join!(
                async { self.identity(token, Some(&openid), deadline).await },
                async { self.profile(token, &openid, deadline).await },
            )?,
            Some(openid) => {
                let profile = self.profile(token, &openid, deadline).await?;
                let unionid = None;
                (Identity { openid, unionid }, profile)
            }
            None => {
                let identity = self.identity(token, None, deadline).await?;
                let profile = self.profile(token, &identity.openid, deadline).await?;
                (identity, profile)
            }
        };
        Ok(QqLogin {
            user: profile::user(identity.openid, identity.unionid, profile.as_ref()),
            profile,
            tokens,
            return_to: "/".into(),
            intent: None,
        })
    }

    /// Asks for the person's profile and makes a [`QqUser`] of it, without a UnionID.
    ///
    /// # Errors
    ///
    /// As for a login; [`CodeRejected`](LoginErrorKind::CodeRejected) says that the token is not good any more.
    pub async fn user_info(
        &self,
        access_token: &str,
        openid: &OpenId,
    ) -> Result<QqUser, LoginError> {
        let raw = self
            .open_api("/user/get_user_info", access_token, openid, &[])
            .await?;
        Ok(profile::user(openid.clone(), None, Some(&raw)))
    }

    /// The profile; `None` if it cannot be had and the app does without.
    async fn profile(
        &self,
        token: &str,
        openid: &OpenId,
        deadline: Instant,
    ) -> Result<Option<Map<String, Value>>, LoginError> {
        let profile = self
            .api(
                Step::Profile,
                "/user/get_user_info",
                token,
                openid,
                &[],
                deadline,
            )
            .await;
        match profile {
            Ok(profile) => Ok(Some(profile)),
            Err(error) if self.app.require_profile => Err(match error.kind() {
                // The code was good; it is the profile that QQ keeps back.
                LoginErrorKind::CodeRejected => error.with_kind(QqUnavailable),
                _ => error,
            }),
            Err(error) => {
                tracing::warn!("signing in without a profile: {error}");
                Ok(None)
            }
        }
    }
}
