//! A marker that makes a response ask for a login.

use http::{HeaderValue, Response, StatusCode, header};

/// The body of a [`LoginRequired`] response that no layer has replaced.
const NO_LAYER: &str = "this route needs a `QqUser`, but no `QqAuthLayer` is around it: call \
    `.layer(QqAuthLayer::new(..))` after every route, fallback and merge of the outermost router";

/// A marker in the extensions of a response: the request needs a signed-in user.
///
/// [`QqAuth`](crate::service::QqAuth) replaces a response that carries it. A browser that navigates
/// to a page is sent to the login and comes back afterwards; any other client gets 401, which names
/// the login URL in its JSON and in `WWW-Authenticate`. The extractor of [`QqUser`](crate::QqUser)
/// rejects with it.
///
/// A plain tower service inserts it. Layers between the service and `QqAuth` see the response as
/// it is, so its status should be 401, which none of them takes for a failure of the site:
///
/// ```
/// use http::{Response, StatusCode};
/// use tower_qq_auth::LoginRequired;
///
/// let mut response = Response::new(());
/// *response.status_mut() = StatusCode::UNAUTHORIZED;
/// response.extensions_mut().insert(LoginRequired);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginRequired;

impl LoginRequired {
    /// Returns the response of an extractor or a guard. The layer replaces it; without a layer its
    /// text says how to add one.
    pub(crate) fn to_response<B: From<&'static str>>(self) -> Response<B> {
        let mut response = Response::new(B::from(NO_LAYER));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("QQ"));
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, text);
        response.extensions_mut().insert(self);
        response
    }
}
