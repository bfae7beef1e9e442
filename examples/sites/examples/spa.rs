//! A JSON API and one page with a script, which shows a login where the API says that somebody is needed.
//!
//! ```text
//! cargo run --example spa
//! ```
//!
//! The page asks `/api/me`. Signed out, the answer is 401 with `login_url`; the page makes a button of it that comes
//! back to the path it was on. A session that ends in the middle shows at the next call, in the same way. `LISTEN` and
//! the variables of QQ are those of the quickstart.

use std::{error::Error, process::ExitCode};

use axum::{
    Json, Router,
    response::{Html, IntoResponse},
    routing::{any, get, post},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use tower_qq_auth::{QqAuthLayer, QqUser};

mod common;

/// The site. Every path that is not of the API is the page's own, and so is what is on it.
fn site(qq: QqAuthLayer) -> Router {
    Router::new()
        .route("/api/me", get(me))
        .route("/api/notes", post(save))
        .route("/api/{*rest}", any(StatusCode::NOT_FOUND))
        .route("/app.js", get(script))
        .fallback(get(page))
        .layer(qq)
}

async fn me(user: QqUser) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(user))
}

#[derive(Deserialize, Serialize)]
struct Note {
    text: String,
}

/// `Json` takes `application/json` only, which another site cannot send with somebody's cookie unless it is allowed to.
async fn save(user: QqUser, Json(note): Json<Note>) -> Json<Note> {
    tracing::info!("{} saved a note", user.openid());
    Json(note)
}

async fn page() -> impl IntoResponse {
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, Html(include_str!("spa/index.html")))
}

async fn script() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (headers, include_str!("spa/app.js"))
}

/// Scripts, styles and calls of this site alone, and no HTML made of text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

#[tokio::main]
async fn main() -> ExitCode {
    common::main(run()).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = common::Server::from_env().await?;
    let site = site(server.qq());
    server.serve(site).await
}
