//! The app with a layer that does nothing, and with one that has a body type of its own and does nothing else.

use axum::{
    Router,
    body::{Body, Bytes},
    routing::get,
};
use http_body_util::{Either, Full};
use tower::layer::util::Identity;
use tower_http::map_response_body::MapResponseBodyLayer;

use crate::{MINE, PUBLIC, Subject, person::NICKNAME};

const COOKIE: &str = "sid=0123456789abcdef";

pub fn subject() -> Subject {
    Subject::new("bare", app().layer(Identity::new()), COOKIE)
}

pub fn with_a_body() -> Subject {
    let layer = MapResponseBodyLayer::new(Either::<Body, Full<Bytes>>::Left);
    let name = "a layer with a body type of its own, and nothing else";
    Subject::new(name, app().layer(layer), COOKIE)
}

fn app() -> Router {
    Router::new()
        .route(PUBLIC, get(async || "for everybody"))
        .route(MINE, get(async || NICKNAME.to_owned()))
}
