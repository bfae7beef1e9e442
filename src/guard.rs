//! How an app says that a request needs somebody who is signed in.

/// A mark that a response carries in its extensions to say: this request needs a signed-in person.
///
/// [`QqAuth`](crate::QqAuth) replaces a response that carries it: a browser on its way to a page is sent to the login
/// and comes back afterwards; everything else gets 401. The extractor of [`QqUser`](crate::QqUser) is rejected with
/// it; a plain tower service sets it itself:
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
