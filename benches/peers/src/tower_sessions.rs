//! Sessions on the server, in memory.

use axum::{Router, body::Body, http::Request, routing::get};
use tower::ServiceExt;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

use crate::{
    MINE, PUBLIC, Subject,
    person::{Person, person},
};

pub async fn subject() -> Subject {
    let app = Router::new()
        .route(PUBLIC, get(async || "for everybody"))
        .route(MINE, get(mine))
        .route("/in", get(sign_in))
        .layer(SessionManagerLayer::new(MemoryStore::default()));
    let cookie = signed_in(&app).await;
    Subject::new("tower-sessions, in memory", app, cookie)
}

async fn mine(session: Session) -> String {
    let person = session.get::<Person>("user").await.expect("a store");
    person.expect("somebody").nickname
}

async fn sign_in(session: Session) {
    session.insert("user", person()).await.expect("a store");
}

/// The cookie that the app sets at `/in`.
pub async fn signed_in(app: &Router) -> String {
    let request = Request::get("/in").body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("infallible");
    let cookie = response.headers()["set-cookie"].to_str().expect("ASCII");
    cookie.split(';').next().expect("a pair").to_owned()
}
