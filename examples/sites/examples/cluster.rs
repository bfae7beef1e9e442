//! Two instances of one site that share their keys and a list of revoked sessions.
//!
//! ```text
//! cargo run -p sites --example cluster --features redis
//! REDIS_URL=redis://127.0.0.1:6379 cargo run -p sites --example cluster --features redis
//! ```
//!
//! Sign in at the first instance, and the second one knows you. Sign out at the first one, and the
//! cookie is void at the second. Without `REDIS_URL` the list is in the memory of this process.
//! `LISTEN` is the address of the first instance, which has the callback; the second one gets a
//! free port. With a real app (`QQ_APP_ID`, `QQ_APP_KEY`, `QQ_REDIRECT_URI`, `QQ_SESSION_KEY`) you
//! can start more processes with the same settings on other machines: with `INSTANCE`, the name
//! that its pages show, a process is one instance only.

use std::{env, error::Error, future::IntoFuture};

use axum::{Json, Router, extract::State, response::Response, routing::get, routing::post};
use http::StatusCode;
use sites::{Server, page, shutdown_signal, user_card};
use tokio::net::TcpListener;
use tower_qq_auth::{
    QqAuthLayer, QqUser,
    revocation::{InMemoryRevocations, RedisRevocations},
};

/// Returns one instance of the site.
fn site(qq: QqAuthLayer, name: &'static str) -> Router {
    Router::new()
        .route("/", get(async move |user: Option<QqUser>| home(name, user)))
        .route("/whoami", get(async |user: Option<QqUser>| Json(user)))
        .route("/me", get(async |user: QqUser| Json(user)))
        .route("/leave-everywhere", post(leave_everywhere))
        // For load balancers. It asks neither QQ nor Redis: without them other pages still work.
        .route("/healthz", get(async || ()))
        .with_state(qq.clone())
        .layer(qq)
}

fn home(name: &str, user: Option<QqUser>) -> Response {
    let content = match user {
        None => r#"<p><a class="button" href="/auth/qq/login">QQ 登录 <span lang="en">Sign in with QQ</span></a></p>"#
            .into(),
        Some(user) => {
            let card = user_card(user.nickname(), user.avatar(), "");
            format!(
                r#"{card}<form method="post" action="/auth/qq/logout">
<button class="secondary">退出登录 <span lang="en">Sign out</span></button></form>
<form method="post" action="/leave-everywhere">
<button class="secondary">在所有设备上退出登录 <span lang="en">Sign out everywhere</span></button></form>"#
            )
        }
    };
    page(&format!(
        r#"<p>服务器 <span lang="en">instance</span> {name}</p>{content}"#
    ))
}

/// Revokes all sessions of the user, on every device.
async fn leave_everywhere(user: QqUser, State(qq): State<QqAuthLayer>) -> StatusCode {
    match qq.revoke_user(user.identity()).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let redis = env::var("REDIS_URL").ok().filter(|url| !url.is_empty());
    let in_memory = InMemoryRevocations::new();
    // One connection and one cache for each instance, as on two machines.
    let layer = async || {
        let layer = QqAuthLayer::builder(server.client(), server.keys());
        let layer = match &redis {
            Some(url) => {
                let list = RedisRevocations::new(url)?;
                list.check().await?;
                layer.revocations(list)
            }
            None => layer.revocations(in_memory.clone()),
        };
        layer.build()
    };
    let first = layer().await?;
    if let Ok(name) = env::var("INSTANCE") {
        return server.serve(site(first, name.leak())).await;
    }
    // Both instances get the same cookies: browsers do not separate them by port.
    let listener = TcpListener::bind((server.ip(), 0)).await?;
    println!("second        http://{}/", listener.local_addr()?);
    let second = sites::with_style(site(layer().await?, "B"));
    let second = axum::serve(listener, second).with_graceful_shutdown(shutdown_signal()?);
    let second = tokio::spawn(second.into_future());
    server.serve(site(first, "A")).await?;
    Ok(second.await??)
}
