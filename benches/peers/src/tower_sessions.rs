//! Sessions in the memory of the server.

use axum::{Router, body::Body, http::Request, routing::get};
use tower::ServiceExt;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

use crate::{
    MINE, PUBLIC, Subject,
    user::{User, user},
};

pub async fn subject() -> Subject {
    let app = Router::new()
        .route(PUBLIC, get(async || "public"))
        .route(MINE, get(mine))
        .route("/in", get(sign_in))
        .layer(SessionManagerLayer::new(MemoryStore::default()));
    let cookie = signed_in(&app).await;
    Subject::new("tower-sessions, in memory", app, cookie)
}

async fn mine(session: Session) -> String {
    let user = session.get::<User>("user").await.expect("a store");
    user.expect("a user").nickname
}

async fn sign_in(session: Session) {
    session.insert("user", user()).await.expect("a store");
}

/// Signs in at `/in` and returns the cookie.
pub async fn signed_in(app: &Router) -> String {
    let request = Request::get("/in").body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("infallible");
    let cookie = response.headers()["set-cookie"].to_str().expect("ASCII");
    cookie.split(';').next().expect("a pair").to_owned()
}
