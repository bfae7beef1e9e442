//! The middleware of [`RequireQqUser`](crate::RequireQqUser), a guard for groups of routes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::login_required::LoginRequired;
use crate::service::body::ResponseBody;
use crate::service::readiness::release;
use crate::user::QqUser;

/// Middleware that requires a signed-in user: see [`RequireQqUser`](crate::RequireQqUser).
#[derive(Clone, Debug)]
pub struct RequireQqUserService<S> {
    inner: S,
}

impl<S> RequireQqUserService<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RequireQqUserService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = RequireQqUserFuture<S::Future>;

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
        RequireQqUserFuture { inner }
    }
}

pin_project! {
    /// Response future of [`RequireQqUserService`].
    #[derive(Debug)]
    pub struct RequireQqUserFuture<F> {
        #[pin]
        inner: Option<F>,
    }
}

impl<F, B, E> Future for RequireQqUserFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match self.project().inner.as_pin_mut() {
            Some(inner) => ready!(inner.poll(cx))?.map(ResponseBody::from_app),
            None => LoginRequired
                .to_response::<Full<Bytes>>()
                .map(ResponseBody::from_layer),
        };
        Poll::Ready(Ok(response))
    }
}
