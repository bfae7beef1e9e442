//! `QqUser` and `Option<QqUser>` as handler arguments of axum.

use std::convert::Infallible;

use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};

use crate::{LoginRequired, QqUser};

/// Somebody who is signed in; anybody else is sent to the login, or gets 401.
impl<S: Sync> FromRequestParts<S> for QqUser {
    type Rejection = LoginRequired;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, LoginRequired> {
        user(parts).ok_or(LoginRequired)
    }
}

/// Somebody who is signed in, or nobody.
impl<S: Sync> OptionalFromRequestParts<S> for QqUser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(user(parts))
    }
}

fn user(parts: &Parts) -> Option<QqUser> {
    parts.extensions.get().cloned()
}

/// What is seen of it where no layer is around the route: how to put it there.
impl IntoResponse for LoginRequired {
    fn into_response(self) -> Response {
        const NO_LAYER: &str = "this route wants a `QqUser`, but no `QqAuthLayer` is around it: call \
            `.layer(QqAuthLayer::new(..))` last, on the outermost router, after every route and fallback";
        let mut response = (StatusCode::INTERNAL_SERVER_ERROR, NO_LAYER).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
