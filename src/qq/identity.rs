//! From a token to an openid, and to the UnionID where it is wanted.

use serde_json::Value;
use tokio::time::Instant;

use super::{
    QqClient,
    codes::{Meaning, meaning},
    judge::{accepted, counted, garbage},
    reply::Reply,
};
use crate::{LoginError, LoginErrorKind::AudienceMismatch, OpenId, UnionId, error::Step};

/// Whose token it is.
pub(super) struct Identity {
    pub(super) openid: OpenId,
    pub(super) unionid: Option<UnionId>,
}

impl QqClient {
    /// Who `/me` says it is: the same person as `known`, if somebody is.
    pub(super) async fn identity(
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
                AudienceMismatch,
                "qq names two different people for one token",
            )
            .at(Step::OpenId)),
            _ => Ok(identity),
        }
    }

    async fn me(
        &self,
        access_token: &str,
        union_id: bool,
        deadline: Instant,
    ) -> Result<Identity, LoginError> {
        let step = Step::OpenId;
        let mut query = vec![("access_token", access_token), ("fmt", "json")];
        if union_id {
            query.push(("unionid", "1"));
        }
        let body = self.get(step, "/oauth2.0/me", &query, deadline).await?;
        counted(step, || self.identified(step, &body))
    }

    fn identified(&self, step: Step, body: &[u8]) -> Result<Identity, LoginError> {
        let reply = accepted(step, Reply::parse(body), Some("openid"))?;
        if reply.is_form {
            return Err(garbage(step));
        }
        if reply.text("client_id") != Some(self.app.id.as_str()) {
            let detail = "qq says that the token belongs to another app, or to none";
            return Err(LoginError::new(AudienceMismatch, detail).at(step));
        }
        let openid = reply.text("openid").and_then(|id| OpenId::new(id).ok());
        let unionid = match reply.fields.get("unionid") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) if id.is_empty() => None,
            Some(Value::String(id)) => Some(UnionId::new(id).map_err(|_| garbage(step))?),
            Some(_) => return Err(garbage(step)),
        };
        let openid = openid.ok_or_else(|| garbage(step))?;
        Ok(Identity { openid, unionid })
    }
}

fn is_about_union_id(error: &LoginError) -> bool {
    error
        .qq_code()
        .is_some_and(|code| meaning(code) == Meaning::UnionIdNotGranted)
}
