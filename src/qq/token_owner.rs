//! Requesting the owner of a token: app, openid and UnionID.

use std::{slice, sync::Arc};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    client::QqClient,
    codes::{Meaning, meaning},
    reply::Reply,
    response::{accept, finish_call, unreadable_reply},
};
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::AudienceMismatch;
use crate::error::place::Step;
use crate::ids::{OpenId, UnionId};
use crate::tokens::QqTokens;

/// The user and the app that a token belongs to.
pub(super) struct TokenOwner {
    pub(super) app_id: Arc<str>,
    pub(super) openid: OpenId,
    pub(super) unionid: Option<UnionId>,
}

impl QqClient {
    /// Requests the owner of a token of one of these apps, with the UnionID if the app wants it and
    /// QQ grants it.
    pub(super) async fn request_owner(
        &self,
        access_token: &str,
        apps: &[Arc<str>],
        deadline: Instant,
    ) -> Result<TokenOwner, LoginError> {
        let union_id = self.app().options.request_union_id;
        match self
            .request_me(access_token, apps, union_id, deadline)
            .await
        {
            Err(error) if union_id && is_union_id_refused(&error) => {
                tracing::warn!("signing in without the UnionID: {error}");
                self.request_me(access_token, apps, false, deadline).await
            }
            result => result,
        }
    }

    /// Requests the UnionID of a user whose openid is known. Returns an error only if QQ says that
    /// the token belongs to another app or another user.
    pub(super) async fn request_union_id(
        &self,
        tokens: &QqTokens,
        openid: &OpenId,
        deadline: Instant,
    ) -> Result<Option<UnionId>, LoginError> {
        // Leaves time for the app's hook, which would fail the login by running late.
        let now = Instant::now();
        let deadline = now + deadline.saturating_duration_since(now) * 3 / 4;
        let (token, app) = (tokens.access_token(), slice::from_ref(&self.app().id));
        match self.request_me(token, app, true, deadline).await {
            Ok(owner) if owner.openid == *openid => Ok(owner.unionid),
            Ok(_) => {
                let detail = "QQ names two different users for one token";
                Err(LoginError::new(AudienceMismatch, detail).with_step(Step::OpenId))
            }
            Err(error) if error.kind() == AudienceMismatch => Err(error),
            Err(error) => {
                tracing::warn!("signing in without the UnionID: {error}");
                Ok(None)
            }
        }
    }

    async fn request_me(
        &self,
        access_token: &str,
        apps: &[Arc<str>],
        union_id: bool,
        deadline: Instant,
    ) -> Result<TokenOwner, LoginError> {
        let step = Step::OpenId;
        let mut query = vec![("access_token", access_token), ("fmt", "json")];
        if union_id {
            query.push(("unionid", "1"));
        }
        let body = self.get(step, "/oauth2.0/me", &query, deadline).await?;
        finish_call(step, parse_owner(&body, apps))
    }
}

fn parse_owner(body: &[u8], apps: &[Arc<str>]) -> Result<TokenOwner, LoginError> {
    let reply = accept(Reply::parse(body), Some("openid"))?;
    let has = |name| reply.fields.contains_key(name);
    // A reply that names no user at all is unreadable, not a mismatch.
    if reply.is_form || !has("client_id") && !has("openid") {
        return Err(unreadable_reply());
    }
    let client_id = reply.text("client_id");
    let Some(app_id) = apps.iter().find(|&app| Some(&**app) == client_id) else {
        let detail = "QQ says that the token belongs to another app, or to none";
        return Err(LoginError::new(AudienceMismatch, detail));
    };
    let openid = reply.text("openid").and_then(|id| OpenId::new(id).ok());
    let openid = openid.ok_or_else(unreadable_reply)?;
    let unionid = reply.fields.get("unionid").and_then(read_union_id);
    Ok(TokenOwner {
        app_id: Arc::clone(app_id),
        openid,
        unionid,
    })
}

fn read_union_id(value: &Value) -> Option<UnionId> {
    let unionid = match value.as_str() {
        Some("") => return None,
        _ if value.is_null() => return None,
        text => text.and_then(|id| UnionId::new(id).ok()),
    };
    if unionid.is_none() {
        tracing::warn!("signing in without the UnionID: QQ's reply has one of unknown shape");
    }
    unionid
}

fn is_union_id_refused(error: &LoginError) -> bool {
    let code = error.qq_code();
    code.is_some_and(|code| meaning(code) == Meaning::UnionIdNotGranted)
}
