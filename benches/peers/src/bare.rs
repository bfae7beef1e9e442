//! The app with a layer that does nothing.

use axum::{Router, routing::get};
use tower::layer::util::Identity;

use crate::{MINE, PUBLIC, Subject, person::NICKNAME};

pub fn subject() -> Subject {
    let app = Router::new()
        .route(PUBLIC, get(async || "for everybody"))
        .route(MINE, get(async || NICKNAME.to_owned()))
        .layer(Identity::new());
    Subject::new("bare", app, "sid=0123456789abcdef")
}
