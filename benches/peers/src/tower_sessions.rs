//! Sessions on the server, in memory.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
    routing::get,
};
use tower::{Layer, Service, ServiceExt};
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

use crate::{
    MINE, PUBLIC, Subject,
    person::{Person, person},
};

pub async fn subject() -> Subject {
    let app = Router::new()
        .route(PUBLIC, get(async || "for everybody"))
        .route(MINE, get(mine))
        .route("/in", get(sign_in));
    let app = SessionManagerLayer::new(MemoryStore::default()).layer(app);
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
pub async fn signed_in<S, B>(app: &S) -> String
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
{
    let request = Request::get("/in").body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("infallible");
    let cookie = response.headers()["set-cookie"].to_str().expect("ASCII");
    cookie.split(';').next().expect("a pair").to_owned()
}
