//! Sessions on the server: in its memory, or on Redis.

use axum::{Router, body::Body, http::Request, routing::get};
use tower::ServiceExt;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer, SessionStore};

use super::{
    NAME, PUBLIC,
    redis_store::{RedisStore, connect},
};
use crate::{
    Result,
    user::{User, user},
};

pub async fn in_memory() -> Result<(Router, String)> {
    on_store(MemoryStore::default()).await
}

pub async fn on_redis(url: &str) -> Result<(Router, String)> {
    on_store(RedisStore(connect(url).await?)).await
}

async fn on_store(store: impl SessionStore + Clone) -> Result<(Router, String)> {
    let app = Router::new()
        .route(PUBLIC, get(async || "public"))
        .route(NAME, get(name))
        .route("/in", get(sign_in))
        .layer(SessionManagerLayer::new(store));
    let cookie = signed_in(&app).await?;
    Ok((app, cookie))
}

async fn name(session: Session) -> String {
    let user = session.get::<User>("user").await.expect("a store");
    user.expect("a user").nickname
}

async fn sign_in(session: Session) {
    session.insert("user", user()).await.expect("a store");
}

/// Signs in at `/in` and returns the cookie.
pub async fn signed_in(app: &Router) -> Result<String> {
    let request = Request::get("/in").body(Body::empty())?;
    let response = app.clone().oneshot(request).await?;
    let cookie = response.headers()["set-cookie"].to_str()?;
    let pair = cookie.split(';').next();
    Ok(pair.ok_or("no cookie")?.to_owned())
}
