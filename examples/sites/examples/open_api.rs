//! A site that calls one of QQ's APIs for the signed-in user and refreshes the tokens.
//!
//! ```text
//! cargo run -p sites --example open_api
//! ```
//!
//! Open `/profile` and sign in: the page is QQ's reply to a call with the user's token. The button
//! exchanges the tokens for new ones. It reads `LISTEN` and the variables of QQ like the
//! quickstart. QQ has to grant any other API than `get_user_info` to the app first; name it in
//! `QqAppBuilder::scope`.

use std::error::Error;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use sites::{Server, page};
use tower_qq_auth::{
    LoginError, LoginErrorKind, LoginRequired, QqAuthLayer, QqClient, QqTokens, QqUser,
};

/// Returns the profile as it is now, not as it was at the login.
async fn profile(
    State(qq): State<QqClient>,
    user: QqUser,
    tokens: QqTokens,
) -> Result<Response, Response> {
    let reply = qq
        .open_api("/user/get_user_info", &tokens, user.openid(), &[])
        .await
        .map_err(failure)?;
    Ok(Json(reply).into_response())
}

/// Exchanges the tokens for new ones. As part of the response they replace those in the session.
async fn refresh(
    State(qq): State<QqClient>,
    tokens: QqTokens,
) -> Result<(QqTokens, Redirect), Response> {
    let fresh = qq.refresh(&tokens).await.map_err(failure)?;
    Ok((fresh, Redirect::to("/profile")))
}

/// If QQ no longer accepts the tokens, a login brings new ones. Other errors may pass.
fn failure(error: LoginError) -> Response {
    tracing::warn!("{error}");
    match error.kind() {
        LoginErrorKind::CodeRejected => LoginRequired.into_response(),
        _ => StatusCode::BAD_GATEWAY.into_response(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let qq = QqAuthLayer::builder(server.client(), server.keys())
        .keep_tokens() // sealed in the session cookie
        .build()?;
    let site = Router::new()
        .route("/", get(async || page(HOME)))
        .route("/profile", get(profile))
        .route("/refresh", post(refresh))
        .with_state(server.client())
        .layer(qq);
    server.serve(site).await
}

const HOME: &str = r#"<p>用登录时获得的 token 调用 QQ 接口。<br>
<span lang="en">Calls an API of QQ with the tokens of a login.</span></p>
<p><a href="/profile">/profile</a></p>
<form method="post" action="/refresh">
<button>刷新 token <span lang="en">Refresh</span></button></form>"#;
