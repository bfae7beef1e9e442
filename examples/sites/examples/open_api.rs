//! A site that asks one of QQ's APIs in the name of whoever is signed in, and refreshes the tokens for that.
//!
//! ```text
//! cargo run --example open_api
//! ```
//!
//! `LISTEN` and the variables of QQ are those of the quickstart. Another API than `get_user_info` has to be granted to
//! the QQ app first and named in `QqApp::scope`.

use std::{error::Error, process::ExitCode};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use tower_qq_auth::{LoginError, LoginErrorKind, LoginRequired, QqClient, QqTokens, QqUser};

mod common;

type Reply = Result<Response, Response>;

/// What QQ says of the person now, not at the login.
async fn profile(State(qq): State<QqClient>, user: QqUser, tokens: QqTokens) -> Reply {
    let (path, token) = ("/user/get_user_info", tokens.access_token());
    let reply = qq.open_api(path, token, user.openid(), &[]).await;
    Ok(Json(reply.map_err(no_answer)?).into_response())
}

/// New tokens in place of those that run out. As a part of the response they go into the session.
async fn refresh(State(qq): State<QqClient>, tokens: QqTokens) -> Reply {
    let used_up = tokens.refresh_token();
    let used_up = used_up.ok_or_else(|| LoginRequired.into_response())?;
    let fresh = qq.refresh(used_up).await.map_err(no_answer)?;
    Ok((fresh, Redirect::to("/profile")).into_response())
}

/// Where QQ does not take the tokens any more, a login brings others. Anything else may pass.
fn no_answer(error: LoginError) -> Response {
    tracing::warn!("{error}");
    match error.kind() {
        LoginErrorKind::CodeRejected => LoginRequired.into_response(),
        _ => StatusCode::BAD_GATEWAY.into_response(),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    common::main(run()).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = common::Server::from_env().await?;
    let site = Router::new()
        .route("/", get(async || common::page(HOME)))
        .route("/profile", get(profile))
        .route("/refresh", post(refresh))
        .with_state(server.client())
        .layer(server.qq().keep_tokens()); // sealed in the session cookie
    server.serve(site).await
}

const HOME: &str = "<p>用 QQ 的令牌调用接口。<br><span lang=\"en\">Asks an API of QQ with the tokens of a login.</span></p>\
    <p><a href=\"/profile\">/profile</a></p>\
    <form method=\"post\" action=\"/refresh\"><button>刷新令牌 <span lang=\"en\">Refresh</span></button></form>";
