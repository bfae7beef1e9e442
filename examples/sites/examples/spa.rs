//! A JSON API and a single-page app that shows a login button when the API needs a user.
//!
//! ```text
//! cargo run -p sites --example spa
//! ```
//!
//! The page requests `/api/me`. Without a session the response is 401 with a `login_url`, which the
//! page turns into a button that leads back to the current path. When a session ends, the next call
//! shows it in the same way. It reads `LISTEN` and the variables of QQ like the quickstart.

use std::error::Error;

use axum::{
    Json, Router,
    response::{Html, IntoResponse},
    routing::{any, get, post},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use sites::Server;
use tower_qq_auth::{QqAuthLayer, QqUser};

/// Returns the site. The page handles every path outside the API itself.
fn site(qq: QqAuthLayer) -> Router {
    Router::new()
        .route("/api/me", get(me))
        .route("/api/notes", post(save_note))
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

/// `Json` accepts `application/json` only, so no other site can send a note with the user's cookie.
async fn save_note(user: QqUser, Json(note): Json<Note>) -> Json<Note> {
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

/// Scripts, styles and calls of this site only, and no HTML made from text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let site = site(QqAuthLayer::new(server.client(), server.keys()));
    server.serve(site).await
}
