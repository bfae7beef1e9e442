//! From a code, or a refresh token, to tokens.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{
    QqClient,
    judge::{accepted, counted, garbage},
    reply::{Reply, integer},
};
use crate::{LoginError, OpenId, QqTokens, error::Step};

impl QqClient {
    /// Exchanges a refresh token for new tokens. The refresh token is used up; the new ones hold its successor.
    ///
    /// # Errors
    ///
    /// As for a login; [`CodeRejected`](crate::LoginErrorKind::CodeRejected) says that the person has to sign in again.
    pub async fn refresh(&self, refresh_token: &str) -> Result<QqTokens, LoginError> {
        let deadline = Instant::now() + self.app.call_timeout;
        let grant = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        let (tokens, _) = self.token(&grant, deadline).await?;
        Ok(tokens)
    }

    /// The tokens, and the openid where QQ sends it along.
    pub(super) async fn token(
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
