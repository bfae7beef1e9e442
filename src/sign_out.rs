//! A marker that makes a response end the session.

/// A part of a response that ends the session: the browser drops the cookie.
///
/// With a revocation list every copy of the cookie ends as well, before the response is sent.
/// Without axum, insert it into the extensions of the response. It counts on every response: see
/// the [rules](crate::session).
///
/// ```
/// use axum::response::{IntoResponse, Redirect};
/// use tower_qq_auth::SignOut;
///
/// async fn leave() -> impl IntoResponse {
///     (SignOut, Redirect::to("/"))
/// }
/// # drop(axum::Router::<()>::new().route("/leave", axum::routing::post(leave)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignOut;
