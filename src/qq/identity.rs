//! From a token to an openid, and to the UnionID if the app requests it.

use serde_json::Value;
use tokio::time::Instant;

use super::{
    client::QqClient,
    codes::{Meaning, meaning},
    reply::Reply,
    response::{accept, count, unreadable},
};
use crate::error::LoginErrorKind::AudienceMismatch;
use crate::error::{LoginError, Step};
use crate::tokens::QqTokens;
use crate::user::{OpenId, UnionId};

pub(super) struct Identity {
    pub(super) openid: OpenId,
    pub(super) unionid: Option<UnionId>,
}

impl QqClient {
    /// Asks `/me` for the user of a token, who must be `known` if that is given.
    pub(super) async fn identity(
        &self,
        tokens: &QqTokens,
        known: Option<&OpenId>,
        deadline: Instant,
    ) -> Result<Identity, LoginError> {
        let union_id = self.app().request_union_id;
        let identity = match self.me(tokens, union_id, deadline).await {
            Err(error) if union_id && is_union_id_refused(&error) => {
                tracing::warn!("signing in without the UnionID: {error}");
                match known {
                    Some(openid) => Ok(Identity {
                        openid: openid.clone(),
                        unionid: None,
                    }),
                    None => self.me(tokens, false, deadline).await,
                }
            }
            result => result,
        }?;
        match known {
            Some(openid) if *openid != identity.openid => {
                let detail = "qq names two different users for one token";
                Err(LoginError::new(AudienceMismatch, detail).with_step(Step::OpenId))
            }
            _ => Ok(identity),
        }
    }

    async fn me(
        &self,
        tokens: &QqTokens,
        union_id: bool,
        deadline: Instant,
    ) -> Result<Identity, LoginError> {
        let step = Step::OpenId;
        let mut query = vec![("access_token", tokens.access_token()), ("fmt", "json")];
        if union_id {
            query.push(("unionid", "1"));
        }
        let body = self.get(step, "/oauth2.0/me", &query, deadline).await?;
        count(step, || self.parse_me(step, &body))
    }

    fn parse_me(&self, step: Step, body: &[u8]) -> Result<Identity, LoginError> {
        let reply = accept(step, Reply::parse(body), Some("openid"))?;
        let has = |name| reply.fields.contains_key(name);
        // A reply that names no user at all is unreadable, not a mismatch.
        if reply.is_form || !has("client_id") && !has("openid") {
            return Err(unreadable(step));
        }
        if reply.text("client_id") != Some(self.app().id.as_str()) {
            let detail = "qq says that the token belongs to another app, or to none";
            return Err(LoginError::new(AudienceMismatch, detail).with_step(step));
        }
        let openid = reply.text("openid").and_then(|id| OpenId::new(id).ok());
        let unionid = match reply.fields.get("unionid") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) if id.is_empty() => None,
            Some(Value::String(id)) => Some(UnionId::new(id).map_err(|_| unreadable(step))?),
            Some(_) => return Err(unreadable(step)),
        };
        let openid = openid.ok_or_else(|| unreadable(step))?;
        Ok(Identity { openid, unionid })
    }
}

fn is_union_id_refused(error: &LoginError) -> bool {
    let code = error.qq_code();
    code.is_some_and(|code| meaning(code) == Meaning::UnionIdNotGranted)
}
