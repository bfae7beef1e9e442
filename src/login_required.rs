//! The marker by which a response asks for a login.

/// The body of a [`LoginRequired`] response that no layer has replaced.
pub(crate) const NO_LAYER: &str = "this route needs a `QqUser`, but no `QqAuthLayer` is around it: call \
    `.layer(QqAuthLayer::new(..))` last, on the outermost router, after every route, fallback and merge";

/// A marker in the extensions of a response: the request needs a signed-in user.
///
/// [`QqAuth`](crate::service::QqAuth) replaces a response that carries it. A browser that navigates
/// to a page is sent to the login and comes back afterwards; any other client gets 401, which names
/// the login URL in its JSON and in `WWW-Authenticate`. The extractor of [`QqUser`](crate::QqUser)
/// rejects with it. A plain tower service inserts it:
///
/// ```
/// use http::Response;
/// use tower_qq_auth::LoginRequired;
///
/// let mut response = Response::new(());
/// response.extensions_mut().insert(LoginRequired);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginRequired;
