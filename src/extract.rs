//! Handler arguments and parts of responses for axum.

use std::convert::Infallible;

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use http::{StatusCode, request::Parts};

use crate::error::LoginError;
use crate::login::QqLogin;
use crate::login_required::LoginRequired;
use crate::qq_session::QqSession;
use crate::respond::render_login_error;
#[cfg(feature = "revocation")]
use crate::revocation::list::RevocationError;
use crate::session::error::SessionError;
use crate::sign_out::SignOut;
use crate::tokens::QqTokens;
use crate::user::QqUser;

/// The signed-in user. Signed-out browsers are sent to the login; other clients get 401.
impl<S: Sync> FromRequestParts<S> for QqUser {
    type Rejection = LoginRequired;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, LoginRequired> {
        extension(parts).ok_or(LoginRequired)
    }
}

/// The signed-in user, if any.
impl<S: Sync> OptionalFromRequestParts<S> for QqUser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(extension(parts))
    }
}

/// The session of the signed-in user. Signed-out browsers are sent to the login; other clients get
/// 401.
impl<S: Sync> FromRequestParts<S> for QqSession {
    type Rejection = LoginRequired;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, LoginRequired> {
        extension(parts).ok_or(LoginRequired)
    }
}

/// The session of the signed-in user, if any.
impl<S: Sync> OptionalFromRequestParts<S> for QqSession {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(extension(parts))
    }
}

/// The tokens of the signed-in user. Signed-out browsers are sent to the login; other clients get
/// 401. Needs [`keep_tokens`](crate::QqAuthLayerBuilder::keep_tokens).
impl<S: Sync> FromRequestParts<S> for QqTokens {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        const NOT_KEPT: &str = "this route needs `QqTokens`, but the layer drops them after a \
            login: call `.keep_tokens()` on the `QqAuthLayerBuilder`";
        match (extension(parts), parts.extensions.get::<QqUser>()) {
            (Some(tokens), _) => Ok(tokens),
            (None, None) => Err(LoginRequired.into_response()),
            (None, Some(_)) => Err((StatusCode::INTERNAL_SERVER_ERROR, NOT_KEPT).into_response()),
        }
    }
}

/// The tokens of the signed-in user, if any are kept.
impl<S: Sync> OptionalFromRequestParts<S> for QqTokens {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(extension(parts))
    }
}

/// The login that this callback completes: see
/// [`forward_callback`](crate::QqAuthLayerBuilder::forward_callback).
impl<S: Sync> FromRequestParts<S> for QqLogin {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        const NO_LOGIN: &str = "this route needs a `QqLogin`, which only the handler at the path \
            of the redirect URI gets: call `.forward_callback()` or `.without_session()` on the \
            `QqAuthLayerBuilder`";
        extension(parts).ok_or((StatusCode::INTERNAL_SERVER_ERROR, NO_LOGIN))
    }
}

/// As a part of a response, refreshed tokens replace those that the session keeps. In the handler
/// of a forwarded callback they go into the new session.
///
/// Browsers keep the cookie that arrives last: a slow response that started earlier and renews the
/// session restores the old tokens.
impl IntoResponseParts for QqTokens {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// As a part of a response, the session replaces that of the request.
impl IntoResponseParts for QqSession {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// As a part of a response, `SignOut` ends the session of the request.
impl IntoResponseParts for SignOut {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

fn extension<T: Clone + Send + Sync + 'static>(parts: &Parts) -> Option<T> {
    parts.extensions.get().cloned()
}

/// A 401 that the layer replaces. Without a layer its text says how to add one.
impl IntoResponse for LoginRequired {
    fn into_response(self) -> Response {
        self.to_response()
    }
}

/// An empty 200 with the session.
impl IntoResponse for QqSession {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

/// An empty 200 that ends the session.
impl IntoResponse for SignOut {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

/// The error as `application/problem+json` with its [`code`](crate::LoginErrorKind::code), and with
/// the status of its kind.
impl IntoResponse for LoginError {
    fn into_response(self) -> Response {
        let mut response = render_login_error(&self).map(Body::new);
        response.extensions_mut().insert(self);
        response
    }
}

/// The error as plain text, with status 424: a change that cannot be kept.
impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        (StatusCode::FAILED_DEPENDENCY, self.to_string()).into_response()
    }
}

/// The error as plain text, with status 401 if the session has ended, else 424.
#[cfg(feature = "revocation")]
impl IntoResponse for RevocationError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::SessionEnded => StatusCode::UNAUTHORIZED,
            Self::NoList | Self::Failed => StatusCode::FAILED_DEPENDENCY,
        };
        (status, self.to_string()).into_response()
    }
}
