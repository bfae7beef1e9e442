//! A page that shows the session of its request.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use tower_qq_auth::QqSession;

use crate::site::Browser;

pub(crate) fn page() -> Router {
    let show = async |session: Option<QqSession>| Json(session.as_ref().map(as_json));
    Router::new().route("/session", get(show))
}

/// Returns the session of this browser, or `null`.
pub(crate) async fn session(browser: &mut Browser) -> Value {
    serde_json::from_str(&browser.get("/session").await.body).unwrap()
}

/// Returns the account in the session of this browser, or `null`.
pub(crate) async fn account(browser: &mut Browser) -> Value {
    session(browser).await["account"].clone()
}

pub(crate) fn as_json(session: &QqSession) -> Value {
    json!({
        "user": session.user(),
        "account": session.account(),
        "access_token": session.tokens().map(|tokens| tokens.access_token().to_owned()),
        "id": session.id().to_string(),
        "started_at": seconds(session.started_at()),
        "expires_at": seconds(session.expires_at()),
    })
}

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}
