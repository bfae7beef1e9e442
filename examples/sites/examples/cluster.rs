//! Two instances of one site that share nothing but their keys and a list of revoked sessions.
//!
//! ```text
//! cargo run --example cluster --features redis
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --example cluster --features redis
//! ```
//!
//! Sign in at the one and look at the other: the same person. Sign out at the one: the cookie is worthless at the other.
//! Without `REDIS_URL` the list is in the memory of this process. `LISTEN` is the address of the first instance, by
//! default `127.0.0.1:3000`, where QQ sends people back to; the second has another port. With a real app (`QQ_APP_ID`,
//! `QQ_APP_KEY`, `QQ_REDIRECT_URI`, `QQ_SESSION_KEY`) further processes with the same settings are further machines.

use std::{env, error::Error, process::ExitCode};

use axum::{Json, Router, extract::State, response::Response, routing::get, routing::post};
use http::StatusCode;
use tokio::net::TcpListener;
use tower_qq_auth::{InMemoryRevocations, QqAuthLayer, QqUser, RedisRevocations};

mod common;

use common::{Server, page, person};

/// One instance.
fn site(qq: QqAuthLayer, name: &'static str) -> Router {
    Router::new()
        .route("/", get(async move |user: Option<QqUser>| home(name, user)))
        .route("/whoami", get(async |user: Option<QqUser>| Json(user)))
        .route("/me", get(async |user: QqUser| Json(user)))
        .route("/leave-everywhere", post(leave_everywhere))
        .with_state(qq.clone())
        .layer(qq)
}

fn home(name: &str, user: Option<QqUser>) -> Response {
    let who = match user {
        None => "<p><a class=\"button\" href=\"/auth/qq/login\">QQ 登录 <span lang=\"en\">Sign in with QQ</span></a></p>"
            .into(),
        Some(user) => {
            let person = person(user.nickname(), user.avatar(), "");
            format!(
                "{person}<form method=\"post\" action=\"/auth/qq/logout\">\
                 <button>退出登录 <span lang=\"en\">Sign out</span></button></form>\
                 <form method=\"post\" action=\"/leave-everywhere\">\
                 <button>退出所有设备 <span lang=\"en\">Sign out everywhere</span></button></form>"
            )
        }
    };
    page(&format!(
        "<p>实例 <span lang=\"en\">instance</span> {name}</p>{who}"
    ))
}

/// The app's part of it: whoever asks is signed out wherever they are signed in.
async fn leave_everywhere(user: QqUser, State(qq): State<QqAuthLayer>) -> StatusCode {
    match qq.revoke_user(user.openid()).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    common::main(run()).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let redis = env::var("REDIS_URL").ok().filter(|url| !url.is_empty());
    let [first, second] = match redis {
        // Each with a connection and a cache of its own, as on two machines.
        Some(url) => [
            server.qq().revocations(RedisRevocations::cached(&url)?),
            server.qq().revocations(RedisRevocations::cached(&url)?),
        ],
        None => {
            let list = InMemoryRevocations::new();
            [
                server.qq().revocations(list.clone()),
                server.qq().revocations(list),
            ]
        }
    };
    // The same host, for the same cookies: browsers keep no ports apart.
    let listener = TcpListener::bind((server.host(), 0)).await?;
    common::say(&format!("second        http://{}/", listener.local_addr()?))?;
    let second = common::with_style(site(second, "B"));
    tokio::spawn(async move { axum::serve(listener, second).await });
    server.serve(site(first, "A")).await
}
