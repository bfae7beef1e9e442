//! This crate, without and with a revocation list in memory.

use std::convert::Infallible;

use axum::{Router, http::Response, routing::get};
use tower::{Layer, service_fn};
use tower_qq_auth::{
    OpenId, QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, revocation::InMemoryRevocations,
};

use crate::{
    MINE, PUBLIC, Subject,
    user::{AVATAR, NICKNAME, OPENID},
};

pub fn subjects() -> [Subject; 3] {
    let callback = "https://site.example/auth/qq/callback";
    let qq_app = QqApp::new("101905280", "app-key", callback).expect("settings");
    let unused = service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new())));
    let client = QqClient::with_service(qq_app, unused);
    let keys = SessionKeys::generate();
    let layer = QqAuthLayer::new(client.clone(), keys.clone());
    let with_list = QqAuthLayer::builder(client, keys)
        .revocations(InMemoryRevocations::new())
        .build()
        .expect("settings");
    let (outermost, cookie) = (layer.layer(app()), cookie(&layer));
    [
        subject("tower-qq-auth", layer),
        subject("tower-qq-auth, revocation list in memory", with_list),
        Subject::new("tower-qq-auth, as `qq.layer(app)`", outermost, cookie),
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
        .route(PUBLIC, get(async || "public"))
        .route(MINE, get(async |user: QqUser| user.nickname().to_owned()))
}
