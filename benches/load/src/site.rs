//! The site: a process of its own that serves one or more machines, each with its own layer, cache
//! and connection to Redis.
//!
//! | variable | meaning |
//! |---|---|
//! | `QQ_BASE_URL` | the address of QQ |
//! | `QQ_SESSION_KEY` | the keys |
//! | `REDIS_URL` | the revocation list; no list without it |
//! | `SITE_MACHINES` | the number of machines, by default 1 |
//! | `SITE_FRESHNESS` | `revocation_freshness` in seconds, by default 3 |
//! | `SITE_DAYS` | days by which the clock is ahead |

use std::{
    env, io,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tower_qq_auth::{
    QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, revocation::RedisRevocations,
};
use tracing_subscriber::EnvFilter;

use crate::setup::{CALLBACK, ID, KEY, number};

fn layer() -> QqAuthLayer {
    let mut app = QqApp::builder(ID, KEY, CALLBACK);
    if let Ok(url) = env::var("QQ_BASE_URL") {
        app = app.base_url(url);
    }
    let client = QqClient::new(app.build().expect("settings"));
    let ahead = Duration::from_secs(number("SITE_DAYS", 0) * 24 * 60 * 60);
    let freshness = Duration::from_secs(number("SITE_FRESHNESS", 3));
    let mut layer = QqAuthLayer::builder(client, SessionKeys::from_env().expect("keys"))
        .revocation_freshness(freshness)
        .clock(move || SystemTime::now() + ahead);
    if let Ok(url) = env::var("REDIS_URL") {
        layer = layer.revocations(RedisRevocations::new(&url).expect("a URL"));
    }
    layer.build().expect("settings")
}

fn pages(qq: QqAuthLayer) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/me", get(me))
        .route("/style.css", get(style))
        .route("/ban", post(ban))
        .with_state(qq.clone())
        .layer(qq)
}

async fn home(user: Option<QqUser>) -> String {
    user.map_or_else(String::new, |user| user.openid().to_string())
}

async fn me(user: QqUser) -> String {
    user.openid().to_string()
}

async fn style() -> ([(header::HeaderName, &'static str); 2], &'static str) {
    let headers = [
        (header::CONTENT_TYPE, "text/css"),
        (header::CACHE_CONTROL, "public, max-age=60"),
    ];
    (headers, "body { margin: 2em }")
}

/// Revokes all sessions of the user.
async fn ban(user: QqUser, State(qq): State<QqAuthLayer>) -> StatusCode {
    match qq.revoke_user(user.openid()).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Prints a line with the address of each machine, and serves them.
pub async fn run() {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    let mut machines = tokio::task::JoinSet::new();
    for _ in 0..number("SITE_MACHINES", 1) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        machines.spawn(async { axum::serve(listener, pages(layer())).await });
    }
    machines.join_all().await;
}
