//! A marker that makes a response end the session.

/// Ends the session, as a part of a response: the browser drops the cookie.
///
/// With a revocation list every copy of the cookie ends as well, before the response is sent.
/// Without axum, insert it into the extensions of the response. The [rules](crate::session) say
/// that it always counts.
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
