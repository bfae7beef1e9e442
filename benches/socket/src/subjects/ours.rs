//! This crate, without a revocation list and with one.

use std::convert::Infallible;

use axum::{Router, http::Response, routing::get};
use tower::service_fn;
use tower_qq_auth::{
    OpenId, QqApp, QqAuthLayer, QqAuthLayerBuilder, QqClient, QqUser, SessionKeys,
    revocation::{InMemoryRevocations, RedisRevocations},
};

use super::{MINE, PUBLIC};
use crate::{
    Result,
    user::{AVATAR, NICKNAME, OPENID},
};

pub fn app() -> Result<(Router, String)> {
    with_layer(builder()?.build()?)
}

pub fn with_list() -> Result<(Router, String)> {
    let list = InMemoryRevocations::new();
    with_layer(builder()?.revocations(list).build()?)
}

pub fn with_redis(url: &str) -> Result<(Router, String)> {
    let list = RedisRevocations::new(url)?;
    with_layer(builder()?.revocations(list).build()?)
}

/// Returns the cookie without the app.
pub fn cookie() -> Result<String> {
    let (_, cookie) = app()?;
    Ok(cookie)
}

fn builder() -> Result<QqAuthLayerBuilder> {
    let callback = "https://site.example/auth/qq/callback";
    let qq_app = QqApp::new("101905280", "app-key", callback)?;
    let unused = service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new())));
    let client = QqClient::with_service(qq_app, unused);
    Ok(QqAuthLayer::builder(client, SessionKeys::generate()))
}

fn with_layer(layer: QqAuthLayer) -> Result<(Router, String)> {
    let user = QqUser::new(OpenId::new(OPENID)?)
        .with_nickname(NICKNAME)
        .with_avatar(AVATAR)
        .with_profile_complete(true);
    let cookie = layer.session_cookie(&user, None)?;
    let app = Router::new()
        .route(PUBLIC, get(async || "public"))
        .route(MINE, get(async |user: QqUser| user.nickname().to_owned()))
        .layer(layer);
    Ok((app, cookie))
}
