//! The app without a layer, and with one that does nothing.

use axum::{Router, http::header, routing::get};
use tower::layer::util::Identity;

use super::{MINE, NAME, PUBLIC};
use crate::user::NICKNAME;

/// A cookie as long as that of tower-sessions.
pub const ID: &str = "id=7pYcw0dYv1m9Tq2rX5bN4A";

pub fn app() -> Router {
    let private = [(header::CACHE_CONTROL, "private")];
    Router::new()
        .route(PUBLIC, get(async || "public"))
        .route(MINE, get(async move || (private, NICKNAME.to_owned())))
        .route(NAME, get(async || NICKNAME.to_owned()))
}

pub fn with_identity() -> Router {
    app().layer(Identity::new())
}
