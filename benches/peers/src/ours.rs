//! This crate, without and with a list of revoked sessions in memory.

use std::convert::Infallible;

use axum::{Router, http::Response, routing::get};
use tower::{Layer, service_fn};
use tower_qq_auth::{
    InMemoryRevocations, OpenId, QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys,
};

use crate::{
    MINE, PUBLIC, Subject,
    person::{AVATAR, NICKNAME, OPENID},
};

pub fn subjects() -> (Subject, Subject) {
    let app = QqApp::new(
        "101905280",
        "app-key",
        "https://site.example/auth/qq/callback",
    );
    let nobody = service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new())));
    let client = QqClient::with_service(app.expect("settings"), nobody);
    let layer = QqAuthLayer::with_client(client, SessionKeys::generate());
    let listed = layer.clone().revocations(InMemoryRevocations::new());
    (
        subject("tower-qq-auth", layer),
        subject("tower-qq-auth, revocation list in memory", listed),
    )
}

fn subject(name: &'static str, layer: QqAuthLayer) -> Subject {
    let user = QqUser::new(OpenId::new(OPENID).expect("an openid"))
        .with_nickname(NICKNAME)
        .with_avatar(AVATAR)
        .with_profile_complete(true);
    let cookie = layer.session_cookie(&user, None).expect("a cookie");
    let app = Router::new()
        .route(PUBLIC, get(async || "for everybody"))
        .route(MINE, get(async |user: QqUser| user.nickname().to_owned()));
    Subject::new(name, layer.layer(app), cookie)
}
