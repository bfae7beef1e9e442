//! QQ's other APIs, which all take the same three parameters and answer in the same shape.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    client::QqClient,
    mend::{mend, remove_unreadable},
    profile::build_user,
    reply::{Reply, integer},
    response::{accept, finish_call, unreadable_reply},
};
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::Misconfigured;
use crate::error::place::Step;
use crate::identity::Identity;
use crate::ids::OpenId;
use crate::tokens::QqTokens;
use crate::user::QqUser;

impl QqClient {
    /// Calls one of QQ's other APIs and returns the whole reply.
    ///
    /// Sends a GET within [`call_timeout`](crate::QqAppBuilder::call_timeout). `path` is a plain
    /// path such as `/user/get_vip_info`. `params` are percent-encoded and added to the three that
    /// every API takes: `access_token`, `oauth_consumer_key`, which is the app of the tokens, and
    /// `openid`. A reply may have up to 64 KiB. Fields whose text is not Unicode are left out.
    ///
    /// # Errors
    ///
    /// Returns an error if QQ is unreachable, busy, late or refuses the call.
    /// [`CodeRejected`](crate::LoginErrorKind::CodeRejected) means that QQ no longer accepts the
    /// token, [`Misconfigured`](crate::LoginErrorKind::Misconfigured) also that `path` is not a
    /// plain path.
    pub async fn open_api(
        &self,
        path: &str,
        tokens: &QqTokens,
        openid: &OpenId,
        params: &[(&str, &str)],
    ) -> Result<Map<String, Value>, LoginError> {
        let step = Step::OpenApi;
        // Anything else behind the base URL may name another host, which would get the token.
        if !path.starts_with('/') || path.contains(['?', '#']) {
            let detail = "the path must be a plain one such as /user/get_vip_info";
            return Err(LoginError::new(Misconfigured, detail).with_step(step));
        }
        let deadline = Instant::now() + self.app().options.call_timeout;
        self.call_api(step, path, tokens, openid, params, deadline)
            .await
    }

    /// Requests the profile of a user and returns it as a [`QqUser`] without UnionID, at the app of
    /// the tokens.
    ///
    /// # Errors
    ///
    /// Returns an error if QQ is unreachable, busy, late or refuses the call.
    /// [`CodeRejected`](crate::LoginErrorKind::CodeRejected) means that QQ no longer accepts the
    /// token.
    pub async fn user_info(
        &self,
        tokens: &QqTokens,
        openid: &OpenId,
    ) -> Result<QqUser, LoginError> {
        let profile = self
            .open_api("/user/get_user_info", tokens, openid, &[])
            .await?;
        let identity = Identity::of_app(Arc::clone(tokens.app_or(&self.app().id)), openid.clone());
        Ok(build_user(identity, None, Some(&profile)))
    }

    pub(super) async fn call_api(
        &self,
        step: Step,
        path: &str,
        tokens: &QqTokens,
        openid: &OpenId,
        params: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Map<String, Value>, LoginError> {
        let mut query = vec![
            ("access_token", tokens.access_token()),
            ("oauth_consumer_key", tokens.app_or(&self.app().id)),
            ("openid", openid.as_str()),
        ];
        query.extend_from_slice(params);
        let body = self.get(step, path, &query, deadline).await?;
        finish_call(step, parse_api_reply(&body))
    }
}

fn parse_api_reply(body: &[u8]) -> Result<Map<String, Value>, LoginError> {
    let reply = Reply::parse(body).or_else(|| {
        let mut reply = Reply::parse(mend(body).as_bytes())?;
        remove_unreadable(&mut reply.fields);
        Some(reply)
    });
    let reply = accept(reply, None)?;
    match reply.fields.get("ret").and_then(integer) {
        Some(0) if !reply.is_form => Ok(reply.fields),
        _ => Err(unreadable_reply()),
    }
}
