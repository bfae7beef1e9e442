//! Requesting tokens.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    client::QqClient,
    reply::{Reply, integer},
    response::{accept, finish_call, unreadable_reply},
};
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::CodeRejected;
use crate::error::place::Step;
use crate::ids::OpenId;
use crate::tokens::QqTokens;

impl QqClient {
    /// Exchanges the refresh token for new tokens.
    ///
    /// The refresh token works once; the new tokens contain the next one.
    ///
    /// # Errors
    ///
    /// Returns an error if QQ is unreachable, busy, late or refuses the call.
    /// [`CodeRejected`](crate::LoginErrorKind::CodeRejected) means that the user has to sign in
    /// again, for example because `tokens` has no refresh token or belongs to another app.
    pub async fn refresh(&self, tokens: &QqTokens) -> Result<QqTokens, LoginError> {
        let refused = |detail| LoginError::new(CodeRejected, detail).with_step(Step::Token);
        // The key of one app does not refresh the tokens of another.
        if tokens.app_or(&self.app().id) != &self.app().id {
            return Err(refused("the tokens belong to another app"));
        }
        let refresh_token = tokens.refresh_token();
        let refresh_token = refresh_token.ok_or_else(|| refused("there is no refresh token"))?;
        let deadline = Instant::now() + self.app().options.call_timeout;
        let grant = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        let (tokens, _) = self.request_tokens(&grant, deadline).await?;
        Ok(tokens)
    }

    /// Exchanges a code for tokens, and for the openid if QQ sends a readable one along.
    pub(super) async fn exchange(
        &self,
        code: &str,
        deadline: Instant,
    ) -> Result<(QqTokens, Option<OpenId>), LoginError> {
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.app().redirect_uri.as_str()),
            ("need_openid", "1"),
        ];
        self.request_tokens(&grant, deadline).await
    }

    async fn request_tokens(
        &self,
        grant: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<(QqTokens, Option<OpenId>), LoginError> {
        let step = Step::Token;
        let mut query = grant.to_vec();
        query.extend([
            ("client_id", &*self.app().id),
            ("client_secret", &self.app().key),
            ("fmt", "json"),
        ]);
        let body = self.get(step, "/oauth2.0/token", &query, deadline).await?;
        finish_call(step, parse_tokens(&body, &self.app().id))
    }
}

fn parse_tokens(body: &[u8], app_id: &Arc<str>) -> Result<(QqTokens, Option<OpenId>), LoginError> {
    let reply = accept(Reply::parse(body), Some("access_token"))?;
    let token = |name| {
        let token = reply.text(name).filter(|token| is_token(token));
        token.map(String::from)
    };
    let expires_in = reply.fields.get("expires_in").and_then(integer);
    // A form lists the token first: without the lifetime behind it, the token may be cut off.
    if reply.is_form && expires_in.is_none() {
        return Err(unreadable_reply());
    }
    // Not every version of QQ sends a readable one: `/me` has it then.
    let openid = reply.text("openid").and_then(|id| OpenId::new(id).ok());
    let tokens = QqTokens {
        app_id: Arc::clone(app_id),
        access_token: token("access_token").ok_or_else(unreadable_reply)?,
        refresh_token: token("refresh_token"),
        expires_in: expires_in
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| (1..=MAX_LIFETIME).contains(seconds))
            .map(Duration::from_secs),
    };
    Ok((tokens, openid))
}

/// Ten years, in seconds.
const MAX_LIFETIME: u64 = 10 * 365 * 24 * 60 * 60;

fn is_token(token: &str) -> bool {
    (1..=1024).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}
