//! From a code to a person.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    Identity, QqClient, accepted,
    codes::{Meaning, meaning},
    counted, garbage, profile,
    reply::{Reply, integer},
};
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

    /// What the login was started for, if it was started with `?intent=…`: see [`QqAuthLayer`](crate::QqAuthLayer).
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

    /// Exchanges a refresh token for new tokens. The refresh token is used up; the new ones hold its successor.
    ///
    /// # Errors
    ///
    /// As for a login; [`CodeRejected`](LoginErrorKind::CodeRejected) says that the person has to sign in again.
    pub async fn refresh(&self, refresh_token: &str) -> Result<QqTokens, LoginError> {
        let deadline = Instant::now() + self.app.call_timeout;
        let grant = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        let (tokens, _) = self.token(&grant, deadline).await?;
        Ok(tokens)
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

    /// The tokens, and the openid where QQ sends it along.
    async fn token(
        &self,
        grant: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<(QqTokens, Option<OpenId>), LoginError> {
        let step = Step::Token;
        let mut query = grant.to_vec();
        query.extend([
            ("client_id", self.app.id.as_str()),
            ("client_secret", &self.app.key),
            ("fmt", "json"),
        ]);
        let body = self.get(step, "/oauth2.0/token", &query, deadline).await?;
        counted(step, || tokens(step, &body))
    }

    /// Who `/me` says it is: the same person as `known`, if somebody is.
    async fn identity(
        &self,
        token: &str,
        known: Option<&OpenId>,
        deadline: Instant,
    ) -> Result<Identity, LoginError> {
        let union_id = self.app.union_id;
        let identity = match self.me(token, union_id, deadline).await {
            Err(error) if union_id && is_about_union_id(&error) => {
                tracing::warn!("signing in without the UnionID: {error}");
                match known {
                    Some(openid) => Ok(Identity {
                        openid: openid.clone(),
                        unionid: None,
                    }),
                    None => self.me(token, false, deadline).await,
                }
            }
            outcome => outcome,
        }?;
        match known {
            Some(openid) if *openid != identity.openid => Err(LoginError::new(
                LoginErrorKind::AudienceMismatch,
                "qq names two different people for one token",
            )
            .at(Step::OpenId)),
            _ => Ok(identity),
        }
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

/// What a reply to a grant brings.
fn tokens(step: Step, body: &[u8]) -> Result<(QqTokens, Option<OpenId>), LoginError> {
    let reply = accepted(step, Reply::parse(body), Some("access_token"))?;
    let token = |name| {
        reply
            .text(name)
            .filter(|token| is_token(token))
            .map(String::from)
    };
    let expires_in = reply.fields.get("expires_in").and_then(integer);
    // The order is token, lifetime, refresh token: without a lifetime the token may be cut off.
    if reply.is_form && expires_in.is_none() {
        return Err(garbage(step));
    }
    let openid = match reply.fields.get("openid") {
        None => None,
        Some(Value::String(id)) => Some(OpenId::new(id).map_err(|_| garbage(step))?),
        Some(_) => return Err(garbage(step)),
    };
    let tokens = QqTokens {
        access_token: token("access_token").ok_or_else(|| garbage(step))?,
        refresh_token: token("refresh_token"),
        expires_in: expires_in
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| (1..=LONGEST_LIFETIME).contains(seconds))
            .map(Duration::from_secs),
    };
    Ok((tokens, openid))
}

/// Ten years, in seconds.
const LONGEST_LIFETIME: u64 = 10 * 365 * 24 * 60 * 60;

fn is_token(token: &str) -> bool {
    (1..=1024).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_about_union_id(error: &LoginError) -> bool {
    error
        .qq_code()
        .is_some_and(|code| meaning(code) == Meaning::UnionIdNotGranted)
}
