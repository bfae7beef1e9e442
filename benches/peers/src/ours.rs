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

pub fn subjects() -> [Subject; 3] {
    let callback = "https://site.example/auth/qq/callback";
    let settings = QqApp::new("101905280", "app-key", callback).expect("settings");
    let nobody = service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new())));
    let client = QqClient::with_service(settings, nobody);
    let layer = QqAuthLayer::with_client(client, SessionKeys::generate());
    let listed = layer.clone().revocations(InMemoryRevocations::new());
    let (around, cookie) = (layer.layer(app()), cookie(&layer));
    [
        subject("tower-qq-auth", layer),
        subject("tower-qq-auth, revocation list in memory", listed),
        Subject::new("tower-qq-auth, as `qq.layer(app)`", around, cookie),
    ]
}

fn subject(name: &'static str, layer: QqAuthLayer) -> Subject {
    let cookie = cookie(&layer);
    Subject::new(name, app().layer(layer), cookie)
}

fn cookie(layer: &QqAuthLayer) -> String {
    let user = QqUser::new(OpenId::new(OPENID).expect("an openid"))
        .with_nickname(NICKNAME)
        .with_avatar(AVATAR)
        .with_profile_complete(true);
    layer.session_cookie(&user, None).expect("a cookie")
}

fn app() -> Router {
    Router::new()
        .route(PUBLIC, get(async || "for everybody"))
        .route(MINE, get(async |user: QqUser| user.nickname().to_owned()))
}
