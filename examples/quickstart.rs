//! A small site with QQ login: a public page, a page that needs a user, and sign-out.
//!
//! ```text
//! cargo run --example quickstart
//! ```
//!
//! With nothing configured it has a made-up QQ inside. With `QQ_APP_ID`, `QQ_APP_KEY`, `QQ_REDIRECT_URI` and
//! `QQ_SESSION_KEY` it talks to the real one (or to the one at `QQ_BASE_URL`). `LISTEN` is the address to listen on, by
//! default `127.0.0.1:3000`; `RUST_LOG` says what is logged.

use std::{error::Error, process::ExitCode};

use axum::{Json, Router, response::Response, routing::get};
use tower_qq_auth::{QqAuthLayer, QqUser};

mod common;

use common::{Server, page, person};

/// The site. The layer comes last, on the outermost router.
fn site(qq: QqAuthLayer) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/whoami", get(whoami))
        .route("/me", get(me))
        .layer(qq)
}

/// Public: anybody may come.
async fn home(user: Option<QqUser>) -> Response {
    let content = match user {
        None => "<p>你还没有登录。<br><span lang=\"en\">You are not signed in.</span></p>\
             <p><a class=\"button\" href=\"/auth/qq/login\">QQ 登录 <span lang=\"en\">Sign in with QQ</span></a></p>"
            .into(),
        Some(user) => greeting(&user),
    };
    page(&content)
}

/// Public: who is there, for programs.
async fn whoami(user: Option<QqUser>) -> Json<Option<QqUser>> {
    Json(user)
}

/// Needs somebody: anybody else is sent to the login and comes back, or gets 401.
async fn me(user: QqUser) -> Json<QqUser> {
    Json(user)
}

fn greeting(user: &QqUser) -> String {
    let openid = format!("openid {}", user.openid());
    let person = person(user.nickname(), user.avatar(), &openid);
    format!(
        "{person}\
         <p><a href=\"/me\">/me</a> · <a href=\"/whoami\">/whoami</a></p>\
         <form method=\"post\" action=\"/auth/qq/logout\">\
         <button>退出登录 <span lang=\"en\">Sign out</span></button></form>"
    )
}

#[tokio::main]
async fn main() -> ExitCode {
    common::main(run()).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let site = site(server.qq());
    server.serve(site).await
}
