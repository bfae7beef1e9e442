//! The app with a layer that does nothing, and with one that only changes the body type.

use axum::{
    Router,
    body::{Body, Bytes},
    routing::get,
};
use http_body_util::{Either, Full};
use tower::layer::util::Identity;
use tower_http::map_response_body::MapResponseBodyLayer;

use crate::{MINE, PUBLIC, Subject, user::NICKNAME};

const COOKIE: &str = "sid=0123456789abcdef";

pub fn subject() -> Subject {
    Subject::new("bare", app().layer(Identity::new()), COOKIE)
}

pub fn with_own_body() -> Subject {
    let layer = MapResponseBodyLayer::new(Either::<Body, Full<Bytes>>::Left);
    let name = "a layer that only changes the body type";
    Subject::new(name, app().layer(layer), COOKIE)
}

fn app() -> Router {
    Router::new()
        .route(PUBLIC, get(async || "public"))
        .route(MINE, get(async || NICKNAME.to_owned()))
}
