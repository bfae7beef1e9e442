//! The app alone, and with a layer that does nothing.

use axum::{Router, routing::get};
use tower::{Layer, layer::util::Identity};

use crate::{MINE, PUBLIC, Subject, person::NICKNAME};

pub fn subject() -> Subject {
    let app = Router::new()
        .route(PUBLIC, get(async || "for everybody"))
        .route(MINE, get(async || NICKNAME.to_owned()));
    let app = Identity::new().layer(app);
    Subject::new("bare", app, "sid=0123456789abcdef")
}
