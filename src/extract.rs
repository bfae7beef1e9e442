//! `QqUser`, `QqTokens`, their `Option`s and `QqLogin` as handler arguments of axum.

use std::convert::Infallible;

use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use http::{StatusCode, request::Parts};

use crate::{LoginRequired, QqLogin, QqTokens, QqUser, guard::NO_LAYER};

/// Somebody who is signed in; anybody else is sent to the login, or gets 401.
impl<S: Sync> FromRequestParts<S> for QqUser {
    type Rejection = LoginRequired;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, LoginRequired> {
        found(parts).ok_or(LoginRequired)
    }
}

/// Somebody who is signed in, or nobody.
impl<S: Sync> OptionalFromRequestParts<S> for QqUser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(found(parts))
    }
}

/// The tokens of somebody who is signed in; anybody else is sent to the login, or gets 401. Needs
/// [`QqAuthLayer::keep_tokens`](crate::QqAuthLayer::keep_tokens).
impl<S: Sync> FromRequestParts<S> for QqTokens {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        const NOT_KEPT: &str = "this route wants `QqTokens`, but the layer drops them after a login: \
            call `.keep_tokens()` on the `QqAuthLayer`";
        match (found(parts), found::<QqUser>(parts)) {
            (Some(tokens), _) => Ok(tokens),
            (None, None) => Err(LoginRequired.into_response()),
            (None, Some(_)) => Err((StatusCode::INTERNAL_SERVER_ERROR, NOT_KEPT).into_response()),
        }
    }
}

/// The tokens, if somebody is signed in and they are kept.
impl<S: Sync> OptionalFromRequestParts<S> for QqTokens {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(found(parts))
    }
}

/// The login whose callback this is: see [`QqAuthLayer::forward_callback`](crate::QqAuthLayer::forward_callback).
impl<S: Sync> FromRequestParts<S> for QqLogin {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        const NO_LOGIN: &str = "this route wants a `QqLogin`, which only the handler at the path of the redirect URI \
            gets: call `.forward_callback()` or `.without_session()` on the `QqAuthLayer`";
        found(parts).ok_or((StatusCode::INTERNAL_SERVER_ERROR, NO_LOGIN))
    }
}

/// As a part of a response, refreshed tokens take the place of those that the session keeps, or is about to keep where
/// the app answers the callback.
///
/// The browser keeps what comes last: a slow response that began before and renews the session brings the former tokens
/// back.
impl IntoResponseParts for QqTokens {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

fn found<T: Clone + Send + Sync + 'static>(parts: &Parts) -> Option<T> {
    parts.extensions.get().cloned()
}

/// What is seen of it where no layer is around the route: how to put it there.
impl IntoResponse for LoginRequired {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::INTERNAL_SERVER_ERROR, NO_LAYER).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
