//! How an app says that a request needs somebody who is signed in.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{QqUser, ResponseBody, service::release};

/// What is seen of a [`LoginRequired`] that no layer has replaced.
pub(crate) const NO_LAYER: &str = "this route wants a `QqUser`, but no `QqAuthLayer` is around it: call \
    `.layer(QqAuthLayer::new(..))` last, on the outermost router, after every route, fallback and merge";

/// A mark that a response carries in its extensions to say: this request needs a signed-in person.
///
/// [`QqAuth`](crate::QqAuth) replaces a response that carries it: a browser on its way to a page is sent to the login
/// and comes back afterwards; everything else gets 401, which names the login in its JSON and in `WWW-Authenticate`.
/// The extractor of [`QqUser`](crate::QqUser) is rejected with it; a plain tower service sets it itself:
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

/// A layer that lets nobody through who is not signed in: for whole groups of routes.
///
/// It goes inside [`QqAuthLayer`](crate::QqAuthLayer), which says who is signed in and answers for it.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_qq_auth::RequireQqUser;
/// # use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, SessionKeys, mock::MockQq};
/// # let callback = "http://localhost:3000/auth/qq/callback";
/// # let app = QqApp::new("101905280", "app-key", callback).unwrap();
/// # let client = QqClient::with_service(app, MockQq::new("101905280", "app-key", callback));
/// # let qq = QqAuthLayer::with_client(client, SessionKeys::generate());
///
/// let members = Router::new()
///     .route("/inbox", get(|| async { "for members" }))
///     .route_layer(RequireQqUser);
/// let app: Router = Router::new()
///     .route("/", get(|| async { "for everybody" }))
///     .merge(members)
///     .layer(qq);
/// # drop(app);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct RequireQqUser;

impl<S> Layer<S> for RequireQqUser {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner }
    }
}

/// Middleware that lets nobody through who is not signed in: see [`RequireQqUser`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Guarded<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = GuardedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let inner = if request.extensions().get::<QqUser>().is_some() {
            Some(self.inner.call(request))
        } else {
            release(&mut self.inner);
            None
        };
        GuardedFuture { inner }
    }
}

pin_project! {
    /// Response future of [`Guarded`].
    #[derive(Debug)]
    pub struct GuardedFuture<F> {
        #[pin]
        inner: Option<F>,
    }
}

impl<F, B, E> Future for GuardedFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match self.project().inner.as_pin_mut() {
            Some(inner) => ready!(inner.poll(cx))?.map(ResponseBody::inner),
            None => {
                let mut response = Response::new(ResponseBody::own(Full::from(NO_LAYER)));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response.extensions_mut().insert(LoginRequired);
                response
            }
        };
        Poll::Ready(Ok(response))
    }
}
